"""What every optimizer asks of its hyperparameters, and how it reads them at a step."""

import numpy as np

from dlcourse import _checks


def check_learning_rate(learning_rate):
    """Raise unless it is positive and finite, or a rule `rule(k, x, grad)` that finds it."""
    check_made(learning_rate, "learning_rate")
    if callable(learning_rate):
        return
    try:
        rate = np.asarray(learning_rate)
        is_usable = rate.dtype.kind in "fiu" and np.isfinite(rate).all() and (rate > 0).all()
    except ValueError:  # rows of several lengths
        is_usable = False
    if not is_usable:
        raise ValueError(
            "`learning_rate` must be positive and finite (a number, or one number a run), or a "
            f"rule that finds it, got {learning_rate!r}. "
            "A safe start is 1/L, L the largest curvature."
        )


def check_beta(beta, name="beta"):
    """Raise unless 0 <= beta < 1, each: at 1 the average never forgets, and 1 - beta divides."""
    check_made(beta, name)
    beta = np.asarray(beta)
    if not (beta.dtype.kind in "fiu" and (beta >= 0).all() and (beta < 1).all()):
        raise ValueError(
            f"`{name}` must lie in [0, 1), got {beta}. At 1 nothing is ever forgotten: "
            "momentum grows without end and Adam's bias correction divides by zero. "
            "Use 0.9, or 0.99 for a longer memory."
        )


def check_one_beta(beta, name="beta"):
    """Raise unless it is one number in [0, 1): an array would broadcast against the gradient."""
    if np.ndim(beta):
        raise ValueError(
            f"`{name}` must be one number, got an array of shape {np.shape(beta)}. "
            "Make one optimizer for each value."
        )
    check_beta(beta, name)


def check_made(record, name):
    """Raise if `record` is still a class: it has to be called with its settings first."""
    if isinstance(record, type):
        raise ValueError(
            f"`{name}` must be a record with its settings, got the class `{record.__name__}`. "
            f"Call it: `{record.__name__}(...)`."
        )


def check_optimizer(optimizer):
    """Raise unless it has the methods `init` and `step`."""
    check_made(optimizer, "optimizer")
    if not (hasattr(optimizer, "init") and hasattr(optimizer, "step")):
        raise ValueError(
            f"`optimizer` must have the methods `init` and `step`, got {optimizer!r}. "
            "Use one of `dlcourse.optim`, such as `SGD(0.1)`."
        )


def check_step(x, grad, *arrays):
    """`x` and its gradient as arrays; raise unless these and those of the state have one shape."""
    x, grad = _checks.as_floats(x, "x"), _checks.as_floats(grad, "grad")
    _checks.same_shape(grad, x, ("grad", "x"))
    for array in arrays:
        _checks.same_shape(array, x, ("state", "x"))
    return x, grad


def per_run(value, x):
    """`value` ready to multiply x: one number as it is, one number a run with an axis for p."""
    if np.ndim(value) == 0:
        # float() because a NumPy float64 scalar would turn a float32 x into float64.
        return float(value)
    if np.shape(value) != x.shape[:-1]:
        raise ValueError(
            f"A learning rate or momentum must be one number, or one number a run, shape "
            f"{x.shape[:-1]} for `x` of shape {x.shape}, got shape {np.shape(value)}. "
            "NumPy would broadcast it over the coordinates."
        )
    return np.asarray(value, x.dtype)[..., None]


def rate_at(learning_rate, k, x, grad):
    """The learning rate after `k` steps, a rule asked, ready to multiply x."""
    return per_run(learning_rate(k, x, grad) if callable(learning_rate) else learning_rate, x)
