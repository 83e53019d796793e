r"""Operations entry by entry: each returns its result and what its inputs receive.

x, y  tensors or arrays, broadcast against each other as in NumPy
g     gradient of the loss with respect to the result

A function of one variable is written as its slope, in terms of x and of the result y, because that
is simplest: exp' = exp. At kinks a slope is 0 or that of one side. All hold at complex points too,
as far as complex steps ask (see `taylor`), which makes `hessian_vector_product` one line.
"""

from collections.abc import Callable
from functools import update_wrapper
from inspect import Parameter, Signature

import numpy as np

from dlcourse.autograd.capture import tracked
from dlcourse.autograd.rules import arrays_of, number, operation, taylor, times, times_bounded
from dlcourse.autograd.tensor import Tensor, constant


@operation(2)
def add(x, y):
    return x + y, lambda g: g, lambda g: g


@operation(2)
def subtract(x, y):
    return x - y, lambda g: g, lambda g: -g


@operation(2)
def multiply(x, y):
    return x * y, lambda g: times(g, y), lambda g: times(g, x)


@operation(2)
def divide(x, y):
    z = x / y
    return z, lambda g: times(g, 1 / y), lambda g: times(g, -z / y)


@operation(1)
def negative(x):
    return -x, lambda g: -g


def power(x, exponent: float) -> Tensor:
    """`x` to a constant power.

    Raises `ValueError` unless `exponent` is a plain number.
    """
    if not isinstance(exponent, int | float | np.number):
        raise ValueError(
            f"`exponent` must be a plain number, got {type(exponent).__name__}. "
            "For a variable exponent write `exp(exponent * log(x))`."
        )
    return square(x) if exponent == 2 else _power(x, float(exponent))


@operation(1)
def _power(x, n):
    return _raised(x, n), lambda g: times(g, times(n, _raised(x, n - 1)))


def _raised(x, n):
    return taylor(lambda a: a**n, lambda a, _: times(n, a ** (n - 1)), x)


def power_of(base: float, x) -> Tensor:
    """A positive number to the power of `x`: what `2 ** x` means.

    Raises `ValueError` unless `base` is a positive number.
    """
    if not (isinstance(base, int | float | np.number) and base > 0):
        raise ValueError(
            f"The base of a variable exponent must be a positive number, got {base!r}. For a "
            "positive tensor write `exp(x * log(base))`."
        )
    return _power_of(x, base)


@operation(1)
def _power_of(x, base):
    def slope(_, y):
        return y * float(np.log(base))

    y = taylor(lambda a: base**a, slope, x)
    return y, lambda g: times(g, slope(x, y))


def square(x) -> Tensor:
    return multiply(x, x)


def smooth(f: Callable, product: Callable = times) -> Callable:
    """Decorates a slope, a function of x and y = f(x): the result is the operation `f`."""

    def decorate(slope):
        @operation(1)
        def apply(x):
            y = taylor(f, slope, x)
            return y, lambda g: product(g, slope(x, y))

        update_wrapper(apply, slope)
        apply.__signature__ = Signature([Parameter("x", Parameter.POSITIONAL_OR_KEYWORD)])
        return apply

    return decorate


@smooth(np.exp)
def exp(x, y):
    """The exponential function."""
    return y


@smooth(np.log)
def log(x, y):
    """The natural logarithm."""
    return 1 / x


@smooth(np.log1p)
def log1p(x, y):
    """log(1 + x), with all digits where x is small."""
    return 1 / (1 + x)


@smooth(np.sqrt)
def sqrt(x, y):
    """The square root."""
    return 0.5 / y


@smooth(np.sin, times_bounded)
def sin(x, y):
    """The sine."""
    return np.cos(x)


@smooth(np.cos, times_bounded)
def cos(x, y):
    """The cosine."""
    return -np.sin(x)


@smooth(np.tanh, times_bounded)
def tanh(x, y):
    """The hyperbolic tangent."""
    return 1 - y * y


@smooth(np.abs, times_bounded)
def absolute(x, y):
    """Size of each entry. Slope 0 at 0, one of the subgradients."""
    return np.sign(x.real)


def positive_part(x):
    return np.maximum(x, number(0, x.dtype))


