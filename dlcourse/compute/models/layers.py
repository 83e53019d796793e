"""Layers as records: each tells its parts under a load. Sorted by complexity.

n_in, n_out  widths of input and output        load  see `dlcourse.compute.models.parts.Load`
rows         how often a layer is applied: to every "token", or to so many rows a sequence
"""

from dataclasses import dataclass, replace

from dlcourse.compute.models.parts import (
    Load,
    Part,
    convolution_flops,
    convolution_params,
    linear_params,
    product_flops,
)


@dataclass(frozen=True)
class Vector:
    """Parameters without products: norms, biases, scales, special tokens."""

    name: str
    size: int

    def parts(self, load: Load) -> list[Part]:
        return [Part(self.name, self.size)]


@dataclass(frozen=True)
class Embedding:
    """A table of `n_rows` vectors, looked up: parameters and no FLOPs."""

    name: str
    n_rows: int
    width: int

    def parts(self, load: Load) -> list[Part]:
        return [Part(self.name, self.n_rows * self.width, is_embedding=True)]


@dataclass(frozen=True)
class Linear:
    """A linear map of every token, or of `rows` vectors a sequence.

    A tied map uses the weights of an embedding: it has FLOPs, and only its bias as parameters.
    """

    name: str
    n_in: int
    n_out: int
    bias: bool = True
    rows: int | None = None
    is_tied: bool = False
    reads_data: bool = False

    def parts(self, load: Load) -> list[Part]:
        rows = load.tokens if self.rows is None else self.rows * load.batch
        params = linear_params(self.n_in, self.n_out, self.bias)
        if self.is_tied:
            params -= self.n_in * self.n_out
        flops = product_flops(rows, self.n_in, self.n_out)
        return [Part(self.name, params, flops, reads_data=self.reads_data)]


@dataclass(frozen=True)
class Convolution:
    """A convolution whose output has `positions` places, such as height times width."""

    name: str
    channels: tuple[int, int]
    area: int
    positions: int
    groups: int = 1
    bias: bool = True
    reads_data: bool = False

    def parts(self, load: Load) -> list[Part]:
        rows = load.batch * self.positions
        return [
            Part(
                self.name,
                convolution_params(self.channels, self.area, self.groups, self.bias),
                convolution_flops(rows, self.channels, self.area, self.groups),
                reads_data=self.reads_data,
            )
        ]


@dataclass(frozen=True)
class Repeated:
    """`n` copies of the same layers one after the other; with one set of weights if shared."""

    n: int
    layers: tuple
    is_shared: bool = False

    def parts(self, load: Load) -> list[Part]:
        parts = (part for layer in self.layers for part in layer.parts(load))
        return [part.shared(self.n) if self.is_shared else part.times(self.n) for part in parts]


@dataclass(frozen=True)
class Tower:
    """Layers with a sequence of their own: one tower of CLIP, the encoder of a translator.

    `length` and `memory` replace those of the load where given; `memory="length"` reads a sequence
    as long as the load's own.
    """

    name: str
    layers: tuple
    length: int | None = None
    memory: int | str = 0

    def parts(self, load: Load) -> list[Part]:
        memory = load.length if self.memory == "length" else self.memory
        inner = replace(load, length=self.length or load.length, memory=memory)
        parts = (part for layer in self.layers for part in layer.parts(inner))
        return [replace(part, name=f"{self.name}: {part.name}") for part in parts]
