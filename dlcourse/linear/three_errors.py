r"""Approximation, estimation, optimization error of one fit.

f     the truth, a curve on [-1, 1]             degree   d, so p = d + 1 coefficients
f_d   the polynomial of degree d nearest to f   features x -> design matrix (n, p)
f_n   least squares fit to n observations       f_k      gradient descent's fit after k steps

The distance between two curves is the root mean square of their difference at a uniform x:
approximation |f_d - f|, estimation |f_n - f_d|, optimization |f_k - f_n|.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float, Int
from numpy.polynomial.legendre import leggauss, legvander

from dlcourse.datasets import CurveData
from dlcourse.linear.least_squares import by_qr, largest_curvature
from dlcourse.losses import SquaredError
from dlcourse.optim import GradientDescent, minimize
from dlcourse.tables import PrintsTable, Table

Array = np.ndarray
N_NODES = 200  # integrates polynomials up to degree 399 exactly
FLOOR = 1e-8  # below it a distance is reported as smaller: its digits end in rounding


def legendre(x: Float[Array, " n"], degree: int) -> Float[Array, "n p"]:
    """Legendre polynomials, scaled so that at a uniform x they are uncorrelated with mean square 1.

    >>> legendre(np.array([0.0, 1.0]), degree=1).round(3)
    array([[1.   , 0.   ],
           [1.   , 1.732]])
    """
    return legvander(x, degree) * np.sqrt(2 * np.arange(degree + 1) + 1)


def powers(x: Float[Array, " n"], degree: int) -> Float[Array, "n p"]:
    """The columns 1, x, x^2, ...: the same polynomials as `legendre`, far from uncorrelated.

    >>> powers(np.array([2.0]), degree=3)
    array([[1., 2., 4., 8.]])
    """
    return np.vander(x, degree + 1, increasing=True)


BASES = {"powers": powers, "legendre": legendre}


@dataclass(frozen=True, repr=False)
class ThreeErrors(PrintsTable):
    """Each error along the one thing that can reduce it, all for one data set."""

    degrees: Int[Array, " n_degrees"]
    approximation: Float[Array, " n_degrees"]
    sizes: Int[Array, " n_sizes"]  # the first m observations
    estimation: Float[Array, " n_sizes"]
    expected_estimation: Float[Array, " n_sizes"]
    optimization: dict  # basis -> (n_steps + 1,) distances from the least squares fit
    degree: int
    total: float  # distance from the truth to gradient descent's last fit in powers of x

    def parts(self, basis="powers"):
        """The three errors of the fit that used all observations and all steps."""
        return (
            self.approximation[self.degrees == self.degree].item(),
            self.estimation[-1].item(),
            self.optimization[basis][-1].item(),
        )

    def table(self):
        n_steps = len(self.optimization["powers"]) - 1
        parts = (*self.parts(), self.parts("legendre")[-1])
        return Table(
            {
                "error": ["approximation", "estimation", "optimization", "optimization"],
                "falls with": ["degree", "observations", "steps (powers)", "steps (Legendre)"],
                "here": [f"{v:,}" for v in (self.degree, self.sizes[-1], n_steps, n_steps)],
                "distance": [f"{e:.4f}" if e > FLOOR else f"< {FLOOR:g}" for e in parts],
            }
        )


def measure(data: CurveData, degree: int, n_steps: int) -> ThreeErrors:
    """All three curves: over the degree, over the first m observations, over the steps.

    Raises `ValueError` for fewer than 8 observations a coefficient.
    """
    n = len(data.x)
    if n < 8 * (degree + 1):
        raise ValueError(
            f"`data` must hold at least 8 observations a coefficient, here {8 * (degree + 1)}, "
            f"to show a curve, got {n}. Draw more, or lower the degree."
        )
    degrees = range(max(12, degree) + 1)
    approximation = approximation_errors(data.truth, degrees)
    sizes = np.unique(np.geomspace(4 * (degree + 1), n, 9).round().astype(int))
    variance = data.noise_sd**2 + approximation[degree] ** 2  # what the family misses acts as noise
    fits = {name: descend(data, degree, n_steps, features) for name, features in BASES.items()}
    return ThreeErrors(
        degrees=np.array(degrees),
        approximation=approximation,
        sizes=sizes,
        estimation=estimation_errors(data, degree, sizes),
        expected_estimation=np.sqrt(variance * (degree + 1) / sizes),
        optimization={name: distance(curves, fit) for name, (curves, fit) in fits.items()},
        degree=degree,
        total=distance(fits["powers"][0][-1], data.truth(nodes()[0])).item(),
    )


def approximation_errors(truth: Callable, degrees: Sequence[int]) -> Float[Array, " n_degrees"]:
    """Distance from the truth to the nearest polynomial of each degree: no data are involved.

    >>> approximation_errors(np.square, [0, 1, 2]).round(3)
    array([0.298, 0.298, 0.   ])
    """
    x, _ = nodes()
    return np.array([distance(legendre(x, d) @ project(truth, d), truth(x)) for d in degrees])


def estimation_errors(data: CurveData, degree: int, sizes) -> Float[Array, " n_sizes"]:
    """Distance from the nearest polynomial to the least squares fit on the first m observations.

    In Legendre features a distance of curves is a distance of coefficients.
    """
    best = project(data.truth, degree)
    X = legendre(data.x, degree)
    return np.array([np.linalg.norm(by_qr(X[:m], data.y[:m]).beta - best) for m in sizes])


def descend(data: CurveData, degree: int, n_steps: int, features: Callable):
    """Curves of gradient descent at the nodes, (n_steps + 1, nodes), and the fit they aim for.

    From zero, with the step 1/L that suits the features.
    """
    X = features(data.x, degree)
    descent = minimize(
        SquaredError(X, data.y),
        np.zeros(degree + 1),
        GradientDescent(1 / largest_curvature(X)),
        max_steps=n_steps,
    )
    at_nodes = features(nodes()[0], degree)
    return descent.points @ at_nodes.T, at_nodes @ by_qr(X, data.y).beta


def project(truth: Callable, degree: int) -> Float[Array, " p"]:
    r"""Legendre coefficients of the polynomial nearest to the truth.

    .. displayed:: eq-best-coefficients

    >>> project(lambda x: 1 + x, degree=1).round(4)
    array([1.    , 0.5774])
    """
    x, weights = nodes()
    return legendre(x, degree).T @ (weights * truth(x))


def distance(f: Float[Array, "*#many nodes"], g: Float[Array, "*#many nodes"]):
    r"""Root mean square of f - g at a uniform x, from values at the nodes.

    .. displayed:: eq-distance
    """
    return np.sqrt(((f - g) ** 2) @ nodes()[1])


@cache
def nodes():
    """Gauss-Legendre points on [-1, 1], and weights that make the integral a mean."""
    x, weights = leggauss(N_NODES)
    return x, weights / 2
