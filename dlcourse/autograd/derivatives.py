r"""Derivatives of functions: what the engine is for, as functions of arrays.

f  takes a tensor (p,) and returns a number; or (*runs, p) and returns one number a run (*runs,)
x  point, an array          v  direction, shaped like x
"""

from collections.abc import Callable
from contextvars import ContextVar

import numpy as np
from jaxtyping import Float

from dlcourse import _checks
from dlcourse.autograd.reductions import sum
from dlcourse.autograd.tensor import Tensor, constant, history, parameter

Array = np.ndarray
_STEP = 1e-100  # its square vanishes beside any number
_points = ContextVar("points", default=())  # where derivatives are being taken
_NESTED = (
    "A derivative inside of another one, by a variable of the outer one, would come out as a "
    "constant. For second derivatives use `hessian_vector_product` or `hessian`."
)


def value_and_gradient(f: Callable) -> Callable:
    """The function that returns (value, gradient) of `f` at an array.

    That is the form in which `optim.minimize` and `check_gradient` take a function. Values of many
    runs are added up before the backward pass: runs do not mix, so each keeps its own gradient.

    >>> bowl = value_and_gradient(lambda x: (x * x).sum(-1))
    >>> bowl(np.array([1.0, 2.0]))
    (array(5.), array([2., 4.]))
    """

    def value_and_gradient_of_f(x):
        if isinstance(x, Tensor):
            raise ValueError(f"`x` must be an array, got a tensor. {_NESTED}")
        return _evaluate(f, _checks.floats(x, "x"))

    return value_and_gradient_of_f


def gradient(f: Callable, x: Float[Array, "..."]) -> Float[Array, "..."]:
    """The gradient of `f` at `x`.

    >>> gradient(lambda x: x[0] * x[1], np.array([2.0, 3.0]))
    array([3., 2.])
    """
    return value_and_gradient(f)(x)[1]


def hessian_vector_product(
    f: Callable, x: Float[Array, "..."], v: Float[Array, "..."]
) -> Float[Array, "..."]:
    r"""Curvature of `f` along `v`, without the Hessian: one gradient at a complex point.

    .. math:: H v = \frac{\operatorname{Im} \nabla f(x + i h v)}{h} + O(h^2)

    Nothing is subtracted, so `h` can be so small that the error vanishes: the result is exact up to
    rounding. Every operation of the engine is analytic between its kinks, so its formulas hold for
    complex numbers as they stand. Raises `ValueError` unless `x` and `v` hold finite floats of one
    shape. Reference: Squire and Trapp (1998).

    >>> hessian_vector_product(lambda x: (x**3).sum(), np.array([1.0, 2.0]), np.array([1.0, 1.0]))
    array([ 6., 12.])
    """
    x, v = _checks.floats(x, "x"), _checks.floats(v, "v")
    _checks.same_shape(x, v, ("x", "v"))
    return derivative_along(lambda z: _evaluate(f, z)[1], x, v)


def derivative_along(f: Callable, x: Float[Array, "..."], v: Float[Array, "..."]):
    """Derivative of an analytic `f` from arrays to arrays, along `v`, by one complex step.

    The step is taken in double precision: half a one has no room for a number and its step.
    """
    length = float(np.abs(v).max(initial=0)) or 1.0  # so that tiny directions keep digits
    step = _STEP * (np.asarray(v, float) / length)
    return ((f(x + 1j * step).imag / _STEP) * length).astype(x.dtype)


def hessian(f: Callable, x: Float[Array, " p"]) -> Float[Array, "p p"]:
    """All second derivatives of `f` at `x`, column after column: p products.

    >>> hessian(lambda x: x[0] ** 2 * x[1], np.array([1.0, 2.0]))
    array([[4., 2.],
           [2., 0.]])
    """
    columns = [hessian_vector_product(f, x, e) for e in np.eye(len(x), dtype=x.dtype)]
    return np.stack(columns, axis=1)


def _evaluate(f, x):
    point = parameter(x, place=None)
    token = _points.set((*_points.get(), point))
    try:
        value = f(point)
    finally:
        _points.reset(token)
    value = value if isinstance(value, Tensor) else constant(np.asarray(value))
    if value.shape not in ((), x.shape[:-1]):
        raise ValueError(
            f"`f` must return one number, or one a run {x.shape[:-1]}, got shape {value.shape}. "
            "Sum over the last axis only: `.sum(-1)`."
        )
    if not value.needs_grad:
        return value.data, np.zeros_like(x)
    total = sum(value)
    _check_not_nested(total)
    total.backward()
    return value.data, np.zeros_like(x) if point.grad is None else point.grad


def _check_not_nested(value):
    """Raise if a derivative that is being taken further out would lose what goes through here."""
    nodes, leaves = history(value)
    outer = _points.get()
    if outer and (leaves.intersection(outer) or any(x.age < outer[-1].age for x in nodes)):
        raise ValueError(_NESTED)
