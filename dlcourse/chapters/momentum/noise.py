r"""Heavy ball with noisy gradients on one axis.

learning_rate  alpha      lam    curvature of the axis, above 0
beta           momentum   sigma  standard deviation of each gradient's error
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dlcourse.optim import HeavyBall, walk
from dlcourse.tables import PrintsTable, Table

Array = np.ndarray


def noise_floor(learning_rate, beta, lam, sigma):
    r"""Mean squared distance to the minimizer in the long run.

    .. displayed:: eq-heavy-ball-floor

    Without momentum it is the floor of SGD; at the limit of stable steps it is infinite.

    >>> noise_floor(learning_rate=1.0, beta=0.0, lam=1.0, sigma=1.0)
    1.0
    """
    spread = (1 - beta) * (2 + 2 * beta - learning_rate * lam)
    return learning_rate * sigma**2 / lam * (1 + beta) / spread


@dataclass(frozen=True, repr=False, eq=False)
class NoisyRuns(PrintsTable):
    """Mean squared distances of heavy ball with noise, beside the floors."""

    rates: list[float]
    betas: list[float]
    squares: Float[Array, "settings steps"]
    floors: Float[Array, " settings"]

    @property
    def measured(self) -> Float[Array, " settings"]:
        """Mean over the last half of the steps."""
        return self.squares[:, self.squares.shape[1] // 2 :].mean(1)

    def table(self):
        effective = [rate / (1 - beta) for rate, beta in zip(self.rates, self.betas, strict=True)]
        return Table(
            {
                "α": self.rates,
                "β": self.betas,
                "α / (1 − β)": [f"{step:.3g}" for step in effective],
                "floor, formula": [f"{floor:.3f}" for floor in self.floors],
                "floor, measured": [f"{floor:.3f}" for floor in self.measured],
            }
        )


def noisy_runs(settings, rng, lam=0.1) -> NoisyRuns:
    """A thousand runs from 10 for each pair (alpha, beta), with standard normal errors."""

    def noisy(k, x):
        return lam * x + rng.normal(size=x.shape)

    n_steps, n_runs, squares = 1_000, 1_000, []
    for alpha, beta in settings:
        points = walk(HeavyBall(alpha, beta), np.full((n_runs, 1), 10.0), noisy, n_steps)
        squares.append((points**2).mean((1, 2)))
    rates, betas = (list(column) for column in zip(*settings, strict=True))
    floors = np.array([noise_floor(*pair, lam, 1.0) for pair in settings])
    return NoisyRuns(rates, betas, np.array(squares), floors)
