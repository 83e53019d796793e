r"""Optimizers on mini-batches of one data set, many step sizes at once.

loss   record made from data X and y, such as `SquaredError`; loss(x) gives (value, gradient)

A run that overflows has the loss infinity.
"""

import numpy as np
from jaxtyping import Float

from dlcourse.batches import Budget, batches, on_rows
from dlcourse.optim import walk

Array = np.ndarray


def descend(loss, x0: Float[Array, "*runs p"], optimizer, rows, n_steps: int):
    """The points after 0, 1, ..., `n_steps` steps from x0, each on the next of the `rows`."""
    return walk(optimizer, x0, lambda k, x: on_rows(loss, next(rows))(x)[1], n_steps)


def train(loss, x0: Float[Array, "*runs p"], optimizer, budget: Budget, rng):
    """Loss on all data after each epoch (*runs, epochs), the start first, and the last points.

    All runs see the same mini-batches.
    """
    n = len(loss.y)
    n_steps = budget.n_steps(n)
    with np.errstate(over="ignore", invalid="ignore"):  # a step size that is too large is an answer
        points = descend(loss, x0, optimizer, batches(budget, n, rng), n_steps)
        values = np.stack([loss(x)[0] for x in points[:: n_steps // budget.n_epochs]], axis=-1)
    return np.nan_to_num(values, nan=np.inf, posinf=np.inf), points[-1]


def spread(numbers: Float[Array, " seeds"]) -> str:
    """Median and range, as a table shows them.

    >>> spread(np.array([0.1, 0.2, 0.412]))
    '0.2 (0.1–0.41)'
    """
    median, low, high = np.median(numbers), np.min(numbers), np.max(numbers)
    return f"{median:.2g} ({low:.2g}–{high:.2g})"
