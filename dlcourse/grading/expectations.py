"""The one comparison that tests of homework make, for students and for the grader alike.

got       what the student's function returned: a number, a truth value, or an array
expected  what it should have returned
about     what the two are, in words that a student understands
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

    Numbers may differ by `atol + rtol * |expected|`. Not a number is never equal to anything: a
    test that could pass on it would pass on most bugs.

    >>> expect(0.5, 0.5, "probability at score zero")
    >>> expect([0.5, -1.0], np.array([0.5, 1.0]), "gradient")
    Traceback (most recent call last):
        ...
    dlcourse.grading.expectations.Mismatch: gradient: expected [0.5, 1.0], got [0.5, -1.0]
    """
    if not _is_close(got, expected, rtol, atol):
        raise Mismatch(about, expected, got)


def same(first, second, rtol=1e-6, atol=1e-9) -> bool:
    """Whether two results are one answer, both wrong perhaps: not a number equals itself here."""
    if first is None or second is None:
        return first is second
    if not (_is_numeric(first) and _is_numeric(second)):
        return False
    try:
        first, second = np.asarray(first), np.asarray(second)
    except NO_ARRAY:  # a ragged list
        return False
    if first.shape != second.shape or {first.dtype.kind, second.dtype.kind} - set("biuf"):
        return False
    return bool(np.allclose(first, second, rtol=rtol, atol=atol, equal_nan=True))


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
    if not _is_numeric(got):
        return False
    try:
        got, expected = np.asarray(got), np.asarray(expected)
    except NO_ARRAY:
        return False
    if got.shape != expected.shape or got.dtype.kind not in "biuf":
        return False
    if (expected.dtype.kind == "b") != (got.dtype.kind == "b"):
        return False
    if expected.dtype.kind == "b":
        return bool((got == expected).all())
    return bool((np.abs(got - expected) <= atol + rtol * np.abs(expected)).all())


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
