"""A whole network as a list of parts, and what it costs."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from dlcourse.compute.models.conventions import Conventions
from dlcourse.compute.models.parts import Load, Part
from dlcourse.tables import PrintsTable, Table


class Architecture(PrintsTable, ABC):
    """A network whose parameters and FLOPs are exact integers; it prints itself part by part.

    `sequence_length` counts the tokens of one sequence and is the `natural_length` where it is not
    given; networks on images of one size take none.
    """

    name: str = "network"
    natural_length: int | None = None
    assumptions: tuple[str, ...] = ()  # what the record left open, and how it was decided

    @property
    @abstractmethod
    def layers(self) -> tuple:
        """The layers in the order of the forward pass; each has `parts(load)`."""

    def parts(self, sequence_length=None, batch=1, causal=False) -> list[Part]:
        """The parts under a load, those of one name added up."""
        length = self.natural_length or 1 if sequence_length is None else sequence_length
        load = Load(length, batch, is_causal=causal)
        return _joined(part for layer in self.layers for part in layer.parts(load))

    def params(self, embeddings: bool = True) -> int:
        """Parameters; without `embeddings`, less those of tables that are looked up."""
        return sum(p.params for p in self.parts() if embeddings or not p.is_embedding)

    def params_active(self) -> int:
        """Parameters that one token meets: of the experts only those that are chosen or shared."""
        return self.params() - sum(p.idle_params for p in self.parts())

    def forward_flops(self, sequence_length=None, batch=1, causal=False) -> int:
        """FLOPs of one forward pass over `batch` sequences."""
        return sum(p.forward_flops for p in self.parts(sequence_length, batch, causal))

    def train_step_flops(self, sequence_length=None, batch=1, causal=False) -> int:
        """FLOPs of forward and backward pass: three times forward, less gradients of data."""
        return sum(p.train_step_flops for p in self.parts(sequence_length, batch, causal))

    def conventions(self, sequence_length=None, batch=1, causal=False) -> Conventions:
        """The conventions behind the counts under this load."""
        length = self.natural_length if sequence_length is None else sequence_length
        attention = "causal" if causal else "full"
        return Conventions(length, batch, attention, assumptions=self.assumptions)

    def report(self, sequence_length=None, batch=1, causal=False) -> "Report":
        """All counts under one load, with their conventions."""
        load = (sequence_length, batch, causal)
        return Report(
            self.params(),
            self.params_active(),
            self.forward_flops(*load),
            self.train_step_flops(*load),
            self.conventions(*load),
        )

    def table(self) -> Table:
        """One row a part, under one sequence of natural length and full attention."""
        rows = {"all": [0, 0]}
        for part in self.parts():
            for name in (part.name, "all"):
                params, flops = rows.get(name, (0, 0))
                rows[name] = [params + part.params, flops + part.forward_flops]
        rows["all"] = rows.pop("all")  # last
        params, flops = zip(*rows.values(), strict=True)
        return Table({"part": list(rows), "parameters": params, "forward FLOPs": flops})


@dataclass(frozen=True, repr=False)
class Model(Architecture):
    """An architecture given by its layers."""

    name: str
    layers: tuple = ()
    natural_length: int | None = None
    assumptions: tuple[str, ...] = ()


@dataclass(frozen=True, repr=False)
class Report(PrintsTable):
    """Counts of one architecture under one load."""

    params: int
    params_active: int
    forward_flops: int
    train_step_flops: int
    conventions: Conventions

    def as_dict(self) -> dict:
        """For JSON: the counts as integers, the conventions by name."""
        counts = ["params", "params_active", "forward_flops", "train_step_flops"]
        return {name: getattr(self, name) for name in counts} | {
            "conventions": self.conventions.as_dict()
        }

    def table(self) -> Table:
        counts = {name: n for name, n in self.as_dict().items() if name != "conventions"}
        conventions = self.conventions.table().columns
        return Table(
            {
                "quantity": [*counts, *conventions["convention"]],
                "value": [*(f"{n:,}" for n in counts.values()), *conventions["choice"]],
            }
        )


@dataclass(frozen=True, repr=False)
class Counted(PrintsTable):
    """FLOPs of one step of a module; `by_module[""]` is the whole."""

    flops: int
    forward_flops: int  # of the forward pass alone
    params: int
    step: str  # "forward", or "training": forward and backward, the inputs being data
    device: str  # where it ran: "meta", or the module's own device
    reason: str | None  # why not on the meta device
    by_module: dict[str, int]  # a module's FLOPs include those of the modules in it
    by_operation: dict[str, int]

    @property
    def conventions(self) -> Conventions:
        """The conventions behind the count."""
        return Conventions(sequence_length=None, batch=None)

    def table(self):
        names = sorted(self.by_module)
        return Table(
            {
                "module": [name or f"all ({self.step}, {self.device})" for name in names],
                "FLOPs (a multiply-add is two)": [self.by_module[name] for name in names],
            }
        )


def _joined(parts) -> list[Part]:
    """Parts of one name and kind added up, in the order in which they first come."""
    sums: dict[tuple, Part] = {}
    for part in parts:
        key = (part.name, part.is_embedding, part.reads_data)
        old = sums.get(key, Part(part.name))
        sums[key] = Part(
            part.name,
            old.params + part.params,
            old.forward_flops + part.forward_flops,
            old.idle_params + part.idle_params,
            part.is_embedding,
            part.reads_data,
        )
    return list(sums.values())
