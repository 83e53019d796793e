r"""Logit and softmax regression by Newton and by gradient descent.


X  design matrix (n, p), with a column of ones for the intercept    beta   coefficients (p,)
y  0 or 1 (n,); labels  the classes 0, ..., m - 1 (n,)              theta  one row a class (m, p)
lam  ridge penalty per observation; a constant column is an intercept and is never penalized

With `weights` (n,) the mean over observations is a weighted one, where only proportions matter;
weights of classes are `class_weights[y]`.

scikit-learn's `LogisticRegression(C=...)` adds the losses up instead of averaging them: its C is
our 1 / (n lam). Its default, C = 1, is a penalty; ours is none.

Without a penalty the likelihood may have no maximum: if some direction puts every observation on
its own side, or on the border, the likelihood rises along it for ever. All solvers raise
`SeparableError` when they see that.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int, Real
from scipy import special

from dlcourse import _checks
from dlcourse.linear.least_squares import largest_curvature
from dlcourse.linear.newton import Fit, SeparableError, check_overlap, descend, newton, of_one_size
from dlcourse.losses import LogisticLoss, SoftmaxLoss, sigmoid

Array = np.ndarray


def by_newton(
    X: Float[Array, "n p"],
    y: Float[Array, " n"],
    lam: float = 0.0,
    *,
    weights: Real[Array, " n"] | None = None,
    max_steps: int = 100,
) -> Fit:
    r"""Maximum likelihood by Newton's method, also called iteratively reweighted least squares.

    .. displayed:: eq-logistic-newton

    The step of the display is halved while it does not bring the loss down enough. `lam` is one
    number. Raises `SeparableError` where no finite coefficients are best, and `ValueError` where
    many are.
    Reference: Nocedal and Wright (2006), section 3.3.

    >>> X = np.column_stack([np.ones(4), [0.0, 0.0, 1.0, 1.0]])
    >>> by_newton(X, np.array([0.0, 1.0, 1.0, 1.0]), lam=0.1)
    Newton: converged, mean loss 0.508919
    coefficients = [0.7157 0.8583]
    """
    X, y, lam, weights = _binary(X, y, lam, weights)
    to_own_side = (2 * y - 1)[:, None] * of_one_size(X)
    return newton(
        LogisticLoss(X, y, lam, weights),
        lambda beta: hessian(X, beta, weights) + np.diag(lam),
        lambda direction: to_own_side @ direction,
        np.zeros(X.shape[1]),
        _checks.count(max_steps, "max_steps"),
    )


def by_gradient_descent(
    X: Float[Array, "n p"],
    y: Float[Array, " n"],
    lam: float = 0.0,
    *,
    max_steps: int = 10_000,
    tolerance: float = 1e-6,
) -> Fit:
    r"""Gradient descent from zero, with the step 1/L that the curvature bound allows.

    .. displayed:: eq-logistic-smoothness

    A penalty adds its :math:`\lambda` to L. It sees complete separation once it classifies all
    observations; of separation with ties at the border it only says that it did not converge.
    Raises `SeparableError` where it sees that, and `ValueError` for data that are no logit's.
    """
    X, y, lam, _ = _binary(X, y, lam)
    L = largest_curvature(X) / 4 + lam.max()
    fit = descend(LogisticLoss(X, y, lam), np.zeros(len(lam)), 1 / L, max_steps, tolerance)
    check_overlap((2 * y - 1) * (of_one_size(X) @ fit.coefficients), fit.coefficients, lam)
    return fit


def hessian(
    X: Float[Array, "n p"], beta: Float[Array, " p"], weights: Real[Array, " n"] | None = None
) -> Float[Array, "p p"]:
    r"""Second derivatives of the (weighted) mean loss: least squares' X'X/n, weighted by p(1 - p).

    .. displayed:: eq-logistic-hessian

    W is the diagonal matrix of the :math:`p_i (1 - p_i)`. Raises `ValueError` unless `X` is a
    matrix and `beta` and `weights` fit it.

    >>> hessian(np.array([[1.0], [1.0]]), np.zeros(1))
    array([[0.25]])
    """
    X = _checks.design_matrix(X)
    p = sigmoid(X @ _checks.points(beta, X.shape[1], "beta"))
    weighted = X * np.sqrt(_checks.shares(weights, len(X)) * p * (1 - p))[:, None]
    return weighted.T @ weighted  # A'A: NumPy calls SYRK, half the work of A'B


def covariance(X: Float[Array, "n p"], beta: Float[Array, " p"]) -> Float[Array, "p p"]:
    r"""Large-sample covariance matrix of the maximum likelihood estimator at `beta`.

    .. displayed:: eq-logistic-covariance

    Square roots of its diagonal are the standard errors.

    >>> covariance(np.ones((100, 1)), np.zeros(1))
    array([[0.04]])
    """
    H = len(X) * hessian(X, beta)
    units = np.sqrt(np.diag(H))  # a matrix with unit diagonal is inverted: no column's unit matters
    return np.linalg.inv(H / np.outer(units, units)) / np.outer(units, units)


def separating_direction(
    X: Float[Array, "n p"], y: Float[Array, " n"]
) -> Float[Array, " p"] | None:
    """A direction along which the likelihood rises for ever, or None where the maximum exists.

    Book: eq. `eq-logistic-separation`.

    >>> X = np.column_stack([np.ones(3), [0.0, 1.0, 2.0]])
    >>> direction = separating_direction(X, np.array([0.0, 0.0, 1.0]))
    >>> X @ direction > 0
    array([False, False,  True])
    """
    try:
        by_newton(X, y)
    except SeparableError as error:
        return error.direction
    return None


def softmax(scores: Float[Array, "*many m"]) -> Float[Array, "*many m"]:
    r"""Probabilities of the m classes from their scores, without overflow.

    .. displayed:: eq-softmax-probability

    The scores are the :math:`x_i^\top \theta_k`. The same number added to all scores changes
    nothing. Raises `ValueError` where `scores` holds no numbers.

    >>> softmax(np.array([1000.0, 1000.0]))
    array([0.5, 0.5])
    """
    return special.softmax(_checks.as_floats(scores, "scores"), axis=-1)


def softmax_by_newton(
    X: Float[Array, "n p"],
    labels: Int[Array, " n"],
    lam: float = 0.0,
    *,
    weights: Real[Array, " n"] | None = None,
    max_steps: int = 100,
) -> Fit:
    r"""Maximum likelihood of the multinomial logit by Newton's method.

    The likelihood fixes `theta` only up to one vector added to all its rows. The answer is the
    `theta` whose rows sum to zero, the shortest one; `theta - theta[k]` gives the coefficients
    relative to class k. The singular Hessian is completed by a matrix that acts on common shifts
    alone, so the Newton step is that of the identified part. Raises `SeparableError` where no
    finite coefficients are best, and `ValueError` where many are, beyond common shifts. Book: eq.
    `eq-softmax-base`.
    """
    X, labels, lam, weights = _multinomial(X, labels, lam, weights)
    m, p, rows = labels.max() + 1, X.shape[1], of_one_size(X)

    def hessian_at(theta):
        H = softmax_hessian(X, theta.reshape(m, p), weights) + np.diag(lam)
        curvatures = np.diag(H).reshape(m, p).mean(0)  # common shifts get some of the same size
        return H + np.kron(np.full((m, m), 1 / m), np.diag(curvatures))

    fit = newton(
        SoftmaxLoss(X, labels, lam, weights),
        hessian_at,
        lambda direction: _leads(rows, labels, direction.reshape(m, p)),
        np.zeros(m * p),
        _checks.count(max_steps, "max_steps"),
    )
    return replace(fit, coefficients=fit.coefficients.reshape(m, p))


def softmax_by_gradient_descent(
    X: Float[Array, "n p"],
    labels: Int[Array, " n"],
    lam: float = 0.0,
    *,
    max_steps: int = 10_000,
    tolerance: float = 1e-6,
) -> Fit:
    r"""Gradient descent from zero with step 1/L; its rows sum to zero at every step.

    .. math:: L = \tfrac12 \lambda_{\max}(X^\top X / n) + \lambda

    Raises `SeparableError` where it has separated the classes, and `ValueError` for data that are
    no logit's.
    """
    X, labels, lam, _ = _multinomial(X, labels, lam)
    L = largest_curvature(X) / 2 + lam.max()
    fit = descend(SoftmaxLoss(X, labels, lam), np.zeros(len(lam)), 1 / L, max_steps, tolerance)
    theta = fit.coefficients.reshape(-1, X.shape[1])
    check_overlap(_leads(of_one_size(X), labels, theta), fit.coefficients, lam)
    return replace(fit, coefficients=theta)


def softmax_hessian(
    X: Float[Array, "n p"], theta: Float[Array, "m p"], weights: Real[Array, " n"] | None = None
) -> Float[Array, "mp mp"]:
    r"""Second derivatives of the (weighted) mean loss, block (k, l) for the classes k and l.

    .. displayed:: eq-softmax-hessian

    Its rows of blocks add up to zero: at least p of its eigenvalues are zero. Raises `ValueError`
    unless `X` is a matrix and `theta` and `weights` fit it.

    >>> softmax_hessian(np.ones((1, 1)), np.zeros((2, 1)))
    array([[ 0.25, -0.25],
           [-0.25,  0.25]])
    """
    X = _checks.design_matrix(X)
    theta = _checks.points(theta, X.shape[1], "theta")
    (n, p), m = X.shape, len(theta)
    probabilities, shares = softmax(X @ theta.T).T, _checks.shares(weights, n)  # (m, n)
    H = np.empty((m, p, m, p))
    for k, p_k in enumerate(probabilities):
        factors = shares * p_k * ((np.arange(m) == k)[:, None] - probabilities)  # (m, n)
        H[k] = np.moveaxis((factors[:, None] * X.T) @ X, 0, 1)
    return H.reshape(m * p, m * p)


def _leads(X, labels, theta):
    """Score of the own class minus that of every class, (n, m)."""
    scores = X @ theta.T
    return np.take_along_axis(scores, labels[:, None], axis=1) - scores


def _weights(weights, n):
    """The shares of the observations, and which of them count at all."""
    shares = _checks.shares(weights, n)
    return shares, shares > 0


def _binary(X, y, lam, weights=None):
    X, y = (data.astype(float, copy=False) for data in _checks.regression_data(X, y))
    _checks.zeros_and_ones(y)
    weights, counts = _weights(weights, len(y))
    X, y, weights = X[counts], y[counts], weights[counts]
    if y.min() == y.max():
        raise ValueError(
            f"`y` must hold both 0 and 1, got only {y[0]:g}: there is nothing to tell apart. "
            "Collect observations of the other class."
        )
    return X, y, _penalties(X, lam), weights


def _multinomial(X, labels, lam, weights=None):
    X = _checks.design_matrix(X).astype(float, copy=False)
    labels = _checks.class_labels(labels, len(X))
    weights, is_counted = _weights(weights, len(labels))
    X, labels, weights = X[is_counted], labels[is_counted], weights[is_counted]
    counts = np.bincount(labels)
    if len(counts) < 2 or counts.min() == 0:
        raise ValueError(
            "`labels` must hold each of the classes 0, ..., m - 1 at least once, and m must be at "
            f"least 2, got {np.unique(labels).tolist()[:10]}. "
            "Use `np.unique(labels, return_inverse=True)[1]`."
        )
    return X, labels, np.tile(_penalties(X, lam), len(counts)), weights


def _penalties(X, lam):
    """One penalty a coefficient: zero for a constant column, the intercept, unless it is zeros."""
    if not (_checks.is_number(lam) and lam >= 0):
        raise ValueError(
            f"`lam` must be a number, 0 or more, got {lam!r}. One penalty a coefficient? "
            "`LogisticLoss(X, y, lam)` and `optim.minimize` take it."
        )
    return np.where((X == X[0]).all(0) & (X[0] != 0), 0.0, float(lam))


def smoothness(X: Float[Array, "n p"]) -> float:
    r"""The largest curvature that the logit's mean loss can have at any coefficients.

    .. displayed:: eq-logistic-smoothness

    >>> smoothness(np.ones((10, 1)))
    0.25
    """
    return largest_curvature(X) / 4
