"""Argument checks for the public doors. Each message says what, expected, got, and the cure."""

import numpy as np


def floats(x, name):
    """Return `x` as a float array, or raise: integers would round every later update."""
    x = np.asarray(x)
    if not np.issubdtype(x.dtype, np.floating):
        raise ValueError(
            f"`{name}` must hold floats, got dtype {x.dtype}. "
            f"Use `np.asarray({name}, dtype=float)`."
        )
    if not np.isfinite(x).all():
        raise ValueError(
            f"`{name}` must be finite, got NaN or infinity. Drop or impute the affected entries."
        )
    return x


def same_shape(a, b, names):
    """Raise if `a` and `b` differ in shape (NumPy would broadcast silently)."""
    if np.shape(a) != np.shape(b):
        raise ValueError(
            f"`{names[0]}` and `{names[1]}` must have one shape, got {np.shape(a)} and "
            f"{np.shape(b)}. A column (n, 1)? Use `.ravel()` to get (n,)."
        )


def regression_data(X, y):
    """Return (X, y) as floats of shapes (n, p) and (n,), or raise."""
    X, y = floats(X, "X"), floats(y, "y")
    if X.ndim != 2:
        raise ValueError(
            f"`X` must be a matrix (n, p), got shape {X.shape}. One feature? Use `X[:, None]`."
        )
    if y.shape != X.shape[:1]:
        raise ValueError(
            f"`y` must have shape ({X.shape[0]},), one entry a row of `X`, got {y.shape}. "
            "A column (n, 1)? Use `y.ravel()`."
        )
    return X, y


def positive(value, name):
    """Raise unless the number `value` is finite and above zero."""
    if not (np.isfinite(value) and value > 0):
        raise ValueError(f"`{name}` must be a positive number, got {value!r}.")
