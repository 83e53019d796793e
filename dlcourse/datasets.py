r"""Generated data that carry their truth with them. Floor 0: every room may call it.

X  design matrix (n, p)      beta      true coefficients (p,)
y  outcome (n,)              noise_sd  standard deviation sigma of the errors, in units of y
x  one feature (n,)          truth     the true curve, a function of x

Each generator draws from the `rng` it is given and from nothing else; it raises `ValueError` for a
seed in its place, and for numbers of rows that are not whole.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr, ndtri

from dlcourse import _checks

Array = np.ndarray


class LinearData(NamedTuple):
    """Observations of a linear model, and the coefficients that made them."""

    X: Float[Array, "n p"]
    y: Float[Array, " n"]
    beta: Float[Array, " p"]
    noise_sd: float

    def __repr__(self):
        n, p = self.X.shape
        return (
            f"{n} observations of a linear model with {p} coefficients\n"
            f"true beta = {_short(self.beta)}, noise sd = {self.noise_sd:g}"
        )


class CurveData(NamedTuple):
    """Noisy observations of one curve on [-1, 1], and the curve."""

    x: Float[Array, " n"]
    y: Float[Array, " n"]
    truth: Callable
    noise_sd: float

    def __repr__(self):
        return f"{len(self.x)} observations of {self.truth.__name__}, noise sd = {self.noise_sd:g}"


def linear_model(
    n: int, beta: Float[Array, " p"], noise_sd: float, rng, correlation: float = 0.0
) -> LinearData:
    r"""Draw :math:`y = X\beta + u`; the first column of X is 1, for the intercept.

    The other features are standard normal, and any two have the given `correlation`, at least 0 and
    below 1. Raises `ValueError` unless `n` is a count, `beta` a vector, `noise_sd` 0 or more,
    `correlation` in [0, 1) and `rng` a generator.

    >>> linear_model(50, np.array([1.0, -2.0]), noise_sd=0.5, rng=np.random.default_rng(0))
    50 observations of a linear model with 2 coefficients
    true beta = [ 1. -2.], noise sd = 0.5
    """
    _checks.generator(rng)
    n, beta = _checks.count(n, "n"), _checks.vector(beta, "beta")
    _checks.not_negative(noise_sd, "noise_sd")
    if not 0 <= correlation < 1:
        raise ValueError(f"`correlation` must lie in [0, 1), got {correlation!r}.")
    own, common = rng.normal(size=(n, len(beta))), rng.normal(size=(n, 1))
    X = np.sqrt(1 - correlation) * own + np.sqrt(correlation) * common
    X[:, 0] = 1.0
    return LinearData(X, X @ beta + noise_sd * rng.normal(size=n), beta, noise_sd)


def decoy(n: int, rng) -> LinearData:
    r"""Four features make y; a fifth, nearly their sum, explains more than each and is not needed.

    .. math:: y = x_1 + x_2 + x_3 + x_4 + 0.3 \, u, \qquad
              x_5 = x_1 + x_2 + x_3 + x_4 + 0.8 \, v

    Forward stepwise selection takes the decoy first and keeps it; the best four features are the
    first four. Three more have nothing to do with y. There is no intercept. Raises `ValueError`
    unless `n` is a count and `rng` a generator.

    >>> decoy(200, np.random.default_rng(0))
    200 observations of a linear model with 8 coefficients
    true beta = [1. 1. 1. 1. 0. 0. 0. 0.], noise sd = 0.3
    """
    _checks.generator(rng)
    n, beta = _checks.count(n, "n"), np.repeat([1.0, 0.0], 4)
    X = rng.normal(size=(n, 8))
    X[:, 4] = X @ beta + 0.8 * rng.normal(size=n)
    return LinearData(X, X @ beta + 0.3 * rng.normal(size=n), beta, 0.3)


def design_with_singular_values(
    n: int, singular_values: Float[Array, " p"], rng
) -> Float[Array, "n p"]:
    r"""A random :math:`X = U \Sigma V^\top` with the given singular values, all else at random.

    Raises `ValueError` where `n` is no count or below p, and where `rng` is no generator.

    >>> X = design_with_singular_values(20, np.array([100.0, 1.0]), np.random.default_rng(0))
    >>> np.linalg.svd(X, compute_uv=False).round(6)
    array([100.,   1.])
    """
    _checks.generator(rng)
    n, singular_values = _checks.count(n, "n"), _checks.vector(singular_values, "singular_values")
    p = len(singular_values)
    if n < p:
        raise ValueError(f"`n` must be at least the number of singular values {p}, got {n}.")
    U, _ = np.linalg.qr(rng.normal(size=(n, p)))
    V, _ = np.linalg.qr(rng.normal(size=(p, p)))
    return (U * singular_values) @ V.T


def s_curve(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    r"""Share of the largest possible sales reached at advertising x, rescaled to [-1, 1].

    .. displayed:: eq-s-curve

    Slow start, steep middle, saturation.

    >>> s_curve(np.array([0.2]))
    array([0.5])
    """
    return 1 / (1 + np.exp(-6 * (x - 0.2)))


def sales_response(n: int, noise_sd: float, rng) -> CurveData:
    """Sales of `n` markets whose advertising is uniform on [-1, 1]: `s_curve` plus normal noise.

    Raises `ValueError` unless `n` is a count, `noise_sd` 0 or more and `rng` a generator.

    >>> sales_response(100, noise_sd=0.3, rng=np.random.default_rng(0))
    100 observations of s_curve, noise sd = 0.3
    """
    _checks.generator(rng)
    _checks.not_negative(noise_sd, "noise_sd")
    x = rng.uniform(-1, 1, size=_checks.count(n, "n"))
    return CurveData(x, s_curve(x) + noise_sd * rng.normal(size=n), s_curve, noise_sd)


class Lognormal(NamedTuple):
    r"""Demand whose logarithm is normal around a line in the feature x.

    .. displayed:: eq-erm-demand

    Skewed to the right: the mean lies above the median.
    """

    intercept: float
    slope: float
    log_sd: float

    def mean(self, x):
        """Mean demand at x."""
        return np.exp(self.intercept + self.slope * x + self.log_sd**2 / 2)

    def quantile(self, x, level):
        """The demand at x that is not exceeded with probability `level`.

        >>> Lognormal(0.0, 1.0, 0.5).quantile(np.array([0.0]), level=0.5)
        array([1.])
        """
        return np.exp(self.intercept + self.slope * x + self.log_sd * ndtri(level))

    def exceeds(self, x, level):
        """Probability that demand at x is larger than `level`."""
        return ndtr((self.intercept + self.slope * x - np.log(level)) / self.log_sd)

    def expected_shortfall(self, x, order):
        """Mean of what is asked for and not there, E max(Y - order, 0), for orders above zero."""
        d = (self.intercept + self.slope * x - np.log(order)) / self.log_sd
        return self.mean(x) * ndtr(d + self.log_sd) - order * ndtr(d)


class DemandData(NamedTuple):
    """Demand of n days, a feature known the day before, and the law that made them."""

    x: Float[Array, " n"]
    y: Float[Array, " n"]
    truth: Lognormal

    def __repr__(self):
        return f"{len(self.x)} days of demand, log sd = {self.truth.log_sd:g}"


def skewed_demand(n: int, truth: Lognormal, rng) -> DemandData:
    """Draw `n` days whose feature is uniform on [-1, 1].

    Raises `ValueError` unless `n` is a count and `rng` a generator.

    >>> skewed_demand(100, Lognormal(4.0, 1.0, 0.5), np.random.default_rng(0))
    100 days of demand, log sd = 0.5
    """
    _checks.generator(rng)
    x = rng.uniform(-1, 1, size=_checks.count(n, "n"))
    y = np.exp(truth.intercept + truth.slope * x + truth.log_sd * rng.normal(size=n))
    return DemandData(x, y, truth)


def _short(values):
    return np.array2string(np.asarray(values), precision=4, separator=" ", threshold=10)
