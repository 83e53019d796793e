"""What every optimizer asks of its hyperparameters, and how it reads them at a step."""

import numpy as np

from dlcourse import _checks


def check_learning_rate(learning_rate):
    """Raise unless it is positive and finite, or a rule `rule(k, x, grad)` that finds it."""
    rate = np.asarray(learning_rate)
    if not callable(learning_rate) and not (
        rate.dtype.kind in "fiu" and np.isfinite(rate).all() and (rate > 0).all()
    ):
        raise ValueError(
            "`learning_rate` must be positive and finite (a number, or one number a run), or a "
            f"rule that finds it, got {learning_rate!r}. "
            "A safe start is 1/L, L the largest curvature."
        )


def check_beta(beta, name="beta"):
    """Raise unless 0 <= beta < 1: at 1 the average never forgets, and 1 - beta divides."""
    beta = np.asarray(beta)
    if not (beta.dtype.kind in "fiu" and (beta >= 0).all() and (beta < 1).all()):
        raise ValueError(
            f"`{name}` must lie in [0, 1), got {beta}. At 1 nothing is ever forgotten: "
            "momentum grows without end and Adam's bias correction divides by zero. "
            "Use 0.9, or 0.99 for a longer memory."
        )


def check_not_negative(value, name):
    """Raise unless the number `value` is finite and 0 or more."""
    if not (np.isfinite(value) and value >= 0):
        raise ValueError(f"`{name}` must be 0 or more, got {value!r}. Use 0 to leave it out.")


def check_step(x, grad, *arrays):
    """Raise unless the gradient and the arrays of the state have the shape of `x`."""
    _checks.same_shape(grad, x, ("grad", "x"))
    for array in arrays:
        _checks.same_shape(array, x, ("state", "x"))


def per_run(value, x):
    """`value` ready to multiply x: one number as it is, one number a run with an axis for p."""
    # float() because a NumPy float64 scalar would turn a float32 x into float64.
    return float(value) if np.ndim(value) == 0 else np.asarray(value, x.dtype)[..., None]


def rate_at(learning_rate, k, x, grad):
    """The learning rate after `k` steps, a rule asked, ready to multiply x."""
    return per_run(learning_rate(k, x, grad) if callable(learning_rate) else learning_rate, x)
