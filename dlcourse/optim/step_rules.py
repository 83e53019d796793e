r"""Rules that look along the gradient for the step size.

x        point (*runs, p)     f     gives (value, gradient) at x
grad, g  gradient at x        t     step size, one a run (*runs,)

A rule is a frozen record, called as `rule(k, x, grad)`: the step count k comes first, so that
schedules, which look at nothing else, are rules too.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dlcourse import _checks

Point = Float[np.ndarray, "*runs p"]


@dataclass(frozen=True)
class Backtracking:
    """Try `first_step`, and multiply by `shrink` until the value falls enough (Armijo's test).

    .. displayed:: eq-gd-armijo

    With `c` = 1/2 every t up to 1/L passes, so the step found is at least min(first_step,
    shrink/L), and the rule needs no L. Raises `ValueError` unless `first_step` is positive and
    `shrink` and `c` lie between 0 and 1. Reference: Armijo (1966).

    >>> rule = Backtracking(lambda x: (x[..., 0] ** 2, 2 * x), first_step=4.0)
    >>> x = np.array([1.0])
    >>> float(rule(0, x, grad=2 * x))
    0.5
    """

    f: Callable
    first_step: float = 1.0
    shrink: float = 0.5
    c: float = 0.5

    def __post_init__(self):
        _checks.positive(self.first_step, "first_step")
        for name in ("shrink", "c"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(
                    f"`{name}` must lie between 0 and 1, got {getattr(self, name)!r}. "
                    "The usual choice is 0.5."
                )

    def __call__(self, k, x: Point, grad: Point):
        value, squared_norm = self.f(x)[0], (grad**2).sum(-1)
        # Close to a minimum the true fall drowns in rounding: forgive what rounding can do to f.
        forgiven = 4 * np.finfo(x.dtype).eps * np.abs(value)
        t = np.full(squared_norm.shape, self.first_step)
        for _ in range(_MAX_TRIALS):
            trial = self.f(x - t[..., None] * grad)[0]
            is_enough = trial <= value - self.c * t * squared_norm + forgiven
            if is_enough.all():
                break
            t = np.where(is_enough, t, self.shrink * t)
        return t


@dataclass(frozen=True)
class ExactLineSearch:
    """The step that makes f smallest along the ray, for a convex f.

    Doubles `first_step` until f rises again, then halves the bracket. For a quadratic with
    curvature matrix A it finds

    .. displayed:: eq-gd-exact-step

    Raises `ValueError` unless `first_step` is positive.

    >>> rule = ExactLineSearch(lambda x: (x[..., 0] ** 2, 2 * x))
    >>> x = np.array([1.0])
    >>> float(rule(0, x, grad=2 * x))
    0.5
    """

    f: Callable
    first_step: float = 1.0

    def __post_init__(self):
        _checks.positive(self.first_step, "first_step")

    def __call__(self, k, x: Point, grad: Point):
        def falls(t):  # is f still going down at x - t grad?
            return (self.f(x - t[..., None] * grad)[1] * grad).sum(-1) > 0

        low = np.zeros(x.shape[:-1])
        high = np.full(x.shape[:-1], self.first_step)
        for _ in range(_MAX_TRIALS):
            is_short = falls(high)
            if not is_short.any():
                break
            low, high = np.where(is_short, high, low), np.where(is_short, 2 * high, high)
        for _ in range(_MAX_TRIALS):
            middle = (low + high) / 2
            is_short = falls(middle)
            low, high = np.where(is_short, middle, low), np.where(is_short, high, middle)
        return (low + high) / 2


_MAX_TRIALS = 60  # 2**-60 is below the spacing of float64: more trials change nothing
