"""The conventions behind a count, written down beside it: counts of one model differ 100-fold."""

from dataclasses import asdict, dataclass, field
from functools import partial
from typing import ClassVar

from dlcourse.tables import PrintsTable, Table

MULTIPLY_ADDS = {"mac", "macs", "multi-adds", "multiply-adds", "mult-adds", "madds", "fma", "fmas"}
RATES = {"flop/s", "flops/s", "tflop/s", "tflops/s", "gflop/s", "gflops/s", "pflop/s", "pflops/s"}

fixed = partial(field, init=False)  # one choice for all counts


@dataclass(frozen=True, repr=False)
class Conventions(PrintsTable):
    """What was counted, under which load. One is printed with each result."""

    sequence_length: int | None
    batch: int | None
    attention: str = "full"  # or "causal"
    unit: str = fixed(default="FLOPs")
    multiply_add: int = fixed(default=2)
    counted: str = fixed(default="matrix products and convolutions, logits at every position")
    parameters: str = fixed(
        default="all, with embedding tables; active ones are without idle experts"
    )
    training_step: str = fixed(default="forward and backward, no recomputation, no optimizer")
    assumptions: tuple[str, ...] = ()

    ATTENTION: ClassVar[dict[str, str]] = {
        "full": "full: each query with each key, as eager kernels compute it",
        "causal": "causal: half of the square of the sequence length, less outside a window",
    }

    def as_dict(self) -> dict:
        """Names and values for JSON."""
        values = asdict(self) | {"attention": self.ATTENTION[self.attention]}
        return values | {"assumptions": list(self.assumptions)}

    def table(self):
        values = self.as_dict()
        values["assumptions"] = "; ".join(self.assumptions) or "none"
        names = [name.replace("_", " ") for name in values]
        return Table({"convention": names, "choice": [str(value) for value in values.values()]})


def as_flops(value: float, unit: str) -> float:
    """Return `value`, or raise where `unit` says that it does not count FLOPs.

    Raises `ValueError` there, and for a count that is not positive.

    >>> as_flops(8.2e9, "FLOPs")
    8200000000.0
    """
    word = unit.strip().lower()
    if word in MULTIPLY_ADDS:
        raise ValueError(
            f"`unit` must be FLOPs, got {unit!r}: a multiply-add is two FLOPs. "
            f"Double the number: {2 * value:g} FLOPs."
        )
    if word in RATES:
        raise ValueError(
            f"`unit` must be FLOPs, a count, got {unit!r}, a rate. Multiply by the seconds."
        )
    if word not in {"flop", "flops"}:
        raise ValueError(f'`unit` must be "FLOPs", got {unit!r}. Convert the number to FLOPs.')
    if not value > 0:
        raise ValueError(f"FLOPs must be a positive number, got {value!r}.")
    return value
