"""What the operators of a formula mean: numbers, matrices, functions, and their comparison.

A vector is a matrix of one column or one row, as the page has it, and a product of matrices is the
matrix product. A matrix of one entry is a number.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tools.formula.lexer import ARROW, Unread

NODES, WEIGHTS = np.polynomial.legendre.leggauss(60)


@dataclass(frozen=True)
class one_based:
    """A sequence or array whose first index on the page is 1, or `first`.

    Without an index it is the array: a column is both `y` and `y_i`.
    """

    values: object
    first: int = 1

    def __getitem__(self, index):
        places = index if isinstance(index, tuple) else (index,)
        if any(place < self.first for place in places):
            raise IndexError(index)
        return np.asarray(self.values)[tuple(place - self.first for place in places)]

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype)


@dataclass(frozen=True)
class Normal:
    """The normal distribution: what `\\sim` compares with mean and variance over the worlds."""

    mean: object
    variance: object


def is_number(a) -> bool:
    return np.ndim(a) == 0 or (np.size(a) == 1 and np.ndim(a) <= 2)


def number(a):
    """A number, also out of a matrix of one entry."""
    if callable(a) or not isinstance(a, np.ndarray | np.generic | int | float | complex):
        raise Unread(f"a number is needed where {type(a).__name__} stands")
    if not is_number(a):
        raise Unread(f"a number is needed where an array of shape {np.shape(a)} stands")
    return np.asarray(a).reshape(())[()]


def times(a, b):
    for factor in (a, b):
        if callable(factor):
            raise Unread("a function stands without its argument")
    if is_number(a):
        return number(a) * (number(b) if is_number(b) else np.asarray(b))
    if is_number(b):
        return np.asarray(a) * number(b)
    if np.ndim(a) != 2 or np.ndim(b) != 2 or np.shape(a)[1] != np.shape(b)[0]:
        raise Unread(f"no product of shapes {np.shape(a)} and {np.shape(b)}: bind matrices")
    return np.asarray(a) @ np.asarray(b)


def plus(a, b):
    if is_number(a) and is_number(b):
        return number(a) + number(b)
    if np.shape(a) != np.shape(b):
        raise Unread(f"no sum of shapes {np.shape(a)} and {np.shape(b)}")
    return np.asarray(a) + np.asarray(b)


def over(a, b):
    return times(a, 1 / number(b))


def transpose(a):
    return np.asarray(a).T


def power(a, exponent):
    """Powers of numbers and of square matrices, the inverse among them."""
    n = number(exponent)
    if is_number(a):
        base = number(a)
        is_real = np.real(base) >= 0 or n == np.round(np.real(n))
        return (base if is_real else complex(base)) ** (n if n != np.round(n) else float(n))
    if n != np.round(n):
        raise Unread(f"a matrix to the power {n}")
    return np.linalg.matrix_power(np.asarray(a, dtype=float), int(n))


def norm(a, kind: str = ""):
    """The norm that `kind` names; without one Euclid's, of matrices the spectral norm."""
    a = np.atleast_2d(np.asarray(a))
    if min(a.shape) == 1 and kind in ("", "2", "F", "1", r"\infty"):
        order = {"1": 1, r"\infty": np.inf}.get(kind, 2)
        return np.linalg.norm(a.ravel(), order)
    orders = {"": 2, "2": 2, "F": "fro", "*": "nuc"}
    if kind not in orders:
        raise Unread(f"the norm {kind!r} of a matrix is not known: bind it as a phrase")
    return np.linalg.norm(a, orders[kind])


def inner(a, b):
    return float(np.sum(np.asarray(a) * np.asarray(b)))


def entry(value, index: tuple):
    """What stands at an index: an entry of an array, a value of a dict, a function's result."""
    place = tuple(int(i) if np.isreal(i) and i == int(np.real(i)) else i for i in index)
    place = place if len(place) > 1 else place[0]
    try:
        if callable(value):
            return value(*index)
        if isinstance(value, list | tuple | np.ndarray) and np.min(place) < 0:
            raise IndexError("the page counts from its first entry")
        return value[place]
    except (KeyError, IndexError, TypeError) as error:
        raise Unread(f"nothing stands at the index {place}: {error}") from None


def integral(f: Callable, lower, upper):
    """By 60 nodes of Gauss and Legendre: exact to rounding for what is smooth."""
    half, middle = (upper - lower) / 2, (upper + lower) / 2
    terms = [w * half * f(middle + half * z) for z, w in zip(NODES, WEIGHTS, strict=True)]
    return sum(terms[1:], terms[0])


def mean(values, probabilities):
    terms = [times(p, value) for p, value in zip(probabilities, values, strict=True)]
    return sum(terms[1:], terms[0])


def variance(values, probabilities):
    """Of numbers, or the covariance matrix of columns."""
    centre = mean(values, probabilities)
    gaps = [plus(value, times(-1.0, centre)) for value in values]
    return mean([times(gap, transpose(gap)) for gap in gaps], probabilities)


FUNCTIONS = {r"\log": np.log, r"\ln": np.log, r"\exp": np.exp, r"\cos": np.cos, r"\sin": np.sin}
FUNCTIONS |= {r"\cosh": np.cosh, r"\tanh": np.tanh, r"\det": np.linalg.det}
KNOWN = {
    r"\pi": math.pi,
    "e": math.e,
    r"\mathcal{N}": Normal,
    r"\operatorname{tr}": np.trace,
    r"\operatorname{sign}": np.sign,
    r"\operatorname{diag}": lambda a: np.diag(np.ravel(a)),
    r"\operatorname{rms}": lambda a: np.sqrt(np.mean(np.square(a))),
}


def agree(a, relation: str, b, rtol: float = 1e-9, near: float = 0.0) -> bool:
    """Whether a relation holds between two sides, `near` being what an approximation may miss."""
    if relation == r"\sim":
        pairs = (a.mean, b.mean), (a.variance, b.variance)
        return all(agree(of_a, "=", of_b, rtol, near) for of_a, of_b in pairs)
    if relation == r"\in":
        return any(agree(a, "=", member, rtol, near) for member in b)
    a, b = (number(side) if is_number(side) else np.asarray(side) for side in (a, b))
    is_zero = np.ndim(b) == 0 and b == 0
    if np.shape(a) != np.shape(b) and not is_zero:
        return False
    slack = rtol * np.max(np.abs(a) + np.abs(b)) + 1e-12
    if relation in (r"\approx", r"\to", r"\longrightarrow"):
        return bool(np.all(np.abs(a - b) <= near * np.max(np.abs(b))))
    if relation in ("=", ARROW, r"\ne"):
        return bool(np.all(np.abs(a - b) <= slack)) == (relation != r"\ne")
    a, b = np.real(a), np.real(b)
    sides = {r"\le": a <= b + slack, r"\ge": a >= b - slack, "<": a < b, ">": a > b}
    return bool(np.all(sides[relation]))
