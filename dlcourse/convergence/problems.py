"""Problems with a known minimizer: drawn at random, worst for a rule, or made from data.

p  number of coefficients      m, M  smallest and largest curvature; kappa = M / m
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from dlcourse.functions import LogCosh
from dlcourse.losses import Quadratic, SquaredError
from dlcourse.optim import minimize

Array = np.ndarray


class Problem(NamedTuple):
    """A convex function whose minimizer and curvatures are known, and a point to start from."""

    f: Callable
    x0: Float[Array, " p"]
    minimizer: Float[Array, " p"]
    m: float
    M: float

    @property
    def kappa(self) -> float:
        return self.M / self.m

    @property
    def distance(self) -> float:
        return float(np.linalg.norm(self.x0 - self.minimizer))

    def relative_gaps(self, optimizer, n_steps) -> Float[Array, " steps"]:
        """Gap after 0, 1, ..., n_steps steps as a share of the first gap."""
        values = minimize(self.f, self.x0, optimizer, max_steps=n_steps).values
        gaps = values - self.f(self.minimizer)[0]
        return gaps / gaps[0]


def random_problem(rng, p, m=0.0) -> Problem:
    """A quadratic or a ridged log-cosh in p dimensions with strong convexity m and M = 1.

    With m = 0 the quadratic is flat along one direction.
    """
    center, direction = rng.normal(size=(2, p))
    if rng.random() < 0.5:
        f = Quadratic(_random_curvatures(rng, p, m), center)
    else:
        A = rng.normal(size=(2 * p, p)) * np.exp(rng.normal(size=p))
        largest = np.linalg.eigvalsh(A.T @ A / len(A))[-1]
        f = LogCosh(A * np.sqrt((1 - m) / largest), center, m)
    distance = np.exp(rng.uniform(-1, 4))
    x0 = center + distance * direction / np.linalg.norm(direction)
    return Problem(f, x0, center, m, M=1.0)


def random_bowl(rng, p, m) -> Problem:
    """A quadratic in p dimensions with random axes, curvatures from m to M = 1, start at 1."""
    direction = rng.normal(size=p)
    bowl = Quadratic(_random_curvatures(rng, p, m), np.zeros(p))
    return Problem(bowl, direction / np.linalg.norm(direction), np.zeros(p), m, M=1.0)


def _random_curvatures(rng, p, m):
    inner = np.exp(rng.uniform(np.log(max(m, 1e-4)), 0, p - 2))
    axes = np.linalg.qr(rng.normal(size=(p, p)))[0]
    root = axes * np.sqrt(np.concatenate([[m], inner, [1.0]]))
    return root @ root.T


def zigzag_bowl(kappa) -> Problem:
    """The bowl with curvatures 1 and kappa, from the start where exact line search is slowest.

    Book: eq. `eq-gd-zigzag`.
    """
    bowl = Quadratic(np.diag([1.0, kappa]), np.zeros(2))
    return Problem(bowl, np.array([kappa, 1.0]), np.zeros(2), m=1.0, M=float(kappa))


def least_squares_problem(X: Float[Array, "n p"], y: Float[Array, " n"]) -> Problem:
    """Half the mean squared error from zero coefficients; its curvatures are those of X^T X / n."""
    curvatures = np.linalg.eigvalsh(X.T @ X / len(y))
    minimizer = np.linalg.lstsq(X, y, rcond=None)[0]
    return Problem(
        SquaredError(X, y), np.zeros(X.shape[1]), minimizer, curvatures[0], curvatures[-1]
    )
