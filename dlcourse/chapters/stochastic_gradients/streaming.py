r"""Quantile regression in one pass over a stream.

x_i, y_i  one observation (p,), number     theta    coefficients of each stream (runs, p)
level     tau of the quantile              average  mean of all thetas so far (runs, p)
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dlcourse.optim import SGD, walk
from dlcourse.tables import PrintsTable, Table

Array = np.ndarray


def pinball_subgradient(theta, x, y, level):
    r"""A subgradient of the quantile loss of one observation; one stream a row.

    .. displayed:: eq-sgd-pinball

    >>> pinball_subgradient(np.zeros((1, 2)), np.ones((1, 2)), np.array([3.0]), level=0.9)
    array([[-0.9, -0.9]])
    """
    is_above = (y <= (x * theta).sum(-1)) * 1.0
    return (is_above - level)[:, None] * x


@dataclass(frozen=True, repr=False)
class Streams(PrintsTable):
    """Root mean squared errors over many streams, of the last point and of the average."""

    seen: list[int]
    last: Float[Array, " seen"]
    average: Float[Array, " seen"]
    floor: Float[Array, " seen"]  # of the estimator that sees all rows at once, asymptotically

    def prose(self) -> dict[str, str]:
        """What the chapter's text says of the whole streams, rounded as it is read."""
        return {
            "sgd_shortfall": f"{self.average[-1] / self.floor[-1] - 1:.0%}",
            "sgd_stream": f"{self.seen[-1]:,}",
            "sgd_last": f"{self.last[-1] / self.floor[-1]:.1f}",
        }

    def table(self):
        return Table(
            {
                "observations seen": self.seen,
                "error of the last point": [f"{error:.4f}" for error in self.last],
                "error of the average": [f"{error:.4f}" for error in self.average],
                "all rows at once": [f"{error:.4f}" for error in self.floor],
            }
        )


def quantile_streams(n: int, level: float, schedule, rng, n_runs=100) -> Streams:
    """One pass over `n` observations of y = 1 + 2 x + u in each of `n_runs` streams.

    x is uniform on [-1, 1] and u logistic, so the true coefficients and the variance of the best
    regular estimator are known in closed form.
    """
    quantile = np.log(level / (1 - level))  # of the standard logistic distribution
    truth = np.array([1.0 + quantile, 2.0])
    density = level * (1 - level)  # of u at that quantile
    spread = level * (1 - level) / density**2 * (1 + 3)  # tr E[x x^T]^-1, x = (1, uniform)

    def observe(k, theta):  # what the next observation says
        x = np.column_stack([np.ones(n_runs), rng.uniform(-1, 1, n_runs)])
        y = x @ np.array([1.0, 2.0]) + rng.logistic(size=n_runs)
        return pinball_subgradient(theta, x, y, level)

    seen = np.unique(np.geomspace(min(100, n), n, 5).round()).astype(int)
    points = walk(SGD(schedule), np.zeros((n_runs, 2)), observe, n)
    averages = np.cumsum(points[1:], axis=0)[seen - 1] / seen[:, None, None]
    last, average = (
        np.sqrt(((estimates - truth) ** 2).sum(2).mean(1)) for estimates in (points[seen], averages)
    )
    return Streams(seen.tolist(), last, average, np.sqrt(spread / seen))
