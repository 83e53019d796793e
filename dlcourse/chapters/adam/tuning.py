r"""Optimizers with tuned step sizes on mini-batches of one data set.

loss   record made from data X and y, such as `SquaredError`; loss(x) gives (value, gradient)
make   optimizer from its step sizes, one a run          rates  the step sizes to try, rising
seeds  half of them choose the step size; what is reported comes from the other half

A run that overflows has the loss infinity.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dlcourse.batches import Budget, on_rows
from dlcourse.optim import walk

Array = np.ndarray


def descend(loss, x0: Float[Array, "*runs p"], optimizer, batches, n_steps: int):
    """The points after 0, 1, ..., `n_steps` steps from x0, each on the next of the `batches`."""
    return walk(optimizer, x0, lambda k, x: on_rows(loss, next(batches))(x)[1], n_steps)


def train(loss, x0: Float[Array, "*runs p"], optimizer, budget: Budget, rng):
    """Loss on all data after each epoch, the start first, and the last points, for every run."""
    n = len(loss.y)
    n_steps = budget.n_steps(n)
    with np.errstate(over="ignore", invalid="ignore"):  # a step size that is too large is an answer
        points = descend(loss, x0, optimizer, budget.batches(n, rng), n_steps)
        values = np.stack([loss(x)[0] for x in points[:: n_steps // budget.n_epochs]])
    return np.nan_to_num(values, nan=np.inf, posinf=np.inf), points[-1]


@dataclass(frozen=True)
class Sweep:
    """One optimizer with every step size, on one loss a seed."""

    rates: Float[Array, " rates"]
    values: Float[Array, "seeds epochs rates"]  # loss after each epoch, the first before any step
    x: Float[Array, "seeds rates p"]  # last points

    @property
    def n_choosing(self) -> int:
        return len(self.values) // 2

    @property
    def chosen(self) -> int:
        """Place of the step size with the smallest median loss over the choosing seeds."""
        return int(np.median(self.values[: self.n_choosing, -1], axis=0).argmin())

    @property
    def rate(self) -> float:
        return float(self.rates[self.chosen])

    @property
    def is_interior(self) -> bool:
        """Whether the chosen step size is no end of the grid, beyond which a better may lie."""
        return 0 < self.chosen < len(self.rates) - 1

    @property
    def paths(self) -> Float[Array, "seeds epochs"]:
        """Losses of the chosen step size on the seeds that did not choose it."""
        return self.values[self.n_choosing :, :, self.chosen]

    @property
    def ends(self) -> Float[Array, " seeds"]:
        return self.paths[:, -1]


def sweep(losses: Sequence, make: Callable, rates, budget: Budget, seed: int) -> Sweep:
    """Every step size on every loss from zero; all step sizes see the same mini-batches."""
    results = []
    for i, loss in enumerate(losses):
        x0 = np.zeros((len(rates), loss.X.shape[1]))
        results.append(train(loss, x0, make(rates), budget, np.random.default_rng([seed, i])))
    values, x = zip(*results, strict=True)
    return Sweep(rates, np.stack(values), np.stack(x))


def spread(numbers: Float[Array, " seeds"], digits: int = 2) -> str:
    """Median and range, as a table shows them.

    >>> spread(np.array([0.1, 0.2, 0.412]))
    '0.2 (0.1–0.41)'
    """
    median, low, high = np.median(numbers), np.min(numbers), np.max(numbers)
    return f"{median:.{digits}g} ({low:.{digits}g}–{high:.{digits}g})"


def apart(a: Float[Array, " seeds"], b: Float[Array, " seeds"]) -> bool:
    """Whether every number of `a` lies below every number of `b`: the spread leaves no doubt.

    >>> apart(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    True
    """
    return bool(np.max(a) < np.min(b))
