r"""A run that goes beyond a bound, because a hypothesis is missing or the bound is printed wrong.

f      a function whose smallest value is 0, at 0     start    the number to start from
bound  what a theorem would promise after 1, 2, ... steps; its length says how many to take
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from dlcourse.convergence import nesterov
from dlcourse.optim import minimize

Array = np.ndarray
Steps = Float[Array, " steps"]


class Refutation(NamedTuple):
    """Values after 1, 2, ... steps beside the bound that they break at the end."""

    example: str
    values: Steps
    bound: Steps

    @property
    def is_refuted(self) -> bool:
        """Is the last value clearly above the bound?"""
        return bool(self.values[-1] > self.bound[-1] + 1e-3 * abs(self.bound[-1]) + 1e-12)

    def __repr__(self):
        n = len(self.values)
        return (
            f"{self.example}: {self.values[-1]:.3g} after {n} step{'s' * (n > 1)}, "
            f"bound {self.bound[-1]:.3g}"
        )


@dataclass(frozen=True)
class Attempt:
    """An optimizer on a function of one dimension, to be held against a bound."""

    f: Callable
    start: float
    optimizer: object

    def gaps(self, example, bound: Steps) -> Refutation:
        """Values of f against `bound`."""
        return Refutation(example, self._run(len(bound)).values[1:], bound)

    def distances(self, example, bound: Steps) -> Refutation:
        """Distances to 0 against `bound`."""
        return Refutation(example, np.abs(self._run(len(bound)).points[1:, 0]), bound)

    def squares(self, example, bound: Steps) -> Refutation:
        """Squared distances to 0 against `bound`."""
        return Refutation(example, self._run(len(bound)).points[1:, 0] ** 2, bound)

    def smallest_gradients(self, example, bound: Steps) -> Refutation:
        """Smallest gradient norms of the first 1, 2, ... points against `bound`."""
        norms = self._run(len(bound) - 1).gradient_norms
        return Refutation(example, np.minimum.accumulate(norms), bound)

    def gaps_behind(self, example, bound: Steps) -> Refutation:
        """Values of f at the points x_1, x_2, ... of Nesterov's method against `bound`."""
        points = self._run(len(bound) - 1).points
        behind = nesterov.points_behind(self.f, points, self.optimizer.learning_rate)
        return Refutation(example, self.f(behind)[0], bound)

    def _run(self, n_steps):
        return minimize(self.f, np.array([self.start]), self.optimizer, max_steps=n_steps)


def up_to(n_steps):
    """The numbers of steps 1, ..., n_steps.

    >>> up_to(3)
    array([1, 2, 3])
    """
    return np.arange(1, n_steps + 1)
