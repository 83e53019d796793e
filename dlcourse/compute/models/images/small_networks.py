r"""Multi-layer perceptrons and recurrent networks as records.

widths  (n_in, hidden, ..., n_out) of a perceptron    n_gates  maps a step of a recurrent layer
"""

from dataclasses import dataclass
from typing import ClassVar

from dlcourse.compute.models.layers import Linear
from dlcourse.compute.models.model import Architecture
from dlcourse.compute.models.parts import Load, Part, linear_params, product_flops


@dataclass(frozen=True, repr=False)
class MLP(Architecture):
    """A multi-layer perceptron; its load is `batch` rows of data.

    >>> mlp = MLP((784, 100, 10))
    >>> mlp.params(), mlp.forward_flops(batch=1), mlp.train_step_flops(batch=1)
    (79510, 158800, 319600)
    """

    widths: tuple[int, ...]
    bias: bool = True
    name: str = "perceptron"

    @property
    def layers(self):
        shapes = zip(self.widths[:-1], self.widths[1:], strict=True)
        return tuple(
            Linear(f"layer {i}", *shape, self.bias, reads_data=i == 1)
            for i, shape in enumerate(shapes, start=1)
        )


@dataclass(frozen=True)
class RecurrentLayer:
    """One layer, one direction: each gate maps the input and the state before it.

    The state before the first step is a constant zero, whose gradient nobody needs.
    """

    name: str
    n_in: int
    n_hidden: int
    n_gates: int
    bias: bool
    reads_data: bool

    def parts(self, load: Load) -> list[Part]:
        n_in, hidden, gates = self.n_in, self.n_hidden, self.n_gates * self.n_hidden
        input_flops = product_flops(load.tokens, n_in, gates)
        step_flops = product_flops(load.batch, hidden, gates)
        return [
            Part(
                f"{self.name}, of the input",
                linear_params(n_in, gates, self.bias),
                input_flops,
                reads_data=self.reads_data,
            ),
            Part(f"{self.name}, first step", 0, step_flops, reads_data=True),
            Part(
                f"{self.name}, of the state",
                linear_params(hidden, gates, self.bias),
                (load.length - 1) * step_flops,
            ),
        ]


@dataclass(frozen=True, repr=False)
class Recurrent(Architecture):
    """A plain recurrent network, an LSTM or a GRU, by the name of its `cell`.

    Each gate has two biases, as in cuDNN and torch. Raises `ValueError` for another cell.
    Reference: Elman (1990); Hochreiter and Schmidhuber (1997); Cho et al. (2014).

    >>> Recurrent("LSTM", n_in=8, n_hidden=16).params()
    1664
    """

    cell: str
    n_in: int
    n_hidden: int
    n_layers: int = 1
    is_bidirectional: bool = False
    bias: bool = True

    GATES: ClassVar[dict[str, int]] = {"RNN": 1, "GRU": 3, "LSTM": 4}

    def __post_init__(self):
        if self.cell not in self.GATES:
            raise ValueError(f"`cell` must be one of {', '.join(self.GATES)}, got {self.cell!r}.")

    @property
    def name(self):
        return self.cell

    @property
    def layers(self):
        n_directions = 2 if self.is_bidirectional else 1
        n_ins = [self.n_in] + (self.n_layers - 1) * [n_directions * self.n_hidden]
        return tuple(
            RecurrentLayer(
                f"layer {i}", n_in, self.n_hidden, self.GATES[self.cell], self.bias, i == 1
            )
            for i, n_in in enumerate(n_ins, start=1)
            for _ in range(n_directions)
        )
