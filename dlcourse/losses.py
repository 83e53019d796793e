"""Losses that return their value and their gradient. Floor 0: every room may call them.

X  design matrix (n, p)      A  symmetric matrix (p, p)
y  outcome (n,)              x, beta  the point (p,) or, many runs at once, (*runs, p)

Each loss is a record: made once from its data, then called at a point, `value, gradient = loss(x)`.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

Array = np.ndarray


class SquaredError(NamedTuple):
    r"""Half the mean squared error of the linear model :math:`X\beta`.

    .. math:: J(\beta) = \frac{1}{2n} \lVert X\beta - y \rVert^2, \qquad
              \nabla J(\beta) = \frac{1}{n} X^\top (X\beta - y)

    The factor 1/(2n) keeps the scale, and so the usable step size, independent of n.
    Book: eq. `eq-half-mean-squared-error`, `eq-ols-gradient`.

    >>> loss = SquaredError(np.eye(2), np.array([1.0, 2.0]))
    >>> value, gradient = loss(np.zeros(2))
    >>> float(value), gradient
    (1.25, array([-0.5, -1. ]))
    """

    X: Float[Array, "n p"]
    y: Float[Array, " n"]

    def __call__(self, beta: Float[Array, "*runs p"]):
        residual = beta @ self.X.T - self.y  # (*runs, n)
        n = len(self.y)
        return (residual**2).sum(-1) / (2 * n), residual @ self.X / n


class Quadratic(NamedTuple):
    r"""The bowl with curvature matrix `A` around the minimizer `center`.

    .. math:: f(x) = \tfrac12 (x - c)^\top A (x - c), \qquad \nabla f(x) = A (x - c)

    Its minimum is 0; the eigenvalues of `A` are the curvatures.

    >>> Quadratic(np.diag([1.0, 10.0]), center=np.zeros(2))(np.array([1.0, 1.0]))
    (np.float64(5.5), array([ 1., 10.]))
    """

    A: Float[Array, "p p"]
    center: Float[Array, " p"]

    def __call__(self, x: Float[Array, "*runs p"]):
        gradient = (x - self.center) @ self.A  # A is symmetric
        return ((x - self.center) * gradient).sum(-1) / 2, gradient
