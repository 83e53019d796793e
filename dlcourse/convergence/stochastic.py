r"""SGD with noisy gradients: bounds.

x0     start                         distance  from the start to the minimizer, R
alpha  step size                     sigma     root of the largest mean square of the noise
m, M   strong convexity, smoothness  k         number of steps
kappa  M / m

The step is x <- x - alpha_k g_k. Given the past, g_k has mean grad f(x_k), and the mean square
E |g_k - grad f(x_k)|^2 of its noise is at most sigma^2. Both bounds are attained, at every k, by
the bowl with curvature m in all directions and noise of mean square sigma^2.
"""

import numpy as np

from dlcourse import _checks
from dlcourse.optim import InverseDecay


def longest_step(m, M) -> float:
    r"""The longest step for which both bounds hold, 2 / (m + M); it is at least 1 / M.

    Raises `ValueError` unless 0 < m <= M.

    >>> longest_step(m=1.0, M=3.0)
    0.5
    """
    _checks.curvatures(m, M)
    return 2 / (m + M)


def contraction_bound(distance, learning_rate, m):
    """Bound on the distance to the minimizer after one exact step, alpha up to 2 / (m + M).

    .. displayed:: eq-sgd-contraction

    `distance` is that of x, before the step.

    >>> contraction_bound(distance=2.0, learning_rate=0.5, m=1.0)
    1.0
    """
    return (1 - learning_rate * m) * distance


def noise_floor(learning_rate, m, sigma):
    """Mean squared distance at which constant steps stop to come closer.

    .. displayed:: eq-sgd-floor

    The left-hand side; the right-hand one is simpler and holds for steps up to 1/m.

    >>> noise_floor(learning_rate=0.5, m=2.0, sigma=2.0)
    1.0
    """
    return learning_rate * sigma**2 / (m * (2 - learning_rate * m))


def constant_step_bound(distance, learning_rate, k, m, sigma):
    r"""Bound on the mean squared distance after k constant steps, alpha up to 2 / (m + M).

    .. displayed:: eq-sgd-constant

    The square of the distance shrinks by :math:`q = (1 - \alpha m)^2` a step, down to
    `noise_floor`.

    >>> constant_step_bound(distance=2.0, learning_rate=0.5, k=1, m=1.0, sigma=3.0)
    3.25
    """
    left = (1 - learning_rate * m) ** (2 * k)
    return left * distance**2 + (1 - left) * noise_floor(learning_rate, m, sigma)


def smallest_offset(m, M) -> int:
    """The smallest whole number k0 for which the first step 1 / (m k0) is short enough.

    It is (1 + M / m) / 2, rounded up. Raises `ValueError` unless 0 < m <= M.
    Book: eq. `eq-sgd-decaying-step`.

    >>> smallest_offset(m=1.0, M=10.0)
    6
    """
    _checks.curvatures(m, M)
    return int(np.ceil((1 + M / m) / 2))


def decaying_schedule(m, M, k0=None) -> InverseDecay:
    """The step sizes of the theorem; `k0` is the `smallest_offset` unless a larger one is given.

    .. displayed:: eq-sgd-decaying-step

    Raises `ValueError` for a smaller `k0`.

    >>> decaying_schedule(m=0.5, M=3.0)
    InverseDecay(first_rate=0.5, n_steps=4)
    """
    smallest = smallest_offset(m, M)
    k0 = smallest if k0 is None else k0
    if k0 < smallest:
        raise ValueError(
            f"`k0` must be at least {smallest}, got {k0!r}. "
            "With a smaller one the first step is longer than 2 / (m + M)."
        )
    return InverseDecay(1 / (m * k0), k0)


def decaying_step_bound(distance, k, k0, m, sigma):
    """Bound on the mean squared distance after k steps of `decaying_schedule`.

    .. displayed:: eq-sgd-decaying

    Raises `ValueError` unless m is positive.

    >>> decaying_step_bound(distance=1.0, k=8, k0=3, m=0.5, sigma=1.0)
    0.36
    """
    _checks.positive(m, "m")
    return ((k0 - 1) ** 2 * distance**2 + k * sigma**2 / m**2) / (k + k0 - 1) ** 2
