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


def design_matrix(X):
    """Return `X` as floats of shape (n, p), or raise."""
    X = floats(X, "X")
    if X.ndim != 2 or 0 in X.shape:
        raise ValueError(
            f"`X` must be a matrix (n, p) with at least one row and one column, got shape "
            f"{X.shape}. One feature? Use `X[:, None]`."
        )
    return X


def regression_data(X, y):
    """Return (X, y) as floats of shapes (n, p) and (n,), or raise."""
    X, y = design_matrix(X), floats(y, "y")
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


def curvatures(m, M):
    """Raise unless 0 < m <= M."""
    if not 0 < m <= M:
        raise ValueError(
            f"`m` and `M` must satisfy 0 < m <= M, got m={m!r} and M={M!r}. "
            "m is the smallest curvature, M the largest."
        )


def zeros_and_ones(y):
    """Raise unless every entry of `y` is 0 or 1."""
    is_other = (y != 0) & (y != 1)
    if is_other.any():
        raise ValueError(
            f"`y` must hold only 0 and 1, got {y[is_other][0]:g}. "
            "Labels -1 and 1? Use `(y + 1) / 2`. More classes? Use the softmax functions."
        )


def class_labels(labels, n):
    """Return the classes `labels` as integers >= 0 of shape (n,), or raise."""
    labels = np.asarray(labels)
    cure = "Use `np.unique(labels, return_inverse=True)[1]`."
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"`labels` must hold integers, got dtype {labels.dtype}. {cure}")
    if labels.shape != (n,):
        raise ValueError(
            f"`labels` must have shape ({n},), one entry a row of `X`, got {labels.shape}. "
            "Indicators (n, m)? Use `labels.argmax(axis=1)`."
        )
    if labels.min() < 0:
        raise ValueError(f"`labels` must count from 0, got {labels.min()}. {cure}")
    return labels
