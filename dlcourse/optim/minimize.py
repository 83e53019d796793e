r"""The two loops: the only places that repeat steps.

f   gives (value, gradient) at a point      x0   where to start, (p,) or many runs (*runs, p)
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from dlcourse import _checks
from dlcourse.optim._settings import check_optimizer

Array = np.ndarray


class Descent(NamedTuple):
    """What a call of `minimize` found, and the way there.

    Row k of `points`, `values` and `gradient_norms` is the state after k steps, row 0 the start.
    A run that stopped early repeats its last row to the end.
    """

    x: Float[Array, "*runs p"]  # last point
    value: Float[Array, "*runs"]  # f there
    gradient_norm: Float[Array, "*runs"]
    n_steps: Int[Array, "*runs"]  # steps taken
    is_converged: Bool[Array, "*runs"]  # the gradient norm fell below the tolerance
    is_diverged: Bool[Array, "*runs"]  # the next step would have left the finite numbers
    points: Float[Array, "*path p"]  # path: (steps + 1, *runs)
    values: Float[Array, "*path"]
    gradient_norms: Float[Array, "*path"]

    def __repr__(self):
        if self.value.ndim == 0:
            how = "converged" if self.is_converged else "not converged"
            how = "diverged" if self.is_diverged else how
            return (
                f"{how} after {_count(int(self.n_steps), 'step')}: f = {_short(self.value)}, "
                f"gradient norm {_short(self.gradient_norm, '.2g')}"
            )
        n_converged, n_diverged = int(self.is_converged.sum()), int(self.is_diverged.sum())
        return (
            f"{_count(self.value.size, 'run')}: {n_converged} converged, {n_diverged} diverged, "
            f"{self.value.size - n_converged - n_diverged} not yet converged\n"
            f"{self.n_steps.min()} to {_count(int(self.n_steps.max()), 'step')}, "
            f"f from {_short(self.value.min())} to {_short(self.value.max())}"
        )


def minimize(
    f: Callable, x0: Float[Array, "*runs p"], optimizer, *, max_steps=1_000, tolerance=0.0
) -> Descent:
    r"""Follow `optimizer` down `f` from `x0` while the gradient norm is at least `tolerance`.

    `f(x)` returns the value, shape (*runs,), and the gradient, shape (*runs, p). Each run stops on
    its own: when its gradient norm falls below `tolerance`, after `max_steps`, or at its last
    finite point when the next one overflows. With `tolerance` 0 every run takes all steps.
    Raises `ValueError` where `x0` or `f(x0)` is not finite, or `f` returns other shapes.
    Book: algorithm `alg-gradient-descent`.

    >>> from dlcourse.optim import GradientDescent
    >>> bowl = lambda x: ((x**2).sum(-1), 2 * x)
    >>> minimize(bowl, np.array([3.0, -4.0]), GradientDescent(0.25), max_steps=2)
    not converged after 2 steps: f = 1.5625, gradient norm 2.5
    >>> minimize(bowl, np.array([[3.0, -4.0], [1.0, 1.0]]), GradientDescent(0.25), tolerance=0.1)
    2 runs: 2 converged, 0 diverged, 0 not yet converged
    5 to 7 steps, f from 0.00152588 to 0.00195312
    """
    check_optimizer(optimizer)
    x = _checks.numbers(x0, "x0").copy()
    _check_limits(x, max_steps, tolerance)
    value, grad = _checked_call(f, x)
    norm = np.linalg.norm(grad, axis=-1)
    state, path = optimizer.init(x), [(x, value, norm)]
    is_diverged = np.zeros(value.shape, bool)
    n_steps = np.zeros(value.shape, int)
    # A run that overflows is part of the answer (`is_diverged`), so it raises no warning.
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(max_steps):
            is_running = (norm >= tolerance) & ~is_diverged
            if not is_running.any():
                break
            new_x, state = optimizer.step(x, grad, state)
            new_value, new_grad = f(new_x)
            new_norm = np.linalg.norm(new_grad, axis=-1)
            is_finite = np.isfinite(new_value) & np.isfinite(new_norm)
            is_diverged = is_diverged | (is_running & ~is_finite)
            moves = is_running & is_finite
            x, grad = (np.where(moves[..., None], *pair) for pair in ((new_x, x), (new_grad, grad)))
            value, norm = (
                np.where(moves, *pair) for pair in ((new_value, value), (new_norm, norm))
            )
            n_steps = n_steps + moves
            path.append((x, value, norm))
    is_converged = (norm < tolerance) & ~is_diverged
    return Descent(
        x, value, norm, n_steps, is_converged, is_diverged, *map(np.stack, zip(*path, strict=True))
    )


def walk(
    optimizer, start: Float[Array, "*shape"], gradient: Callable, n_steps: int
) -> Float[Array, " points *shape"]:
    """The points `(n_steps + 1, *shape)` that `optimizer` visits from `start`.

    `gradient(k, x)` is the gradient to step along at x after k steps: what a mini-batch, a noise or
    an adversary hands out, where no function f is there to be minimized. Overflow runs its course.
    Raises `ValueError` where `start` is not finite, or a gradient has another shape.

    >>> from dlcourse.optim import GradientDescent
    >>> walk(GradientDescent(0.5), np.array([4.0]), lambda k, x: x, n_steps=2)
    array([[4.],
           [2.],
           [1.]])
    """
    check_optimizer(optimizer)
    n_steps = _checks.count(n_steps, "n_steps", least=0)
    x = _checks.numbers(start, "start")
    state, points = optimizer.init(x), [x]
    for k in range(n_steps):
        x, state = optimizer.step(x, gradient(k, x), state)
        points.append(x)
    return np.stack(points)


def _check_limits(x, max_steps, tolerance):
    if x.size == 0:
        raise ValueError(f"`x0` must have at least one coordinate, got shape {x.shape}.")
    if x.ndim == 0:
        raise ValueError(
            "`x0` must be a point (p,) or many points (*runs, p), got a single number. "
            "One coordinate? Use `np.array([x0])`."
        )
    _checks.count(max_steps, "max_steps", least=0)
    if not (np.ndim(tolerance) == 0 and tolerance >= 0):
        raise ValueError(f"`tolerance` must be 0 or more, got {tolerance!r}.")


def _checked_call(f, x):
    """`f(x)` at the start, once looked at: a wrong shape would broadcast silently later."""
    answer = f(x)
    if not (isinstance(answer, tuple) and len(answer) == 2):
        raise ValueError(
            f"`f(x)` must return (value, gradient), got {type(answer).__name__}. "
            "Write `return value, gradient`."
        )
    value, grad = (np.asarray(part) for part in answer)
    if grad.shape != x.shape:
        raise ValueError(
            f"The gradient of `f` must have the shape of `x0`, {x.shape}, got {grad.shape}."
        )
    if value.shape != x.shape[:-1]:
        raise ValueError(
            f"The value of `f` must have shape {x.shape[:-1]}, one number a run, "
            f"got {value.shape}. Sum over the last axis only: `.sum(-1)`."
        )
    if not (np.isfinite(value).all() and np.isfinite(grad).all()):
        raise ValueError("`f(x0)` must be finite. Start where `f` and its gradient are defined.")
    return value, grad


def _count(n, noun):
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _short(number, form=".6g"):
    # Below 1e-12 the digits are rounding, and rounding differs between processors.
    return "about 0" if abs(number) < 1e-12 else f"{number:{form}}"
