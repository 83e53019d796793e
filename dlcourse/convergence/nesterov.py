r"""Nesterov's accelerated gradient: its two bounds.

alpha     step size, constant        k         number of steps
L, M      smoothness (M beside m)    distance  from the start to a minimizer, |x0 - x_star|
m         strong convexity           gap       f(x0) - f_star
kappa     M / m

The method steps from the point ahead, y, to the next point x = y - alpha grad f(y). The bounds hold
for the points x. `dlcourse.optim.Nesterov`, like PyTorch, keeps y; `points_behind` gives the x.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from dlcourse import _checks

Array = np.ndarray


def points_behind(
    f: Callable, points: Float[Array, "*path p"], learning_rate
) -> Float[Array, "*path p"]:
    """The points x of the theorems from the points y that the optimizer visits.

    .. displayed:: eq-nesterov-scheme

    The first line: one gradient step from each y. Row 0 is the first x after the start.

    >>> bowl = lambda x: ((x**2).sum(-1), 2 * x)
    >>> points_behind(bowl, np.array([[1.0], [0.25]]), learning_rate=0.25)
    array([[0.5  ],
           [0.125]])
    """
    return points - learning_rate * f(points)[1]


def convex_bound(distance, learning_rate, k):
    """Bound on the gap after k steps with `GrowingMomentum` on a smooth convex f.

    .. displayed:: eq-nesterov-convex-rate

    Valid for alpha up to 1/L. Reference: Nesterov (1983), Beck and Teboulle (2009).

    >>> convex_bound(distance=1.0, learning_rate=0.5, k=3)
    np.float64(0.25)
    """
    return 2 * np.square(distance) / (learning_rate * np.square(k + 1.0))


def constant_momentum(m, M) -> float:
    """The momentum for a strongly convex function, to be used with the step 1/M.

    .. displayed:: eq-nesterov-constant

    Raises `ValueError` unless 0 < m <= M.

    >>> constant_momentum(m=1.0, M=9.0)
    0.5
    """
    _checks.curvatures(m, M)
    return float((np.sqrt(M) - np.sqrt(m)) / (np.sqrt(M) + np.sqrt(m)))


def linear_bound(gap, distance, k, m, M):
    r"""Bound on the gap after k steps of size 1/M with `constant_momentum` on a strongly convex f.

    .. displayed:: eq-nesterov-strong-rate

    :math:`E_0` is the first gap plus m/2 times the square of the distance. Raises `ValueError`
    unless 0 < m <= M. Reference: Nesterov (2018), theorem 2.2.3.

    >>> float(linear_bound(gap=8.0, distance=4.0, k=3, m=1.0, M=4.0))
    2.0
    """
    _checks.curvatures(m, M)
    return (1 - np.sqrt(m / M)) ** k * (gap + m / 2 * np.square(distance))
