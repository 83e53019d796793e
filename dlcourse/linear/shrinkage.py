r"""Ridge, lasso and elastic net, with their paths.

X  features (n, p), no column of ones     lam       penalty per observation, >= 0
y  outcome (n,)                           l1_ratio  share a of the lasso's penalty: 1 lasso, 0 ridge
Z  standardized features (n, p)           b         their coefficients (p,)

.. math:: J(b) = \frac{1}{2n} \lVert y - \bar y - Z b \rVert^2
          + \lambda \Bigl( a \lVert b \rVert_1 + \frac{1 - a}{2} \lVert b \rVert^2 \Bigr)

A penalty compares coefficients, so each column of X is first given mean 0 and standard deviation 1
(divisor n), and the answer is translated back into the units of X. The intercept is never
penalized: with centered columns it is the mean of y.

Other conventions for the same fit, on standardized columns: scikit-learn's `Lasso` and `ElasticNet`
call our `lam` alpha, its `Ridge` has alpha = n lam, and its `StandardScaler` is our
standardization. The textbook form RSS + lam' (penalty) has lam' = n lam for ridge, 2 n lam for the
lasso. R's glmnet has our form, but standardizes y as well.

One pass over the data computes the moments Z'Z/n and Z'y/n, and no later step grows with n. That
pays while p is at most a few thousand.
"""

import warnings
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from dlcourse import _checks
from dlcourse.linear.coordinate_descent import MAX_ROUNDS, Problem, duality_gap, minimizer

Array = np.ndarray


class Standardized(NamedTuple):
    """Columns with mean 0 and standard deviation 1, and what they were."""

    Z: Float[Array, "n p"]
    mean: Float[Array, " p"]
    sd: Float[Array, " p"]

    def in_units_of_X(self, b: Float[Array, "*many p"], y_mean: float):
        r"""Intercept and coefficients for the original columns.

        .. math:: \beta_j = \frac{b_j}{s_j}, \qquad \beta_0 = \bar y - \bar x^\top \beta
        """
        beta = b / self.sd
        return y_mean - beta @ self.mean, beta


@dataclass(frozen=True, repr=False, eq=False)
class Path:
    """Fits at one penalty (no leading axis) or along many (the leading axis of every array)."""

    lam: float | Float[Array, "*lams"]
    intercept: float | Float[Array, "*lams"]
    beta: Float[Array, "*lams p"]  # in the units of X
    standardized: Float[Array, "*lams p"]  # b: a change of one standard deviation
    gap: float | Float[Array, "*lams"]  # J(b) is at most this above its minimum; unit: y squared
    l1_ratio: float

    @property
    def n_active(self) -> np.integer | Int[Array, "*lams"]:
        """How many coefficients are not exactly zero."""
        return np.count_nonzero(self.beta, axis=-1)

    def predict(self, X: Float[Array, "m p"]) -> Float[Array, "*lams m"]:
        """Outcomes for the rows. Raises `ValueError` unless `X` is a matrix of finite numbers."""
        return np.expand_dims(self.intercept, -1) + self.beta @ _checks.design_matrix(X).T

    def __repr__(self):
        name = {0.0: "ridge", 1.0: "lasso"}.get(self.l1_ratio, f"elastic net ({self.l1_ratio:g})")
        p = self.beta.shape[-1]
        if self.beta.ndim == 1:
            digits = np.array2string(self.beta.round(4) + 0.0, separator=" ", threshold=20)
            return (
                f"{name} at lam = {self.lam:.4g}: {self.n_active} of {p} coefficients not zero\n"
                f"intercept = {self.intercept:.4f}, beta = {digits}"
            )
        return (
            f"{name} path: {len(self.lam)} penalties from {self.lam[0]:.4g} to {self.lam[-1]:.4g}, "
            f"{self.n_active.min()} to {self.n_active.max()} of {p} coefficients not zero"
        )


def standardize(X: Float[Array, "n p"]) -> Standardized:
    r"""Give each column mean 0 and standard deviation 1 (divisor n).

    .. math:: z_{ij} = \frac{x_{ij} - \bar x_j}{s_j}

    Raises `ValueError` where a column is constant.

    >>> standardize(np.array([[1.0], [3.0]])).Z.ravel()
    array([-1.,  1.])
    """
    X = _checks.design_matrix(X)
    mean = X.mean(0)
    Z = X - mean
    sd = np.sqrt(np.einsum("ij,ij->j", Z, Z) / len(X))
    is_constant = sd <= 1e-14 * np.abs(mean)
    if is_constant.any():
        raise ValueError(
            f"Every column of `X` must vary, but column {is_constant.argmax()} is constant. Drop "
            "it: the intercept is added, and left unpenalized, without a column of ones."
        )
    return Standardized(Z / sd, mean, sd)


def ridge(X: Float[Array, "n p"], y: Float[Array, " n"], lam: float) -> Path:
    r"""Ridge regression in closed form.

    .. math:: \hat b = (Z^\top Z / n + \lambda I)^{-1} Z^\top y / n

    One penalty for all: for several, `elastic_net(X, y, lams, l1_ratio=0)`. Raises `ValueError`
    unless `lam` is positive and the data are regression data.
    Reference: Hoerl and Kennard (1970).

    >>> ridge(np.array([[-1.0], [1.0]]), np.array([0.0, 4.0]), lam=1.0)
    ridge at lam = 1: 1 of 1 coefficients not zero
    intercept = 2.0000, beta = [1.]
    """
    data = _Data.of(X, y, 0.0)
    _checks.positive(lam, "lam")
    gram, moments = data.problem.gram, data.problem.moments
    b = np.linalg.solve(gram + lam * np.eye(len(gram)), moments)
    return data.fit(np.asarray(lam, float), b)


