"""Argument checks for the public doors. Each message says what, expected, got, and the cure."""

import operator
from numbers import Real

import numpy as np


def floats(x, name):
    """Return `x` as a float array, or raise: integers would round every later update in place."""
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


def as_floats(x, name):
    """Return `x`, perhaps a list, a table or integers, as a float array, or raise.

    An array of floats in the machine's byte order comes back as it is; all else is converted, so a
    public door calls this once and works with what it returns.
    """
    if type(x) is np.ndarray and x.dtype.kind == "f" and x.dtype.isnative:
        return x
    try:
        x = np.asarray(x)
    except ValueError:  # rows of several lengths
        raise ValueError(
            f"`{name}` must be a rectangular array, got rows of different lengths. "
            "Give every row as many entries."
        ) from None
    holds_numbers = x.dtype == object and all(isinstance(entry, Real) for entry in x.flat)
    if x.dtype.kind in "biu" or holds_numbers:  # a table of mixed columns is an array of objects
        return x.astype(float)
    if x.dtype.kind == "f":
        return x.astype(x.dtype.newbyteorder("="), copy=False)
    return floats(x, name)


def numbers(x, name):
    """Return `x` as a float array of finite numbers, converted if need be, or raise."""
    return floats(as_floats(x, name), name)


def vector(x, name):
    """Return `x` as floats of shape (p,), p at least 1, or raise."""
    x = numbers(x, name)
    if x.ndim != 1 or not len(x):
        raise ValueError(
            f"`{name}` must be a vector (p,) with at least one entry, got shape {x.shape}. "
            f"One number? Use `np.array([{name}])`. A column (p, 1)? Use `{name}.ravel()`."
        )
    return x


def points(x, p, name):
    """Return `x` as floats of shape (*runs, p), or raise."""
    x = as_floats(x, name)
    if x.shape[-1:] != (p,):
        raise ValueError(
            f"`{name}` must hold {p} numbers, or (*runs, {p}) for many runs, got shape {x.shape}. "
            f"Start from `np.zeros({p})`."
        )
    return x


def count(value, name, least=1):
    """Return the whole number `value` as an integer, or raise unless it is `least` or more."""
    try:
        n = operator.index(value)
    except TypeError:
        n = None
    if n is None or isinstance(value, bool | np.bool_) or n < least:
        cure = f" Use `int({value!r})`." if isinstance(value, float | np.floating) else ""
        raise ValueError(f"`{name}` must be a whole number, {least} or more, got {value!r}.{cure}")
    return n


def generator(rng):
    """Raise unless `rng` is a random number generator of NumPy."""
    if not isinstance(rng, np.random.Generator):
        seed = repr(rng) if isinstance(rng, int | np.integer) else "0"
        raise ValueError(
            f"`rng` must be a random number generator, got {rng!r}. "
            f"Use `np.random.default_rng({seed})`."
        )


def same_shape(a, b, names):
    """Raise if `a` and `b` differ in shape (NumPy would broadcast silently)."""
    if np.shape(a) != np.shape(b):
        raise ValueError(
            f"`{names[0]}` and `{names[1]}` must have one shape, got {np.shape(a)} and "
            f"{np.shape(b)}. A column (n, 1)? Use `.ravel()` to get (n,)."
        )


def design_matrix(X):
    """Return `X` as floats of shape (n, p), or raise."""
    X = numbers(X, "X")
    if X.ndim != 2 or 0 in X.shape:
        raise ValueError(
            f"`X` must be a matrix (n, p) with at least one row and one column, got shape "
            f"{X.shape}. One feature? Use `X[:, None]`."
        )
    return X


def regression_data(X, y):
    """Return (X, y) as floats of shapes (n, p) and (n,), or raise."""
    X, y = design_matrix(X), numbers(y, "y")
    if y.shape != X.shape[:1]:
        raise ValueError(
            f"`y` must have shape ({X.shape[0]},), one entry a row of `X`, got {y.shape}. "
            "A column (n, 1)? Use `y.ravel()`."
        )
    return X, y


def is_number(value):
    """Whether `value` is one finite real number: no array, no word, no truth value."""
    value = np.asarray(value)
    return value.ndim == 0 and value.dtype.kind in "fiu" and bool(np.isfinite(value))


def positive(value, name):
    """Raise unless the number `value` is finite and above zero."""
    if not (is_number(value) and value > 0):
        raise ValueError(f"`{name}` must be a positive number, got {value!r}.")


def not_negative(value, name):
    """Raise unless the number `value` is finite and 0 or more."""
    if not (is_number(value) and value >= 0):
        raise ValueError(f"`{name}` must be 0 or more, got {value!r}. Use 0 to leave it out.")


def curvatures(m, M):
    """Raise unless 0 < m <= M."""
    if not (is_number(m) and is_number(M) and 0 < m <= M):
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


def per_coefficient(lam, p):
    """Return the penalties `lam`, one number or one a coefficient, as floats >= 0, or raise."""
    lam = numbers(lam, "lam")
    if lam.shape not in ((), (p,)) or (lam < 0).any():
        raise ValueError(
            f"`lam` must be a number, 0 or more, or {p} of them, one a coefficient, got shape "
            f"{lam.shape} and smallest entry {lam.min(initial=np.inf):g}."
        )
    return lam


def shares(weights, n):
    """Return the `weights` of n observations as shares of their sum; 1/n each if None. Or raise."""
    if weights is None:
        return np.full(n, 1 / n)
    weights = numbers(weights, "weights")
    if weights.shape != (n,) or (weights < 0).any() or not weights.any():
        raise ValueError(
            f"`weights` must have shape ({n},), one entry a row of `X`, none below 0 and not all "
            f"0, got shape {weights.shape}. One a class? Use `class_weights[labels]`."
        )
    return weights / weights.sum()


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
