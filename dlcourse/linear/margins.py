"""How far two groups of rows can be told apart."""

import numpy as np
from jaxtyping import Float
from scipy.optimize import nnls

from dlcourse import _checks

Array = np.ndarray


def widest_margin(X: Float[Array, "n p"], y: Float[Array, " n"]) -> Float[Array, " p"]:
    r"""The shortest w whose margins are all 1 or more: a support vector machine without intercept.

    .. displayed:: eq-logistic-widest-margin

    The side :math:`s_i` is 1 where y is 1, and -1 where y is 0. Lawson and Hanson (1995, chapter
    23) turn it into least squares with nonnegative coefficients. Raises `ValueError` if no w
    separates the classes.

    >>> widest_margin(np.array([[2.0, 1.0], [-2.0, 5.0]]), np.array([1.0, 0.0])).round(6) + 0.0
    array([0.5, 0. ])
    """
    X, y = _checks.regression_data(X, y)
    _checks.zeros_and_ones(y)
    unit = np.abs(X).max() or 1.0  # or in small units every margin would look like rounding
    A = (2 * y - 1)[:, None] * X / unit
    E = np.vstack([A.T, np.ones(len(A))])
    target = np.zeros(len(E))
    target[-1] = 1.0
    weights, distance = nnls(E, target)
    residual = target - E @ weights
    if distance < 1e-8:
        raise ValueError(
            "`X` and `y` must be completely separable: no direction has all margins above zero. "
            "`dlcourse.linear.logistic.by_newton(X, y)` finds the estimate, or says why there is "
            "none."
        )
    return -residual[:-1] / residual[-1] / unit
