r"""Gradient descent on separable classes: where it goes when there is nowhere to arrive.


X  design matrix (n, p)      w_hat   the direction with the widest margin (p,), its margins >= 1
y  0 or 1 (n,)               margin  (2y - 1) x'w, positive where an observation is on its side
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from dlcourse import _checks
from dlcourse.linear.logistic import smoothness
from dlcourse.linear.margins import widest_margin
from dlcourse.losses import LogisticLoss
from dlcourse.optim import GradientDescent, minimize
from dlcourse.tables import PrintsTable, Table

Array = np.ndarray


class TwoGroups(NamedTuple):
    """Points in the plane that a line through the origin separates."""

    X: Float[Array, "n 2"]
    y: Float[Array, " n"]
    direction: Float[Array, " 2"]  # of length one, perpendicular to the line
    gap: float  # no point is nearer to the line

    def __repr__(self):
        return f"{len(self.y)} points, none within {self.gap:g} of a line that separates them"


def two_groups(n: int, gap: float, rng) -> TwoGroups:
    """Draw `n` points, half of them on each side of a line.

    The groups lean: the farther from the line, the farther along it as well, so that the line
    between their centers is not perpendicular to the one that separates them. Raises `ValueError`
    unless `n` is a count, `gap` positive and `rng` a generator.

    >>> two_groups(40, gap=0.4, rng=np.random.default_rng(0))
    40 points, none within 0.4 of a line that separates them
    """
    _checks.positive(gap, "gap")
    _checks.generator(rng)
    n = _checks.count(n, "n")
    y = np.repeat([0.0, 1.0], [n - n // 2, n // 2])
    direction = np.array([2.0, 1.0]) / np.sqrt(5)
    along = np.array([-direction[1], direction[0]])
    sides, beyond = 2 * y - 1, rng.uniform(0.0, 1.5, size=n)
    heights, places = sides * (gap + beyond), 1.5 * sides * beyond + rng.normal(size=n)
    return TwoGroups(np.outer(heights, direction) + np.outer(places, along), y, direction, gap)


@dataclass(frozen=True, repr=False)
class Escape(PrintsTable):
    """Gradient descent on separable classes, after 1, ..., n_steps steps."""

    groups: TwoGroups
    w_hat: Float[Array, " 2"]
    steps: Int[Array, " m"]
    points: Float[Array, "m 2"]
    losses: Float[Array, " m"]

    @property
    def lengths(self) -> Float[Array, " m"]:
        return np.linalg.norm(self.points, axis=1)

    @property
    def degrees(self) -> Float[Array, " m"]:
        """Angle between the coefficients and the direction with the widest margin."""
        across = np.abs(self.points @ [-self.w_hat[1], self.w_hat[0]])
        return np.degrees(np.arctan2(across, self.points @ self.w_hat))

    @property
    def growth(self) -> Float[Array, " m"]:
        """Growth of the length from step to step, for each e-fold of the number of steps."""
        return np.gradient(self.lengths, np.log(self.steps))

    def at(self, k) -> int:
        """Row of the last recorded step that is not after step k."""
        return int(np.searchsorted(self.steps, k, side="right")) - 1

    def table(self):
        decades = 10 ** np.arange(1, int(np.log10(self.steps[-1])) + 1)
        rows = [self.at(k) for k in decades]
        return Table(
            {
                "steps": decades,
                "loss": [f"{self.losses[r]:.5f}" for r in rows],
                "length of β": [f"{self.lengths[r]:.2f}" for r in rows],
                "angle to the widest margin": [f"{self.degrees[r]:.1f}°" for r in rows],
            }
        )


def escape(groups: TwoGroups, n_steps: int) -> Escape:
    """Follow gradient descent with step 1/L from zero, keeping steps at even log distances."""
    X, y = groups.X, groups.y
    run = minimize(
        LogisticLoss(X, y), np.zeros(2), GradientDescent(1 / smoothness(X)), max_steps=n_steps
    )
    decades = 10 ** np.arange(int(np.log10(n_steps)) + 1)
    steps = np.union1d(np.geomspace(1, n_steps, 100).round().astype(int), decades)
    return Escape(groups, widest_margin(X, y), steps, run.points[steps], run.values[steps])
