r"""Rates of heavy ball on one axis, computed and run.

relative_step  alpha * lam: the step times the curvature along the axis
beta           momentum
rate           factor by which the pair (velocity, point) shrinks or grows in the long run
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from dlcourse.convergence import heavy_ball
from dlcourse.optim import HeavyBall, walk
from dlcourse.optim.momentum import MomentumState

Array = np.ndarray


def critical_momentum(
    relative_step: float | Float[Array, "*shape"],
) -> float | Float[Array, "*shape"]:
    r"""The momentum with the smallest rate for one curvature: the largest without oscillation.

    .. displayed:: eq-heavy-ball-critical

    The relative step is :math:`\alpha\lambda`. Valid up to 1.

    >>> critical_momentum(np.array([0.01, 0.25]))
    array([0.81, 0.25])
    """
    return (1 - np.sqrt(relative_step)) ** 2


def measured_rate(
    relative_step: Float[Array, " runs"], beta: Float[Array, " runs"], n_steps: int
) -> Float[Array, " runs"]:
    """Mean growth factor per step of the optimizer on the bowl with curvature 1, one run an entry.

    A step is linear in the pair of velocity and point, so after each one the pair is scaled back to
    length 1 and only its growth is noted: nothing overflows, and nothing vanishes.
    """
    growth = []
    optimizer = Rescaled(HeavyBall(relative_step, beta), growth)
    walk(optimizer, np.ones((len(relative_step), 1)), lambda k, x: x, n_steps)
    return np.exp(np.sum(growth, axis=0) / n_steps)


class Rescaled(NamedTuple):
    """Heavy ball whose point and velocity are scaled back to length 1 after every step."""

    optimizer: HeavyBall
    growth: list  # the logarithms of the lengths, noted down

    def init(self, x):
        return self.optimizer.init(x)

    def step(self, x, grad, state):
        x, state = self.optimizer.step(x, grad, state)
        length = np.hypot(x, state.velocity)
        self.growth.append(np.log(length[:, 0]))
        return x / length, MomentumState(state.velocity / length, state.k)


@dataclass(frozen=True, eq=False)
class RatePlane:
    """Computed rates over the plane, and runs at some of its points."""

    relative_steps: Float[Array, " columns"]
    betas: Float[Array, " rows"]
    rates: Float[Array, "rows columns"]
    run_steps: Float[Array, " runs"]
    run_betas: Float[Array, " runs"]
    measured: Float[Array, " runs"]

    @property
    def largest_error(self) -> float:
        """Of the computed rates at the points that were run."""
        computed = heavy_ball.spectral_radius(self.run_steps, self.run_betas)
        return float(np.abs(computed - self.measured).max())

    @property
    def n_as_predicted(self) -> int:
        """How many runs shrink exactly if the theorem calls them stable."""
        stable = heavy_ball.is_stable(self.run_steps, self.run_betas)
        return int(((self.measured < 1) == stable).sum())

    def prose(self) -> dict[str, str]:
        """What the chapter's text says of the runs, rounded as it is read."""
        return {
            "momentum_as_predicted": f"{self.n_as_predicted}",
            "momentum_n_runs": f"{len(self.measured)}",
            "momentum_plane_error": f"{self.largest_error:.3f}",
        }

    def __repr__(self):
        n = len(self.measured)
        return (
            f"{n} runs, {(self.measured < 1).sum()} of them shrink\n"
            f"shrink where the theorem says so, and only there: {self.n_as_predicted} of {n}\n"
            f"largest difference between measured and computed rate: {self.largest_error:.3f}"
        )


def rate_plane(n_steps=2_000) -> RatePlane:
    """Rates for relative steps up to 4.2 and momenta below 1, with 56 runs over the plane."""
    relative_steps, betas = np.linspace(0.01, 4.2, 85), np.linspace(0, 0.99, 66)
    rates = heavy_ball.spectral_radius(relative_steps, betas[:, None])
    at_steps, at_betas = np.meshgrid(np.linspace(0.2, 4.1, 8), np.linspace(0.05, 0.95, 7))
    runs = at_steps.ravel(), at_betas.ravel()
    return RatePlane(relative_steps, betas, rates, *runs, measured_rate(*runs, n_steps))
