r"""What logit estimates say and how far they can be trusted.


X  design matrix (n, p), first column 1     p_i   fitted probability of y_i = 1
y  0 or 1 (n,)                              se    standard error, from the inverse Hessian
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from dlcourse import _checks
from dlcourse.linear import logistic
from dlcourse.linear.newton import SeparableError
from dlcourse.losses import sigmoid
from dlcourse.tables import PrintsTable, Table

Array = np.ndarray
Z = NormalDist().inv_cdf(0.975)  # standard errors on each side of a 95% interval


class LogitData(NamedTuple):
    """Observations of a logit, and the coefficients that made them."""

    X: Float[Array, "n p"]
    y: Float[Array, " n"]
    beta: Float[Array, " p"]

    def __repr__(self):
        ones = int(self.y.sum())
        return (
            f"{len(self.y)} observations of a logit, {ones} of them 1\n"
            f"true beta = {np.array2string(self.beta, precision=4, separator=' ')}"
        )


def logit_data(n: int, beta: Float[Array, " p"], rng, correlation: float = 0.0) -> LogitData:
    r"""Draw outcomes with :math:`\Pr(y_i = 1 \mid x_i) = \sigma(x_i^\top \beta)`.

    The first column of X is 1; the other features are standard normal, any two of them with the
    given `correlation`. Raises `ValueError` unless `n` is a count, `beta` a vector, `correlation`
    in [0, 1) and `rng` a generator.

    >>> logit_data(50, np.array([-1.0, 2.0]), rng=np.random.default_rng(0))
    50 observations of a logit, 18 of them 1
    true beta = [-1.  2.]
    """
    _checks.generator(rng)
    n, beta = _checks.count(n, "n"), _checks.vector(beta, "beta")
    if not 0 <= correlation < 1:
        raise ValueError(f"`correlation` must lie in [0, 1), got {correlation!r}.")
    own, common = rng.normal(size=(n, len(beta))), rng.normal(size=(n, 1))
    X = np.sqrt(1 - correlation) * own + np.sqrt(correlation) * common
    X[:, 0] = 1.0
    return LogitData(X, (rng.random(n) < sigmoid(X @ beta)).astype(float), beta)


@dataclass(frozen=True, repr=False)
class Repeated(PrintsTable):
    """Estimates of the last coefficient over many samples of each size."""

    truth: float
    sizes: Int[Array, " n_sizes"]
    estimates: list[Float[Array, " _"]]  # one array a size: the samples that have an estimate
    standard_errors: list[Float[Array, " _"]]
    n_draws: int

    @property
    def no_estimate(self) -> Float[Array, " n_sizes"]:
        """Share of the samples whose classes are separable."""
        return np.array([1 - len(found) / self.n_draws for found in self.estimates])

    @property
    def means(self) -> Float[Array, " n_sizes"]:
        return np.array([found.mean() for found in self.estimates])

    @property
    def coverage(self) -> Float[Array, " n_sizes"]:
        """Share of the 95% intervals that hold the truth, of those that exist."""
        pairs = zip(self.estimates, self.standard_errors, strict=True)
        return np.array([(np.abs(b - self.truth) <= Z * se).mean() for b, se in pairs])

    def table(self):
        return Table(
            {
                "n": self.sizes,
                "no estimate": [f"{share:.1%}" for share in self.no_estimate],
                "mean": [f"{m:.3f}" for m in self.means],
                "sd": [f"{found.std(ddof=1):.3f}" for found in self.estimates],
                "mean s.e.": [f"{se.mean():.3f}" for se in self.standard_errors],
                "coverage": [f"{c:.1%}" for c in self.coverage],
            }
        )


def repeat(beta: Float[Array, " p"], sizes: Sequence[int], n_draws: int, rng) -> Repeated:
    """Draw `n_draws` samples of each size from a logit, and fit each that can be fitted.

    Raises `ValueError` unless `beta` is a vector and `n_draws` a count.
    """
    beta, n_draws = _checks.vector(beta, "beta"), _checks.count(n_draws, "n_draws")
    fits = [_fit_draws(beta, n, n_draws, rng) for n in sizes]
    estimates, standard_errors = ([f[:, column] for f in fits] for column in (0, 1))
    return Repeated(float(beta[-1]), np.array(sizes), estimates, standard_errors, n_draws)


def _fit_draws(beta, n, n_draws, rng):
    found = []
    for _ in range(n_draws):
        X, y, _ = logit_data(n, beta, rng)
        if y.min() == y.max():  # one class only: the intercept alone separates
            continue
        try:
            at = logistic.by_newton(X, y).coefficients
        except SeparableError:
            continue
        found.append((at[-1], standard_errors(X, at)[-1]))
    return np.array(found)


def standard_errors(X: Float[Array, "n p"], beta: Float[Array, " p"]) -> Float[Array, " p"]:
    """Square roots of the diagonal of the inverse Hessian of the summed loss.

    Book: eq. `eq-logistic-covariance`.

    >>> standard_errors(np.ones((100, 1)), np.zeros(1))
    array([0.2])
    """
    return np.sqrt(np.diag(logistic.covariance(X, beta)))


def average_effects(X: Float[Array, "n p"], beta: Float[Array, " p"]) -> Float[Array, " p"]:
    r"""By how much the probability rises with each feature, on average over the observations.

    .. displayed:: eq-logistic-average-effect

    Raises `ValueError` unless `X` is a matrix and `beta` fits it.

    >>> average_effects(np.array([[1.0, 0.0]]), np.array([0.0, 2.0]))
    array([0. , 0.5])
    """
    X = _checks.design_matrix(X)
    beta = _checks.points(beta, X.shape[1], "beta")
    p = sigmoid(X @ beta)
    return (p * (1 - p)).mean() * beta


@dataclass(frozen=True, repr=False)
class Report(PrintsTable):
    """A fitted logit, one row a feature, in the three scales in which it can be told."""

    names: tuple[str, ...]
    coefficients: Float[Array, " p"]  # the intercept first
    standard_errors: Float[Array, " p"]
    effects: Float[Array, " p"]

    @property
    def odds_ratios(self) -> Float[Array, " p"]:
        return np.exp(self.coefficients)

    @property
    def intervals(self) -> Float[Array, "p 2"]:
        """95% intervals of the odds ratios: those of the coefficients, exponentiated."""
        half = Z * self.standard_errors
        return np.exp(np.stack([self.coefficients - half, self.coefficients + half], axis=1))

    def table(self):
        rows = range(1, len(self.coefficients))  # the odds at zero features are rarely of interest
        return Table(
            {
                "feature": list(self.names),
                "coefficient": [f"{self.coefficients[j]:.2f}" for j in rows],
                "s.e.": [f"{self.standard_errors[j]:.2f}" for j in rows],
                "odds ratio": [f"{self.odds_ratios[j]:.1f}" for j in rows],
                "95% interval": ["{:.1f} to {:.1f}".format(*self.intervals[j]) for j in rows],
                "average effect": [f"{self.effects[j]:.3f}" for j in rows],
            }
        )


def report(X: Float[Array, "n p"], y: Float[Array, " n"], names: Sequence[str]) -> Report:
    """Fit by maximum likelihood, and put coefficients, odds ratios and average effects together.

    `names` are those of the features, without the intercept. Raises `ValueError` as
    `logistic.by_newton` does, and where the first column of `X` is not the intercept.
    """
    X = _checks.design_matrix(X)
    if (X[:, 0] != 1).any() or len(names) != X.shape[1] - 1:
        raise ValueError(
            f"`X` must have a first column of ones and then {len(names)} features, as many as "
            f"`names`, got {X.shape[1]} columns. Use `np.column_stack([np.ones(n), features])`."
        )
    beta = logistic.by_newton(X, y).coefficients
    return Report(tuple(names), beta, standard_errors(X, beta), average_effects(X, beta))


@dataclass(frozen=True, repr=False)
class Multinomial(PrintsTable):
    """A fitted multinomial logit: each class against the base class."""

    names: tuple[str, ...]  # of the columns of X
    base: int
    theta: Float[Array, "m p"]  # rows sum to zero
    standard_errors: Float[Array, "m p"]  # of theta - theta[base]; zero in the row of the base
    eigenvalues: Float[Array, " mp"]  # of the Hessian at theta, sorted

    @property
    def contrasts(self) -> Float[Array, "m p"]:
        """Coefficients relative to the base class."""
        return self.theta - self.theta[self.base]

    @property
    def n_flat(self) -> int:
        """Directions of theta in which the likelihood does not change."""
        return int((self.eigenvalues < 1e-10 * self.eigenvalues[-1]).sum())

    def table(self):
        others = [k for k in range(len(self.theta)) if k != self.base]
        columns = {"feature": list(self.names)}
        for k in others:
            pairs = zip(self.contrasts[k], self.standard_errors[k], strict=True)
            columns[f"{k} against {self.base}"] = [f"{b:.2f} ({se:.2f})" for b, se in pairs]
        return Table(columns)


def multinomial(
    X: Float[Array, "n p"], labels: Int[Array, " n"], names: Sequence[str], base: int = 0
) -> Multinomial:
    """Fit a multinomial logit; standard errors from the Hessian without the base class.

    `names` has one entry a column of X. Raises `ValueError` as `logistic.softmax_by_newton` does.
    Book: eq. `eq-softmax-base`, `eq-softmax-hessian`.
    """
    X = _checks.design_matrix(X)
    if len(names) != X.shape[1]:
        raise ValueError(f"`names` must have {X.shape[1]} entries, one a column, got {names!r}.")
    theta = logistic.softmax_by_newton(X, labels).coefficients
    m, p = theta.shape
    if _checks.count(base, "base", least=0) >= m:
        raise ValueError(f"`base` must be one of the classes 0, ..., {m - 1}, got {base!r}.")
    hessian = logistic.softmax_hessian(X, theta)
    free = np.repeat(np.arange(m) != base, p)  # theta[base] is held at zero
    errors = np.zeros(m * p)
    errors[free] = np.sqrt(np.diag(np.linalg.inv(len(X) * hessian[np.ix_(free, free)])))
    eigenvalues = np.linalg.eigvalsh(hessian)
    return Multinomial(tuple(names), base, theta, errors.reshape(m, p), eigenvalues)
