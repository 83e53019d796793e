r"""From a rule to an operation: the one place where plain NumPy meets the graph.

A rule takes arrays and returns the result and, for each array, its vector-Jacobian product (vjp):
a function of g, the gradient of the loss with respect to the result. What was repeated by
broadcasting is summed up again by `backward`, so rules need not care.

>>> @operation(2)
... def product(x, y):
...     return x * y, lambda g: g * y, lambda g: g * x
>>> x = Tensor([1.0, 2.0, 3.0])
>>> product(x, x).sum().backward()
>>> x.grad
array([2., 4., 6.])
"""

from collections.abc import Callable
from functools import lru_cache, wraps
from inspect import signature
from math import isfinite

import numpy as np

from dlcourse.autograd.capture import Numbers, launch, tracked
from dlcourse.autograd.recorded import open_record
from dlcourse.autograd.tensor import Tensor, constant, result, unbounded_came_before

Array = np.ndarray
_NUMBERS = (int, float, np.number)


def operation(n_tensors: int | None) -> Callable:
    """Decorates a rule whose first `n_tensors` arguments, or all, are tensors or arrays."""

    def decorate(rule):
        parameters = signature(rule)

        @wraps(rule)
        def apply(*args, **options):
            if n_tensors is None:
                operands, rest = args, ()
            else:
                if len(args) < n_tensors:  # some are given by name
                    bound = parameters.bind(*args, **options)
                    args, options = bound.args, bound.kwargs
                operands, rest = args[:n_tensors], args[n_tensors:]
            y, *vjps = rule(*arrays_of(operands), *rest, **options)
            return _result(y, operands, vjps, apply)

        apply.rule = rule
        return apply

    return decorate


def fused(first: Callable, last: Callable) -> Callable:
    """The operation `last(first(...))`, as one node of the graph instead of two."""

    def apply(*operands):
        y, *vjps = first.rule(*arrays_of(operands))
        y, vjp = last.rule(y)
        return _result(y, operands, vjps, apply, vjp)

    apply.__name__ = f"{first.__name__}_{last.__name__}"
    apply.__doc__ = f"`{last.__name__}` of `{first.__name__}`, one node of the graph."
    return apply


def times(g: Numbers | float, slope: Numbers | float) -> Numbers:
    """`g * slope`, where 0 times infinity, or times NaN, is 0.

    A gradient that is masked out must not meet an infinite slope, nor the other way round: the
    slope of `sqrt(relu(x))` at -1 is 0, and so is that of `where(x > 0, log(x), 0)`.
    """
    unbounded_came_before.set(True)
    return launch(_times, g, slope)


def times_bounded(g: Numbers | float, slope: Numbers | float) -> Numbers:
    """`times` for a finite slope: `g` is finite too, unless an unbounded slope came before."""
    return times(g, slope) if unbounded_came_before.get() else g * slope


def taylor(f: Callable, slope: Callable, x: Numbers) -> Numbers:
    r"""`f(x)`; at a complex point the first two terms of the Taylor series of a real function.

    .. math:: f(a + i h) = f(a) + i h \, f'(a)

    That is all which complex steps ask for. Real functions only: no branch cut, no tie broken by
    the imaginary part, and NaN where the real function is undefined. `slope(x, y)` is its slope.
    """
    if x.dtype.kind != "c":
        return f(x)
    y = f(x.real)
    with np.errstate(divide="ignore", invalid="ignore"):
        return y + 1j * times(x.imag, slope(x.real, y))


def arrays_of(operands) -> list[Array]:
    """The arrays of tensors, arrays and numbers, of one precision."""
    arrays, dtype = [], None
    for x in operands:
        if type(x) is Tensor:
            x = x.data
        if type(x) is not Array or (x.dtype is not dtype and (dtype or x.dtype.kind != "f")):
            break
        dtype = x.dtype
        arrays.append(x)
    else:  # of one kind of float, as nearly always
        if open_record.get() is None:
            return arrays
    arrays = _converted([x.data if type(x) is Tensor else x for x in operands], operands)
    return [tracked(x) for x in arrays]


@lru_cache(maxsize=256)
def number(value: float, dtype) -> Array:
    """`value` as a 0-d array, which NumPy takes faster than a Python number."""
    array = np.asarray(value, dtype)
    array.setflags(write=False)  # it is shared
    return array


def _result(y, operands, vjps, made_by, last=None):
    if type(y) is not Array:
        y = np.asanyarray(y)  # NumPy turns 0-d arrays into scalars
    y.setflags(False)  # not writeable
    for x in operands:
        if type(x) is Tensor and x.needs_grad:
            return result(y, operands, vjps, made_by, last)
    return constant(y)


def _converted(arrays, operands):
    """Numbers and masks take the precision of the other operands."""
    arrays = [x if isinstance(x, (Array, *_NUMBERS)) else np.asarray(x) for x in arrays]
    precision = _precision([x.dtype for x in arrays if isinstance(x, Array)])
    if precision is None:  # masks know what they compared
        known = [x.precision for x in operands if type(x) is Tensor and x.precision is not None]
        precision = known[0] if known else np.dtype(float)
    converted = []
    for x in arrays:
        if not isinstance(x, Array):
            x = number(x, precision)
        elif x.dtype == bool:
            x = x.astype(precision)
        converted.append(x)
    return converted


def _precision(dtypes):
    """The precision that floats share, or raise; a complex step may meet either."""
    for dtype in dtypes:
        if dtype.kind not in "fcb":
            raise ValueError(
                f"Operands must hold floats, got dtype {dtype}. Use `x.astype(np.float64)`, or "
                "the precision of the other operand."
            )
    if any(dtype.kind == "c" for dtype in dtypes):
        return np.dtype(float)
    floats = sorted({dtype for dtype in dtypes if dtype.kind == "f"})
    if len({np.finfo(dtype).eps for dtype in floats}) > 1:
        raise ValueError(
            f"Operands must share one precision, got {floats[0]} and {floats[-1]}: mixing them "
            f"would double the cost without a word. Use `.astype(np.{floats[0]})` on one of them."
        )
    return floats[0] if floats else None


# Kernels


def _times(g, slope, out=None):
    y = np.multiply(g, slope, out)
    if not isfinite(np.vdot(y, y).real):  # rare, so look closely
        y = np.asarray(y)
        np.copyto(y, 0, where=np.equal(g, 0) | np.equal(slope, 0))
    return y