@smooth(positive_part, times_bounded)
def relu(x, y):
    """The positive part. Its slope is the sign of the result: 1 where positive, else 0."""
    return np.sign(y.real)


def logistic(x):
    r"""The sigmoid of an array; neither exponential can overflow, and both keep their digits.

    .. math:: \sigma(x) = \frac{1}{1 + e^{-x}} = \frac{e^{\min(x, 0)}}{1 + e^{-|x|}}
    """
    return np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))


@smooth(logistic, times_bounded)
def sigmoid(x, y):
    r"""The logistic function.

    .. math:: \sigma(x) = \frac{1}{1 + e^{-x}}, \qquad \sigma' = \sigma (1 - \sigma)
    """
    return y * (1 - y)


def log_one_plus_exp(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


@smooth(log_one_plus_exp, times_bounded)
def softplus(x, y):
    """A smooth relu, the integral of the sigmoid: log(1 + exp(x)).

    .. displayed:: eq-logistic-softplus

    The right-hand side, at u = x, cannot overflow. `-softplus(-x)` is the logarithm of the sigmoid,
    accurate where the sigmoid itself has become 0.
    """
    return sigmoid_of(x)


def sigmoid_of(x):
    """The sigmoid of an array, at complex points too."""
    return taylor(logistic, lambda _, y: y * (1 - y), x)


def clip(x, low: float | None = None, high: float | None = None) -> Tensor:
    """`x`, but no less than `low` and no more than `high`. Slope 1 within, bounds included."""
    return _clip(x, -np.inf if low is None else low, np.inf if high is None else high)


@operation(1)
def _clip(x, low, high):
    is_inside = (x.real >= low) & (x.real <= high)
    y = taylor(lambda a: np.minimum(np.maximum(a, low), high), lambda a, _: is_inside, x)
    return y, lambda g: times_bounded(g, is_inside)


def where(condition, x, y) -> Tensor:
    """Entries of `x` where `condition` holds, those of `y` elsewhere."""
    if isinstance(condition, Tensor):
        mask, known = condition.data, condition.precision
    else:
        mask, known = np.asanyarray(condition), None
    if known is not None and not any(isinstance(a, Tensor | np.ndarray) for a in (x, y)):
        x = np.asarray(x, known)  # of two numbers none says how precise to be
    return _where(x, y, tracked(mask) != 0)


@operation(2)
def _where(x, y, mask):
    return np.where(mask, x, y), lambda g: times_bounded(g, mask), lambda g: times_bounded(g, ~mask)


@operation(2)
def maximum(x, y):
    """The larger entry; where both are equal the gradient goes to `x`. NaN stays NaN."""
    is_first = (x.real >= y.real) | np.isnan(x.real)
    return (
        np.where(is_first, x, y),
        lambda g: times_bounded(g, is_first),
        lambda g: times_bounded(g, ~is_first),
    )


@operation(2)
def minimum(x, y):
    """The smaller entry; where both are equal the gradient goes to `y`. NaN stays NaN."""
    is_first = (x.real < y.real) | np.isnan(x.real)
    return (
        np.where(is_first, x, y),
        lambda g: times_bounded(g, is_first),
        lambda g: times_bounded(g, ~is_first),
    )


def compare(kernel, x, y) -> Tensor:
    """A comparison such as `np.greater`: a constant mask for `where`."""
    x, y = arrays_of((x, y))
    return _mask(kernel(x.real, y.real), x.real.dtype)


def combine(kernel, *masks) -> Tensor:
    """A combination of masks such as `np.logical_and`: a mask again.

    Raises `ValueError` unless the masks hold truth values.
    """
    known = [x.precision for x in masks if isinstance(x, Tensor)]
    arrays = [tracked(x.data if isinstance(x, Tensor) else np.asanyarray(x)) for x in masks]
    if any(x.dtype != bool for x in arrays):
        raise ValueError("Masks must hold truth values. Compare first, such as `x > 0`.")
    return _mask(kernel(*arrays), known[0])


def _mask(data, precision):
    mask = constant(np.asanyarray(data))
    mask.precision = precision  # that of the numbers it came from
    return mask
