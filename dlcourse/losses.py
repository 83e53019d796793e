"""Losses that return their value and their gradient. Floor 0: every room may call them.

X  design matrix (n, p)      A  symmetric matrix (p, p)
y  outcome (n,)              x, beta  the point (p,) or, many runs at once, (*runs, p)
m  number of classes         theta  m classes of p coefficients each (*runs, mp)

Each loss is a record: made once from its data, then called at a point, `value, gradient = loss(x)`.
Data that are lists, tables or integers are converted when the record is made. Where a mean over
observations takes `weights` (n,), it is a weighted mean: only their proportions matter. Weights of
classes are weights of observations too, `class_weights[labels]`; PyTorch's losses with
`weight=class_weights` are the same mean.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Real
from scipy.special import log_softmax

from dlcourse import _checks

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class SquaredError:
    r"""Half the mean squared error of the linear model :math:`X\beta`.

    .. displayed:: eq-half-mean-squared-error, eq-ols-gradient

    The factor 1/(2n) keeps the scale, and so the usable step size, independent of n. With `weights`
    each square counts by its share of their sum in place of 1/n. Raises `ValueError` unless these
    and the data are finite numbers whose shapes fit.

    >>> loss = SquaredError(np.eye(2), np.array([1.0, 2.0]))
    >>> value, gradient = loss(np.zeros(2))
    >>> float(value), gradient
    (1.25, array([-0.5, -1. ]))
    """

    X: Float[Array, "n p"]
    y: Float[Array, " n"]
    weights: Real[Array, " n"] | None = None

    def __post_init__(self):
        X, y = _checks.regression_data(self.X, self.y)
        _keep(self, X=X, y=y, shares=_checks.shares(self.weights, len(y)))

    def __call__(self, beta: Float[Array, "*runs p"]):
        residual = _points(beta, self.X) @ self.X.T - self.y  # (*runs, n)
        weighted = self.shares * residual
        return (weighted * residual).sum(-1) / 2, weighted @ self.X


@dataclass(frozen=True, eq=False)
class SumOfSquares:
    r"""The sum of squared residuals, 2n times `SquaredError`: usable steps are 2n times smaller.

    .. displayed:: eq-sum-of-squares

    .. math:: \nabla S(\beta) = 2 X^\top (X\beta - y)

    Raises `ValueError` unless `X` and `y` are regression data of finite numbers.
    Book: eq. `eq-usable-steps`.

    >>> value, gradient = SumOfSquares(np.eye(2), np.array([1.0, 2.0]))(np.zeros(2))
    >>> float(value), gradient
    (5.0, array([-2., -4.]))
    """

    X: Float[Array, "n p"]
    y: Float[Array, " n"]

    def __post_init__(self):
        X, y = _checks.regression_data(self.X, self.y)
        _keep(self, X=X, y=y)

    def __call__(self, beta: Float[Array, "*runs p"]):
        residual = _points(beta, self.X) @ self.X.T - self.y  # (*runs, n)
        return (residual**2).sum(-1), 2 * residual @ self.X


@dataclass(frozen=True, eq=False)
class Quadratic:
    r"""The bowl with curvature matrix `A` around the minimizer `center`.

    .. math:: f(x) = \tfrac12 (x - c)^\top A (x - c), \qquad \nabla f(x) = A (x - c)

    Its minimum is 0; the eigenvalues of `A` are the curvatures. Raises `ValueError` unless `A` is
    symmetric and points have the size of `center`.

    >>> Quadratic(np.diag([1.0, 10.0]), center=np.zeros(2))(np.array([1.0, 1.0]))
    (np.float64(5.5), array([ 1., 10.]))
    """

    A: Float[Array, "p p"]
    center: Float[Array, " p"]

    def __post_init__(self):
        A, center = _checks.numbers(self.A, "A"), _checks.numbers(self.center, "center")
        if center.ndim != 1 or A.shape != 2 * center.shape:
            raise ValueError(
                "`A` must be a matrix (p, p) and `center` a vector (p,), got shapes "
                f"{A.shape} and {center.shape}."
            )
        if not np.allclose(A, A.T, rtol=1e-12, atol=0):
            raise ValueError(
                "`A` must be symmetric, or the gradient is not A(x - center). "
                "Use `(A + A.T) / 2`: it gives the same f."
            )
        _keep(self, A=A, center=center)

    def __call__(self, x: Float[Array, "*runs p"]):
        shift = _points(x, self.A, "x") - self.center
        gradient = shift @ self.A  # A is symmetric
        return (shift * gradient).sum(-1) / 2, gradient


@dataclass(frozen=True, eq=False)
class LogisticLoss:
    r"""Mean negative log-likelihood of the binary logit, with an optional ridge penalty.

    .. math:: J(\beta) = -\frac1n \sum_{i=1}^n \bigl( y_i \log p_i + (1 - y_i) \log(1 - p_i) \bigr)
              + \frac12 \sum_j \lambda_j \beta_j^2, \qquad p_i = \frac{1}{1 + e^{-x_i^\top \beta}}

    .. math:: \frac{\partial J}{\partial \beta_j}
              = \frac1n \sum_{i=1}^n (p_i - y_i) \, x_{ij} + \lambda_j \beta_j

    `y` holds 0 and 1; `lam` is one number, or one a coefficient: 0 for an intercept. Computed from
    the share of the wrong class, so that neither large scores nor sure predictions lose digits.
    With `weights` each observation counts by its share of their sum in place of 1/n. Raises
    `ValueError` unless `y` holds 0 and 1, and the shapes and signs of the others fit.
    Reference: Cox (1958). Book: eq. `eq-logistic-loss`.

    >>> value, gradient = LogisticLoss(np.eye(2), np.array([1.0, 0.0]))(np.zeros(2))
    >>> round(float(value), 4), gradient
    (0.6931, array([-0.25,  0.25]))
    """

    X: Float[Array, "n p"]
    y: Float[Array, " n"]
    lam: float | Float[Array, ""] | Float[Array, " p"] = 0.0
    weights: Real[Array, " n"] | None = None

    def __post_init__(self):
        X, y = _checks.regression_data(self.X, self.y)
        _checks.zeros_and_ones(y)
        lam = _checks.per_coefficient(self.lam, X.shape[1])
        _keep(self, X=X, y=y, lam=lam, shares=_checks.shares(self.weights, len(y)))

    def __call__(self, beta: Float[Array, "*runs p"]):
        beta, signs = _points(beta, self.X), 2 * self.y - 1
        margins = signs * (beta @ self.X.T)  # (*runs, n), positive where the right class leads
        wrong = sigmoid(-margins)  # |p_i - y_i|
        value = (self.shares * np.logaddexp(0.0, -margins)).sum(-1)
        penalty = (self.lam * beta**2).sum(-1) / 2
        return value + penalty, -(self.shares * signs * wrong) @ self.X + self.lam * beta


@dataclass(frozen=True, eq=False)
class SoftmaxLoss:
    r"""Mean negative log-likelihood of the multinomial logit, with an optional ridge penalty.

    .. math:: J(\theta) = -\frac1n \sum_{i=1}^n \log p_{i, y_i}
              + \frac12 \sum_l \sum_j \lambda_{lj} \theta_{lj}^2, \qquad
              p_{ik} = \frac{e^{x_i^\top \theta_k}}{\sum_l e^{x_i^\top \theta_l}}

    .. math:: \frac{\partial J}{\partial \theta_{kj}}
              = \frac1n \sum_{i=1}^n (p_{ik} - 1\{y_i = k\}) \, x_{ij} + \lambda_{kj} \theta_{kj}

    `labels` holds the classes 0, ..., m - 1. The point is the matrix of the :math:`\theta_k` (m, p)
    laid out as one vector, class after class, so that every optimizer takes it. Adding one vector
    to every :math:`\theta_k` changes no probability, so without a penalty the minimizers are a
    family. With `weights` each observation counts by its share of their sum in place of 1/n. Raises
    `ValueError` unless `labels` count from 0, and the shapes and signs of the others fit. Book: eq.
    `eq-softmax-loss`.

    >>> value, gradient = SoftmaxLoss(np.ones((3, 1)), np.array([0, 1, 2]))(np.zeros(3))
    >>> round(float(value), 4), gradient.round(12) + 0.0
    (1.0986, array([0., 0., 0.]))
    """

    X: Float[Array, "n p"]
    labels: Int[Array, " n"]
    lam: float | Float[Array, ""] | Float[Array, " mp"] = 0.0
    weights: Real[Array, " n"] | None = None

    def __post_init__(self):
        X = _checks.design_matrix(self.X)
        labels = _checks.class_labels(self.labels, len(X))
        lam = _checks.numbers(self.lam, "lam")
        _checks.per_coefficient(lam, lam.size if lam.size % X.shape[1] == 0 else X.shape[1])
        _keep(self, X=X, labels=labels, lam=lam, shares=_checks.shares(self.weights, len(X)))

    def __call__(self, theta: Float[Array, "*runs mp"]):
        theta, p = _checks.as_floats(theta, "theta"), self.X.shape[1]
        m = max(self.labels.max() + 1, theta.shape[-1] // p if theta.ndim else 0)
        if theta.shape[-1:] != (m * p,):
            raise ValueError(
                f"`theta` must hold m = {m} classes of {p} coefficients each, "
                f"got shape {theta.shape}. Start from `np.zeros(m * p)`."
            )
        _checks.per_coefficient(self.lam, m * p)
        by_class = theta.reshape(*theta.shape[:-1], m, p)
        scores = by_class @ self.X.T  # (*runs, m, n)
        is_own = self.labels == np.arange(m)[:, None]  # (m, n)
        log_p = log_softmax(scores, axis=-2)
        value = -(self.shares * np.where(is_own, log_p, 0.0)).sum((-2, -1))
        gradient = (self.shares * (np.exp(log_p) - is_own)) @ self.X
        penalty = (self.lam * theta**2).sum(-1) / 2
        return value + penalty, gradient.reshape(theta.shape) + self.lam * theta


def sigmoid(z: float | Float[Array, "*shape"]) -> float | Float[Array, "*shape"]:
    r"""Probability of class 1 at the score z, without overflow.

    .. displayed:: eq-logistic-probability

    Raises `ValueError` where `z` holds no numbers.

    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    z = _checks.as_floats(z, "z")
    shrunk = np.exp(-np.abs(z))  # at most 1, whatever the sign of z
    return np.where(z >= 0, 1.0, shrunk) / (1 + shrunk)


def _keep(record, **converted):
    """Put the data into the frozen record as they were converted, once."""
    for name, value in converted.items():
        object.__setattr__(record, name, value)


def _points(x, matrix, name="beta"):
    return _checks.points(x, matrix.shape[1], name)