def lasso(
    X: Float[Array, "n p"], y: Float[Array, " n"], lam: float, *, tolerance: float = 0.0
) -> Path:
    r"""The elastic net with `l1_ratio` 1: sets coefficients to exactly zero.

    Reference: Tibshirani (1996).

    >>> lasso(np.array([[-1.0], [1.0]]), np.array([0.0, 4.0]), lam=0.5)
    lasso at lam = 0.5: 1 of 1 coefficients not zero
    intercept = 2.0000, beta = [1.5]
    """
    return elastic_net(X, y, lam, 1.0, tolerance=tolerance)


def elastic_net(
    X: Float[Array, "n p"],
    y: Float[Array, " n"],
    lam: float | Float[Array, " lams"],
    l1_ratio: float,
    *,
    tolerance: float = 0.0,
) -> Path:
    r"""Coordinate descent on J, until all optimality conditions hold, up to rounding.

    With a `tolerance`, until the duality gap is at most `tolerance` times y's variance. Where
    columns are combinations of others, as with p > n, the minimizer need not be unique. Several
    penalties are taken in their order, each fit started from the last one: go downward. Raises
    `ValueError` where `lam` or `l1_ratio` is out of range or a column is constant.
    Reference: Zou and Hastie (2005); Friedman, Hastie and Tibshirani (2010).
    """
    return _fit_each(_Data.of(X, y, l1_ratio), _check_lam(lam), tolerance)


def path(
    X: Float[Array, "n p"],
    y: Float[Array, " n"],
    l1_ratio: float = 1.0,
    *,
    n_lams: int = 100,
    ratio: float = 1e-3,
    tolerance: float = 0.0,
) -> Path:
    """Fits from the largest useful penalty, where all coefficients are zero, down to its `ratio`.

    The penalties are evenly spaced on a log scale. Raises `ValueError` unless `n_lams` is a count
    and `ratio` between 0 and 1.
    """
    n_lams = _checks.count(n_lams, "n_lams")
    if not (_checks.is_number(ratio) and 0 < ratio < 1):
        raise ValueError(f"`ratio` must lie between 0 and 1, got {ratio!r}: the path goes down.")
    data = _Data.of(X, y, l1_ratio)
    largest = data.largest_lam()
    return _fit_each(data, np.geomspace(largest, ratio * largest, n_lams), tolerance)


def largest_lam(X: Float[Array, "n p"], y: Float[Array, " n"], l1_ratio: float = 1.0) -> float:
    r"""The smallest penalty at which every coefficient is zero.

    .. math:: \lambda_{\max} = \frac{\max_j | z_j^\top y |}{n a}

    >>> largest_lam(np.array([[-1.0], [1.0]]), np.array([0.0, 4.0]))
    2.0
    """
    return _Data.of(X, y, l1_ratio).largest_lam()


class _Data(NamedTuple):
    """The problem in standardized features, and what leads back to the units of X."""

    problem: Problem
    features: Standardized
    y_mean: float

    @classmethod
    def of(cls, X, y, l1_ratio):
        if not (_checks.is_number(l1_ratio) and 0 <= l1_ratio <= 1):
            raise ValueError(f"`l1_ratio` must lie in [0, 1]: 1 lasso, 0 ridge; got {l1_ratio!r}.")
        X, y = (data.astype(float, copy=False) for data in _checks.regression_data(X, y))
        features, n, y_mean = standardize(X), len(y), float(y.mean())
        Z, centered = features.Z, y - y_mean
        variance = float(centered @ centered / n)
        if variance <= 1e-28 * y_mean**2:
            raise ValueError("`y` must vary: all its entries are equal, so nothing is explained.")
        return cls(Problem(Z.T @ Z / n, centered @ Z / n, variance, l1_ratio), features, y_mean)

    def largest_lam(self):
        if self.problem.l1_ratio == 0:
            raise ValueError(
                "`l1_ratio` must be above 0 here: ridge sets no coefficient to zero at any "
                "penalty. Give `elastic_net` or `ridge` the penalties you want."
            )
        return float(np.abs(self.problem.moments).max() / self.problem.l1_ratio)

    def fit(self, lam, b):
        intercept, beta = self.features.in_units_of_X(b, self.y_mean)
        gap = duality_gap(self.problem, b, lam)
        return Path(lam, intercept, beta, b, gap, self.problem.l1_ratio)


def _fit_each(data, lam, tolerance):
    """Fits along the penalties, each started from the one before."""
    b, fits, all_reached = np.zeros(len(data.problem.moments)), [], True
    for each in np.atleast_1d(lam).tolist():
        b, is_reached = minimizer(data.problem, b, each, tolerance)
        fits.append(b)
        all_reached &= is_reached
    found = data.fit(lam, np.stack(fits).reshape(*lam.shape, -1))
    if not all_reached:
        warnings.warn(
            f"Coordinate descent left a duality gap of {found.gap.max():.2g} after {MAX_ROUNDS} "
            "rounds at one penalty; `gap` says where. Raise `tolerance` or end at a larger `lam`.",
            RuntimeWarning,
            stacklevel=3,
        )
    return found


def _check_lam(lam):
    lam = _checks.as_floats(lam, "lam")
    if lam.ndim > 1 or lam.size == 0 or not (np.isfinite(lam).all() and (lam > 0).all()):
        raise ValueError(
            f"`lam` must be a positive number, or several (k,), got {lam}. "
            "Without a penalty use `least_squares.by_qr`."
        )
    return lam
