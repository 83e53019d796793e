r"""Nesterov's accelerated gradient: its two bounds.

alpha     step size, constant        k         number of steps
L, M      smoothness (M beside m)    distance  from the start to a minimizer, |x0 - x_star|
m         strong convexity           gap       f(x0) - f_star

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
    r"""The points x of the theorems from the points y that the optimizer visits.

    .. math:: x_{k+1} = y_k - \alpha \nabla f(y_k)

    Row 0 belongs to k = 1.

    Book: eq. `eq-nesterov-scheme`.

    >>> bowl = lambda x: ((x**2).sum(-1), 2 * x)
    >>> points_behind(bowl, np.array([[1.0], [0.25]]), learning_rate=0.25)
    array([[0.5  ],
           [0.125]])
    """
    return points - learning_rate * f(points)[1]


def convex_bound(distance, learning_rate, k):
    r"""Bound on the gap after k steps with `GrowingMomentum` on a smooth convex f.

    .. math:: f(x_k) - f^* \le \frac{2 \lVert x_0 - x^* \rVert^2}{\alpha (k + 1)^2}

    Valid for alpha up to 1/L. Reference: Nesterov (1983), Beck and Teboulle (2009).

    Book: eq. `eq-nesterov-convex-rate`.

    >>> convex_bound(distance=1.0, learning_rate=0.5, k=3)
    np.float64(0.25)
    """
    return 2 * np.square(distance) / (learning_rate * np.square(k + 1.0))


def constant_momentum(m, M) -> float:
    r"""The momentum for a strongly convex function, to be used with the step 1/M.

    .. math:: \beta = \frac{\sqrt\kappa - 1}{\sqrt\kappa + 1}

    Raises `ValueError` unless 0 < m <= M.
    Book: eq. `eq-nesterov-constant`.

    >>> constant_momentum(m=1.0, M=9.0)
    0.5
    """
    _checks.curvatures(m, M)
    return float((np.sqrt(M) - np.sqrt(m)) / (np.sqrt(M) + np.sqrt(m)))


def linear_bound(gap, distance, k, m, M):
    r"""Bound on the gap after k steps of size 1/M with `constant_momentum` on a strongly convex f.

    .. math:: f(x_k) - f^* \le \left( 1 - \sqrt{\tfrac{m}{M}} \right)^k
              \left( f(x_0) - f^* + \tfrac{m}{2} \lVert x_0 - x^* \rVert^2 \right)

    Raises `ValueError` unless 0 < m <= M.
    Reference: Nesterov (2018), theorem 2.2.3. Book: eq. `eq-nesterov-strong-rate`.

    >>> float(linear_bound(gap=8.0, distance=4.0, k=3, m=1.0, M=4.0))
    2.0
    """
    _checks.curvatures(m, M)
    return (1 - np.sqrt(m / M)) ** k * (gap + m / 2 * np.square(distance))
