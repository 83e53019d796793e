r"""Learning rates that change with the step.

k  steps taken so far: a whole number or, for a plot, an array of them

A schedule is a frozen record called as `schedule(k)`. It is a step rule too, `rule(k, x, grad)`,
so every optimizer takes it in place of a number; the point and the gradient are not looked at.
"""

from dataclasses import dataclass

import numpy as np

from dlcourse import _checks
from dlcourse.optim._settings import check_learning_rate


@dataclass(frozen=True)
class Constant:
    r"""The same rate at every step, :math:`\alpha_k = \alpha_0`.

    Raises `ValueError` unless the rate is positive.

    >>> Constant(0.1)(1000)
    0.1
    """

    rate: float

    def __post_init__(self):
        _checks.positive(self.rate, "rate")

    def __call__(self, k, x=None, grad=None):
        return self.rate + 0.0 * k


@dataclass(frozen=True)
class StepDecay:
    """Multiply by `factor` once every `n_steps` steps.

    .. displayed:: eq-schedule-step

    PyTorch's `StepLR`. Raises `ValueError` unless the rate is positive, `n_steps` a count and
    0 < `factor` <= 1.

    >>> StepDecay(1.0, n_steps=10, factor=0.5)(np.array([0, 9, 10, 20]))
    array([1.  , 1.  , 0.5 , 0.25])
    """

    first_rate: float
    n_steps: int
    factor: float = 0.1

    def __post_init__(self):
        _checks.positive(self.first_rate, "first_rate")
        _checks.count(self.n_steps, "n_steps")
        if not 0 < self.factor <= 1:
            raise ValueError(
                f"`factor` must be above 0 and at most 1, got {self.factor!r}. "
                "0.1 divides the rate by ten."
            )

    def __call__(self, k, x=None, grad=None):
        return self.first_rate * self.factor ** (k // self.n_steps)


@dataclass(frozen=True)
class InverseDecay:
    """Fall like 1/k: to one half after `n_steps` steps, to a third after twice as many.

    .. displayed:: eq-schedule-inverse

    The sum of the rates is infinite, so any distance can be covered; the sum of their squares is
    finite, so the noise dies out. Raises `ValueError` unless the rate is positive and `n_steps` a
    count. Reference: Robbins and Monro (1951).

    >>> InverseDecay(1.0, n_steps=10)(np.array([0, 10, 30]))
    array([1.  , 0.5 , 0.25])
    """

    first_rate: float
    n_steps: int

    def __post_init__(self):
        _checks.positive(self.first_rate, "first_rate")
        _checks.count(self.n_steps, "n_steps")

    def __call__(self, k, x=None, grad=None):
        return self.first_rate / (1 + k / self.n_steps)


@dataclass(frozen=True)
class PolynomialDecay:
    """Rates that fall like a power of k between one half and one, as averaging asks for.

    .. displayed:: eq-sgd-polynomial

    Other powers a are taken too. Raises `ValueError` unless the rate is positive and `power` 0 or
    more. Reference: Polyak and Juditsky (1992).

    >>> PolynomialDecay(1.0, power=0.5)(3)
    0.5
    """

    first_rate: float
    power: float

    def __post_init__(self):
        _checks.positive(self.first_rate, "first_rate")
        _checks.not_negative(self.power, "power")

    def __call__(self, k, x=None, grad=None):
        return self.first_rate * (k + 1.0) ** -self.power


@dataclass(frozen=True)
class Cosine:
    r"""Half a wave of the cosine, from `first_rate` down to `last_rate` in `n_steps` steps.

    .. math:: \alpha_k = \alpha_n + \frac{\alpha_0 - \alpha_n}{2}
              \left(1 + \cos \frac{\pi \min(k, n)}{n}\right)

    After `n_steps` it stays at `last_rate`; PyTorch's `CosineAnnealingLR` would climb again. Raises
    `ValueError` unless the first rate is positive, the last 0 or more and `n_steps` a count.
    Reference: Loshchilov and Hutter (2017). Book: eq. `eq-schedule-cosine`.

    >>> Cosine(1.0, n_steps=10)(np.array([0, 5, 10, 15]))
    array([1. , 0.5, 0. , 0. ])
    """

    first_rate: float
    n_steps: int
    last_rate: float = 0.0

    def __post_init__(self):
        _checks.positive(self.first_rate, "first_rate")
        _checks.not_negative(self.last_rate, "last_rate")
        _checks.count(self.n_steps, "n_steps")

    def __call__(self, k, x=None, grad=None):
        height = (1 + np.cos(np.pi * np.minimum(k, self.n_steps) / self.n_steps)) / 2
        return self.last_rate + (self.first_rate - self.last_rate) * height


@dataclass(frozen=True)
class WarmUp:
    r"""Climb in a straight line for `n_steps` steps, then follow `schedule` from its beginning.

    .. math:: \alpha_k = \begin{cases} \frac{k + 1}{n} \, s(0) & \text{if } k < n, \\
              s(k - n) & \text{otherwise} \end{cases}

    The first rate is :math:`s(0)/n`, not 0: at 0 the first gradient would be computed in vain.
    Raises `ValueError` unless `schedule` can be called and `n_steps` is a count.
    Reference: Goyal et al. (2017). Book: eq. `eq-schedule-warm-up`.

    >>> WarmUp(Constant(1.0), n_steps=4)(np.arange(6))
    array([0.25, 0.5 , 0.75, 1.  , 1.  , 1.  ])
    """

    schedule: object
    n_steps: int

    def __post_init__(self):
        check_learning_rate(self.schedule)
        if not callable(self.schedule):
            raise ValueError(
                f"`schedule` must be a schedule, got {self.schedule!r}. "
                "One rate? Use `Constant(rate)`."
            )
        _checks.count(self.n_steps, "n_steps")

    def __call__(self, k, x=None, grad=None):
        climbed = np.minimum((k + 1) / self.n_steps, 1.0)
        return climbed * self.schedule(np.maximum(k - self.n_steps, 0))
