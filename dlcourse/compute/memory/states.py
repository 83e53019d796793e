"""What a model costs before it sees an example: weights, gradients, states.

Training holds, beside the weights, one gradient a weight and what the optimizer remembers of it:
nothing for gradient descent, a velocity for momentum and Muon, two moving averages for Adam. With
16-bit weights the optimizer keeps a copy of them in 32 bits too, because small updates of 16 bits
are rounded away. Activations come on top: see `activations`.
"""

from typing import NamedTuple

from dlcourse.compute.machines.hardware import GIB
from dlcourse.tables import PrintsTable, Table

# Numbers that an optimizer remembers of each weight. Muon applies to matrices only.
STATES = {"sgd": 0, "momentum": 1, "muon": 1, "adam": 2, "adamw": 2}


class Widths(NamedTuple):
    """Bytes of a number in each role."""

    weight: int
    gradient: int
    master: int  # the 32-bit copy of a 16-bit weight
    state: int


# "mixed" is the recipe of Micikevicius et al. (2018) as Megatron and ZeRO count it. PyTorch's
# autocast keeps the weights themselves in 32 bits, which costs what "fp32" costs.
PRECISIONS = {
    "fp32": Widths(4, 4, 0, 4),
    "mixed": Widths(2, 2, 4, 4),
    "16-bit": Widths(2, 2, 0, 2),
}


class States(NamedTuple):
    """Bytes held through the whole of training, by role."""

    weights: int
    gradients: int
    master: int
    optimizer: int

    @property
    def total(self) -> int:
        return sum(self)

    def __repr__(self):
        parts = [f"{name} {gib(n_bytes):.4g}" for name, n_bytes in self._asdict().items()]
        return f"{', '.join(parts)}; together {gib(self.total):.4g} GiB"


def model_states(
    n_params: int, optimizer: str = "adamw", precision: str = "mixed", n_not_matrix: int = 0
) -> States:
    """Bytes of weights, gradients, master copies and optimizer states.

    .. displayed:: eq-memory-states

    w are the widths in bytes of a number in the four roles, `PRECISIONS`; k is the number of states
    a weight, `STATES`. With "muon" the `n_not_matrix` weights that are no
    hidden matrix (embeddings, head, gains) go to AdamW, as in its reference implementation. Mixed
    precision with Adam makes 2 + 2 + 4 + 8 = 16 bytes a weight. Raises `ValueError` for an unknown
    optimizer or precision, and for `n_not_matrix` that do not fit.
    Reference: Rajbhandari, Rasley, Ruwase and He (2020), section 3.1.

    >>> model_states(7_000_000_000).total
    112000000000
    """
    if optimizer not in STATES:
        raise ValueError(f"Unknown optimizer {optimizer!r}. Known: {', '.join(STATES)}.")
    if precision not in PRECISIONS:
        raise ValueError(f"Unknown precision {precision!r}. Known: {', '.join(PRECISIONS)}.")
    n_params = _count(n_params, "n_params", least=1)
    n_not_matrix = _count(n_not_matrix, "n_not_matrix", least=0)
    if n_not_matrix and (optimizer != "muon" or n_not_matrix > n_params):
        raise ValueError(
            "`n_not_matrix` counts the weights that Muon leaves to AdamW: at most `n_params`, and "
            f"0 for other optimizers. Got {n_not_matrix} of {n_params} with {optimizer!r}."
        )
    widths = PRECISIONS[precision]
    n_states = STATES[optimizer] * (n_params - n_not_matrix) + STATES["adamw"] * n_not_matrix
    return States(
        weights=widths.weight * n_params,
        gradients=widths.gradient * n_params,
        master=widths.master * n_params,
        optimizer=widths.state * n_states,
    )


class Comparison(PrintsTable):
    """The states of one model under each optimizer, in each precision."""

    def __init__(self, n_params: int):
        self.n_params = n_params
        self.bytes_per_param = {
            (name, precision): model_states(n_params, name, precision).total / n_params
            for name in ("sgd", "momentum", "adamw")
            for precision in PRECISIONS
        }

    def table(self):
        rows = {
            precision: [self.bytes_per_param[name, precision] for name, _ in self._rows("fp32")]
            for precision in PRECISIONS
        }
        named = {f"{precision}, bytes a weight": column for precision, column in rows.items()}
        return Table({"optimizer": [name for name, _ in self._rows("fp32")], **named})

    def _rows(self, precision):
        return [key for key in self.bytes_per_param if key[1] == precision]


def gib(n_bytes: float) -> float:
    """Bytes in units of 2^30, which is what makers of memory call a GB."""
    return n_bytes / GIB


def _count(value, name: str, least: int) -> int:
    if value != int(value) or value < least:
        raise ValueError(f"`{name}` must be a whole number of at least {least}, got {value!r}.")
    return int(value)
