"""The one comparison that tests of homework make, for students and for the grader alike.

got       what the student's function returned: a number, a truth value, a text, an array, or a
          list, tuple or dict of these
expected  what it should have returned
about     what the two are, in words that a student understands

Equal is equal; a tolerance is for numbers that rounding may change, and those are finite. Infinity
agrees with infinity of the same sign, and not a number with not a number, and neither with
anything else: no bug that ends in one of them passes for a number that was expected.
"""

import numpy as np

SHOWN_CHARACTERS = 300
MOST_ITEMS = 10**6  # of nested lists; a list within itself has no end
NO_ARRAY = (ValueError, TypeError, OverflowError, MemoryError)


class Mismatch(AssertionError):
    """A result that is not the expected one; its attributes are what feedback shows."""

    def __init__(self, about, expected, got):
        self.about, self.expected, self.got = about, shown(expected), shown(got)
        super().__init__(f"{about}: expected {self.expected}, got {self.got}")


def expect(got, expected, about, rtol=1e-6, atol=1e-9):
    """Raise `Mismatch` unless `got` has the kind, the shape and the values of `expected`.

    Finite numbers may differ by `atol + rtol * |expected|`. Infinity and not a number are expected
    where `expected` has them, and nowhere else.

    >>> expect(0.5, 0.5, "probability at score zero")
    >>> expect([0.5, -1.0], np.array([0.5, 1.0]), "gradient")
    Traceback (most recent call last):
        ...
    dlcourse.grading.expectations.Mismatch: gradient: expected [0.5, 1.0], got [0.5, -1.0]
    """
    if not _is_close(got, expected, rtol, atol):
        raise Mismatch(about, expected, got)


def same(first, second, rtol=1e-6, atol=1e-9) -> bool:
    """Whether two results are one answer, both wrong perhaps."""
    return _is_close(first, second, rtol, atol)


def shown(value) -> str:
    """A value as feedback writes it: six digits, and its shape where it has many entries."""
    if not _is_numeric(value):
        return f"{_kind(value)} {str(value)[:SHOWN_CHARACTERS]}".strip()
    try:
        array = np.asarray(value)
    except NO_ARRAY:
        return f"a list of lists of different lengths, {type(value).__name__}"
    if array.dtype.kind not in "biufc":
        return f"{_kind(value)} {str(value)[:SHOWN_CHARACTERS]}".strip()
    if array.ndim == 0:
        return str(array) if array.dtype.kind in "bc" else f"{float(array) + 0.0:.6g}"
    if array.size > 24:
        return f"an array of shape {array.shape} that begins with {shown(array.ravel()[:4])}"
    text = np.array2string(array, separator=", ", formatter={"float": _short})
    text = " ".join(text.split())
    return text if array.ndim == 1 else f"{text}, shape {array.shape}"


def _is_close(got, expected, rtol, atol):
    if expected is None or isinstance(expected, str | bytes):
        return type(got) is type(expected) and got == expected
    if isinstance(expected, dict):
        return _are_close(got, expected, rtol, atol)
    if not (_is_numeric(got) and _is_numeric(expected)):
        return _are_close_in_turn(got, expected, rtol, atol)
    try:
        got, expected = np.asarray(got), np.asarray(expected)
    except NO_ARRAY:  # lists of different lengths
        return _are_close_in_turn(got, expected, rtol, atol)
    if got.shape != expected.shape or not _is_of_kind(got.dtype.kind, expected.dtype.kind):
        return False
    return bool(_agree(got, expected, rtol, atol).all())


def _are_close(got, expected, rtol, atol):
    if not isinstance(got, dict) or got.keys() != expected.keys():
        return False
    return all(_is_close(got[key], expected[key], rtol, atol) for key in expected)


def _are_close_in_turn(got, expected, rtol, atol):
    """Item by item; both are lists or tuples, or they do not agree."""
    lists = list | tuple
    if not (isinstance(got, lists) and isinstance(expected, lists) and len(got) == len(expected)):
        return False
    return all(_is_close(g, e, rtol, atol) for g, e in zip(got, expected, strict=True))


def _is_of_kind(got, expected):
    """Whether numbers of the dtype kind `got` may answer where `expected` is asked for."""
    return got in {"b": "b", "c": "iufc"}.get(expected, "iuf" * (expected in "iuf"))


def _agree(got, expected, rtol, atol):
    """Entry by entry: equal, or finite and close."""
    if got.dtype.kind in "iu" and expected.dtype.kind in "iu":
        got, expected = got.astype(object), expected.astype(object)  # no difference overflows
        return (got == expected) | (abs(got - expected) <= atol + rtol * abs(expected))
    equal = (got == expected) | (np.isnan(got) & np.isnan(expected))
    if expected.dtype.kind == "b":
        return equal
    wide = complex if "c" in got.dtype.kind + expected.dtype.kind else float
    finite = np.isfinite(got) & np.isfinite(expected)
    got, expected = (np.where(finite, x, 0).astype(wide) for x in (got, expected))
    return equal | (finite & (np.abs(got - expected) <= atol + rtol * np.abs(expected)))


def _is_numeric(value):
    """Whether no text hides in the lists: NumPy would give each entry the room of the longest."""
    left, n_items = [value], 0
    while left and n_items <= MOST_ITEMS:
        item, n_items = left.pop(), n_items + 1
        if item is None or isinstance(item, str | bytes | dict | set | frozenset):
            return False
        if isinstance(item, list | tuple):
            left.extend(item)
    return not left


def _short(number):
    text = f"{number + 0.0:.6g}"  # minus zero is zero
    return text if any(sign in text for sign in ".en") else f"{text}.0"


def _kind(value):
    return "nothing:" if value is None else f"{type(value).__name__}:"
