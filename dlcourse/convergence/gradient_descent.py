r"""Gradient descent: the bounds of its theorems, and the functions that attain them.

f_star         smallest value of f    L, M      Lipschitz constant of the gradient (M beside m)
gap            f(x) - f_star, Delta   m         strong convexity; kappa = M / m
learning_rate  step size t            distance  from the start to a minimizer, R
k              number of steps
"""

import numpy as np

from dlcourse import _checks
from dlcourse.functions import Huber


def least_squares_bound(distance, learning_rate, k, m, L):
    """Bound on the distance to the nearest minimizer of a least-squares loss, t below 2/L.

    .. displayed:: eq-gd-least-squares-rate

    The rate is the larger of |1 - tm| and |1 - tL|; `m` is the smallest positive eigenvalue of the
    curvature matrix. Raises `ValueError` unless 0 < m <= L.

    >>> least_squares_bound(distance=8.0, learning_rate=1.0, k=2, m=0.5, L=1.0)
    2.0
    """
    _checks.curvatures(m, L)
    return max(abs(1 - learning_rate * m), abs(1 - learning_rate * L)) ** k * distance


def descent_bound(value, gradient_norm, learning_rate, L):
    """What the descent lemma promises for f after one step, whatever the step size.

    .. displayed:: eq-gd-descent

    `gradient_norm` is that of the gradient g at x.

    >>> float(descent_bound(value=0.5, gradient_norm=1.0, learning_rate=1.0, L=1.0))
    0.0
    """
    t = learning_rate
    return value - t * (1 - L * t / 2) * np.square(gradient_norm)


def stationary_bound(gap, learning_rate, k):
    """Bound on the smallest gradient norm of the first k points; needs no convexity.

    .. displayed:: eq-gd-stationary-rate

    Valid for t up to 1/L. `gap` is that of the start.

    >>> float(stationary_bound(gap=2.0, learning_rate=0.5, k=2))
    2.0
    """
    return np.sqrt(2 * gap / (learning_rate * np.asarray(k)))


def convex_bound(distance, learning_rate, k):
    """Bound on the gap after k steps on a smooth convex f.

    .. displayed:: eq-gd-convex-rate

    Valid for t up to 1/L.

    >>> float(convex_bound(distance=1.0, learning_rate=0.01, k=10))
    5.0
    """
    return np.square(distance) / (2 * learning_rate * np.asarray(k))


def convex_worst_case(distance, learning_rate, k, L):
    """The largest gap after k steps that any smooth convex f can leave, for t up to 1/L.

    .. displayed:: eq-gd-worst-case

    Reference: Drori and Teboulle (2014), section 3.

    >>> float(convex_worst_case(distance=1.0, learning_rate=1.0, k=1, L=1.0))
    0.16666666666666666
    """
    return L * np.square(distance) / (4 * L * learning_rate * np.asarray(k) + 2)


def worst_function(distance, learning_rate, k, L) -> Huber:
    """The function that leaves `convex_worst_case` after k steps from that distance.

    Book: eq. `eq-gd-huber`.

    >>> worst_function(distance=1.0, learning_rate=1.0, k=2, L=1.0)
    Huber(delta=0.2, L=1.0, m=0.0)
    """
    return Huber(delta=distance / (2 * L * learning_rate * k + 1), L=L)


def linear_bound(gap, k, m, M):
    """Bound on the gap after k steps of size 1/M on a strongly convex f; `gap` is the first one.

    .. displayed:: eq-gd-linear-rate

    Raises `ValueError` unless 0 < m <= M.

    >>> linear_bound(gap=8.0, k=3, m=1.0, M=2.0)
    1.0
    """
    _checks.curvatures(m, M)
    return gap * (1 - m / M) ** k


def n_steps_needed(gap, target, m, M) -> int:
    """Steps of size 1/M after which the gap of a strongly convex f is surely at most `target`.

    .. displayed:: eq-gd-steps

    The smallest whole number of that kind; `gap` is the first one, `target` is epsilon. Raises
    `ValueError` unless 0 < m <= M and the target is positive.

    >>> n_steps_needed(gap=5.5, target=1e-6, m=1.0, M=10.0)
    148
    """
    _checks.curvatures(m, M)
    _checks.positive(target, "target")
    if gap <= target:
        return 0
    return 1 if m == M else int(np.ceil(np.log(gap / target) / -np.log1p(-m / M)))
