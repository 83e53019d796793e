r"""Operations entry by entry. The line above each `vjp` is the function, the line in it its slope.

x, y  tensors or arrays, broadcast against each other as in NumPy
g     gradient of the loss with respect to the result

Derivatives are written in terms of the result wherever that is simplest: exp' = exp. Every formula
holds for complex numbers too, which is what makes `hessian_vector_product` one line.
"""

from functools import lru_cache

import numpy as np

from dlcourse.autograd.capture import launch
from dlcourse.autograd.tensor import Tensor, as_tensor, as_tensors, constant, number, record


def add(x, y) -> Tensor:
    x, y = as_tensors(x, y)

    def vjp(g):
        x.receive_broadcast(np.positive, g)
        y.receive_broadcast(np.positive, g)

    return record(launch(np.add, x.data, y.data), vjp, x, y)


def subtract(x, y) -> Tensor:
    x, y = as_tensors(x, y)

    def vjp(g):
        x.receive_broadcast(np.positive, g)
        y.receive_broadcast(np.negative, g)

    return record(launch(np.subtract, x.data, y.data), vjp, x, y)


def multiply(x, y) -> Tensor:
    x, y = as_tensors(x, y)

    def vjp(g):
        x.receive_broadcast(np.multiply, g, y.data)
        y.receive_broadcast(np.multiply, g, x.data)

    return record(launch(np.multiply, x.data, y.data), vjp, x, y)


def divide(x, y) -> Tensor:
    x, y = as_tensors(x, y)
    ratio = launch(np.divide, x.data, y.data)

    def vjp(g):
        g = launch(np.divide, g, y.data)
        x.receive_broadcast(np.positive, g)
        y.receive_broadcast(np.multiply, launch(np.negative, g), ratio)

    return record(ratio, vjp, x, y)


def negative(x) -> Tensor:
    x = as_tensor(x)
    return record(launch(np.negative, x.data), lambda g: x.receive(np.negative, g), x)


def power(x, exponent: float) -> Tensor:
    """`x` to a constant power."""
    if not isinstance(exponent, int | float):
        raise ValueError(
            f"`exponent` must be a plain number, got {type(exponent).__name__}. "
            "For a variable exponent write `exp(exponent * log(x))`."
        )
    if exponent == 2:
        return square(x)
    x = as_tensor(x)
    n, n_less_one = (number(e, x.data.real.dtype) for e in (exponent, exponent - 1))

    def vjp(g):
        slope = launch(np.power, x.data, n_less_one)
        x.receive(np.multiply, g, launch(np.multiply, slope, n, out=slope))

    return record(launch(np.power, x.data, n), vjp, x)


def square(x) -> Tensor:
    return multiply(x, x)


def sqrt(x) -> Tensor:
    x = as_tensor(x)
    y = launch(np.sqrt, x.data)
    return record(y, lambda g: x.receive(np.divide, g, launch(np.add, y, y)), x)


def exp(x) -> Tensor:
    x = as_tensor(x)
    y = launch(np.exp, x.data)
    return record(y, lambda g: x.receive(np.multiply, g, y), x)


def log(x) -> Tensor:
    x = as_tensor(x)
    return record(launch(np.log, x.data), lambda g: x.receive(np.divide, g, x.data), x)


def absolute(x) -> Tensor:
    """Size of each entry. Slope 0 at 0, one of the subgradients."""
    x = as_tensor(x)
    sign = launch(np.sign, x.data.real)
    return record(launch(np.multiply, x.data, sign), lambda g: x.receive(np.multiply, g, sign), x)


def tanh(x) -> Tensor:
    x = as_tensor(x)
    y = launch(np.tanh, x.data)

    def vjp(g):
        slope = launch(np.multiply, y, y)
        x.receive(np.multiply, g, launch(np.subtract, number(1, slope.dtype), slope, out=slope))

    return record(y, vjp, x)


def sigmoid(x) -> Tensor:
    r"""The logistic function, through tanh, which never overflows.

    .. math:: \sigma(x) = \frac{1}{1 + e^{-x}} = \frac12 \Bigl( 1 + \tanh\frac{x}{2} \Bigr), \qquad
              \sigma' = \sigma (1 - \sigma)
    """
    x = as_tensor(x)
    y = logistic(x.data)

    def vjp(g):
        slope = launch(np.subtract, number(1, y.dtype), y)
        x.receive(np.multiply, g, launch(np.multiply, slope, y, out=slope))

    return record(y, vjp, x)


def softplus(x) -> Tensor:
    r"""A smooth relu, the integral of the sigmoid.

    .. math:: \log(1 + e^x) = \max(x, 0) + \log(1 + e^{-|x|})

    The right-hand side cannot overflow.
    """
    x = as_tensor(x)
    small = launch(np.multiply, x.data, launch(np.sign, x.data.real))
    for kernel in (np.negative, np.exp, np.log1p):
        launch(kernel, small, out=small)
    y = launch(np.add, launch(larger, x.data, zeros(x.shape, x.dtype)), small)
    return record(y, lambda g: x.receive(np.multiply, g, logistic(x.data)), x)


def relu(x) -> Tensor:
    """The positive part. Its slope is the sign of the result: 1 where positive, else 0."""
    x = as_tensor(x)
    y = launch(larger, x.data, zeros(x.shape, x.dtype))
    return record(y, lambda g: x.receive(np.multiply, g, launch(np.sign, y.real)), x)


def where(condition, x, y) -> Tensor:
    """Entries of `x` where `condition` holds, those of `y` elsewhere."""
    x, y = as_tensors(x, y)
    mask = condition.data if isinstance(condition, Tensor) else np.asarray(condition, bool)

    def vjp(g):
        x.receive_broadcast(np.multiply, g, mask)
        y.receive_broadcast(np.multiply, g, launch(np.logical_not, mask))

    return record(launch(_where, mask, x.data, y.data), vjp, x, y)


def maximum(x, y) -> Tensor:
    """The larger entry; where both are equal the gradient goes to `x`."""
    return where(at_least(x, y), x, y)


def minimum(x, y) -> Tensor:
    """The smaller entry; where both are equal the gradient goes to `y`."""
    return where(at_least(x, y), y, x)


def compare(kernel, x, y) -> Tensor:
    """A comparison such as `np.greater`: a constant mask for `where`."""
    x, y = as_tensors(x, y)
    return constant(launch(kernel, x.data.real, y.data.real))


def at_least(x, y) -> Tensor:
    return compare(np.greater_equal, x, y)


def logistic(x):
    """The sigmoid of an array."""
    half = number(0.5, x.dtype)
    y = launch(np.multiply, x, half)
    launch(np.tanh, y, out=y)
    launch(np.multiply, y, half, out=y)
    return launch(np.add, y, half, out=y)


def larger(x, y, out=None):
    return np.maximum(x, y, out=out)  # since NumPy 2.4 its `out` is taken by keyword only


def _where(mask, x, y, out=None):
    if out is None:
        return np.where(mask, x, y)
    np.copyto(out, y)
    np.copyto(out, x, where=mask)


@lru_cache(maxsize=256)
def zeros(shape, dtype):
    """Zeros of the same shape: `np.maximum` takes twice as long against a single zero."""
    blank = np.zeros(shape, dtype)
    blank.setflags(write=False)
    return blank
