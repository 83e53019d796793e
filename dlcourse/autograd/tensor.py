r"""The graph and the backward pass.

x, y   tensors: an array, and how it came about       data  its numbers, an array
g      gradient of the loss with respect to a result  vjp   sends g on to the inputs

A `Tensor` is a variable: gradients flow to it. A plain NumPy array or number is a constant, so
`x.data` in place of `x` stops the gradient. Each operation returns a new tensor that remembers its
inputs and its vector-Jacobian product; `backward` calls these from the last result to the first.
"""

from collections.abc import Callable
from functools import lru_cache
from itertools import count
from math import isfinite
from operator import attrgetter

import numpy as np

from dlcourse import _checks
from dlcourse.autograd import capture
from dlcourse.autograd.capture import launch, launch_into

Array = np.ndarray
_NUMBERS = (int, float, np.number)
_age = count()  # inputs are older than results, so sorting by age is a topological order


class Tensor:
    r"""An array of floats to which gradients flow.

    Making one copies the array. Its numbers are then locked, and so are those of every result,
    because a backward pass may still need them. Whoever writes into `x.data` is told by NumPy that
    the "assignment destination is read-only": make a new tensor instead.

    What the engine does not own it cannot lock: constants, which are your arrays, and the
    parameters of a network, which optimizers move. Change these before the forward pass or after
    `backward`. In between nobody would notice, and the gradient would mix old numbers with new
    ones. To notice, each array would have to be summed up on both ways, which makes the step of a
    small network half as long again.

    >>> x = Tensor([1.0, 2.0, 3.0])
    >>> loss = (x * x).sum()
    >>> loss.backward()
    >>> x.grad
    array([2., 4., 6.])
    """

    __slots__ = ("age", "data", "grad", "needs_grad", "parents", "place", "vjp")
    __array_ufunc__ = None  # so that `array + tensor` is left to Tensor.__radd__

    def __init__(self, data):
        data = launch(np.positive, _checks.floats(data, "data"))  # a copy that replays repeat
        if capture.recording is None:
            data.setflags(write=False)
        _fill(self, data, (), None, needs_grad=True)

    def receive(self, kernel: Callable, *args):
        """Add `kernel(*args)` to the gradient. The first part is written, not added to zeros."""
        if not self.needs_grad:
            return
        if self.grad is None:
            self.grad = launch_into(self.place, kernel, args)
        else:
            launch(np.add, self.grad, launch(kernel, *args), out=self.grad)

    def receive_broadcast(self, kernel: Callable, g: Array, *args):
        """`receive(kernel, g, *args)`, summed over the axes along which `self` was repeated."""
        if self.data.shape == g.shape:
            self.receive(kernel, g, *args)
        elif self.needs_grad:
            self.receive(sum_to, launch(kernel, g, *args), self.data.shape)

    def backward(self):
        r"""Write the gradient of this number into `grad` of every tensor that led to it.

        .. math:: \bar x = \sum_{y \text{ made from } x}
                  \Bigl( \frac{\partial y}{\partial x} \Bigr)^{\!\top} \bar y

        From the youngest result to the oldest, so that each gradient is complete when it is sent
        on. Old gradients are replaced (PyTorch adds to them). Works once: the graph is freed on
        the way. Reference: Linnainmaa (1970).
        """
        self._check_start()
        nodes = _history(self)
        self.grad = number(1.0, self.data.dtype).reshape(self.data.shape)
        for node in nodes:
            node.vjp(node.grad)
            node.vjp, node.parents = _used_up, ()

    def _check_start(self):
        if self.data.size != 1:
            raise ValueError(
                f"`backward` needs a single number, got shape {self.data.shape}. "
                "Reduce it first: `.sum()` or `.mean()`."
            )
        if self.vjp is None:
            raise ValueError(
                "Nothing leads to this tensor: it was not computed from another one. Make the "
                "inputs tensors, `x = Tensor(array)`; plain arrays are constants."
            )
        value = np.asarray(self.data.real).item()
        if not isfinite(value):
            raise ValueError(
                f"The loss is {value}, so its gradient means nothing. Look for a log or a "
                "division at zero, scale the data, or lower the learning rate."
            )

    @property
    def shape(self):
        return self.data.shape

    @property
    def ndim(self):
        return self.data.ndim

    @property
    def size(self):
        return self.data.size

    @property
    def dtype(self):
        return self.data.dtype

    def __len__(self):
        return len(self.data)

    def __float__(self):
        capture.forbid_reading()
        return float(self.data.item())

    def __bool__(self):
        capture.forbid_reading()
        return bool(self.data)

    def __setitem__(self, index, value):
        raise ValueError(
            "A tensor cannot be changed in place: an earlier result may need its old numbers for "
            "the gradient. Build a new one with `where(condition, a, b)` or `concatenate`."
        )

    def __repr__(self):
        numbers = np.array2string(np.asarray(self.data), separator=", ", prefix="Tensor(")
        return f"Tensor({numbers})" if self.needs_grad else f"Tensor({numbers}, constant)"


TensorLike = Tensor | Array  # what operations take; an array is a constant


def record(data: Array, vjp: Callable, *inputs: Tensor) -> Tensor:
    """The tensor that an operation returns: `vjp(g)` sends the gradient g to the `inputs`."""
    if capture.recording is None:
        data.setflags(False)  # not writeable: a replay must write into it; nobody else must
    for x in inputs:
        if x.needs_grad:
            return _fill(_new(Tensor), data, inputs, vjp, True)
    return constant(data)


def constant(data: Array) -> Tensor:
    """A tensor to which no gradient flows."""
    return _fill(_new(Tensor), data, (), None, needs_grad=False)


def parameter(data: Array, place: Array | None) -> Tensor:
    """A variable that may be updated in place; its gradient is written into `place`, if given."""
    x = _fill(_new(Tensor), data, (), None, needs_grad=True)
    x.place = place
    return x


def as_tensor(x) -> Tensor:
    """`x` itself, or the float array `x` as a constant."""
    return x if type(x) is Tensor else constant(_float_array(x))


def as_tensors(x, y) -> tuple[Tensor, Tensor]:
    """Both operands as tensors of one precision; a plain number takes that of the other."""
    if type(x) is not Tensor:
        y = as_tensor(y)
        x = constant(_number_or_array(x, y))
    elif type(y) is not Tensor:
        y = constant(_number_or_array(y, x))
    check_precision(x, y)
    return x, y


def check_precision(x: Tensor, y: Tensor):
    """Raise if one holds float32 and the other float64."""
    a, b = x.data.dtype, y.data.dtype
    if a is not b and "b" not in (a.kind, b.kind) and np.finfo(a).eps != np.finfo(b).eps:
        raise ValueError(
            f"Operands must share one precision, got {a} and {b}: mixing them would double the "
            f"cost without a word. Use `.astype(np.{min(a, b)})` on one of them."
        )


def sum_to(g: Array, shape: tuple, out: Array | None = None) -> Array:
    """Undo broadcasting: add up `g` over the axes along which an array of `shape` was repeated.

    >>> sum_to(np.ones((4, 3)), (3,))
    array([4., 4., 4.])
    """
    n_new = g.ndim - len(shape)
    kept = tuple(i for i, n in enumerate(shape, n_new) if n == 1 and g.shape[i] != 1)
    axes = (*range(n_new), *kept)
    if out is None:
        out = np.empty(shape, g.dtype)
    np.add.reduce(g, axes, None, out.reshape((1,) * n_new + shape), True)
    return out


@lru_cache(maxsize=256)
def number(value: float, dtype) -> Array:
    """`value` as a 0-d array, which NumPy takes faster than a Python number."""
    array = np.asarray(value, dtype)
    array.setflags(write=False)  # it is shared
    return array


def _history(last):
    """Every result that led to `last`, the youngest first; all gradients are forgotten.

    Without recursion, because graphs run deep.
    """
    found, nodes = {last}, [last]
    for node in nodes:  # grows on the way
        node.grad = None
        for x in node.parents:
            if x.vjp is None:
                x.grad = None
            elif x not in found:
                found.add(x)
                nodes.append(x)
    nodes.sort(key=attrgetter("age"), reverse=True)
    return nodes


def _fill(node, data, parents, vjp, needs_grad):
    node.data, node.grad, node.place = data, None, None
    node.parents, node.vjp, node.needs_grad = parents, vjp, needs_grad
    node.age = next(_age)
    return node


def _used_up(g):
    raise ValueError(
        "`backward` has run through this graph before, and freed it. Compute the loss again; for "
        "several losses, add them up and call `backward` once."
    )


def _number_or_array(x, other):
    if isinstance(x, _NUMBERS):
        return number(x, other.data.real.dtype)
    return _float_array(x)


def _float_array(x):
    x = np.asarray(x)
    if x.dtype.kind not in "fcb":  # complex steps and masks are welcome
        raise ValueError(
            f"Operands must hold floats, got dtype {x.dtype}. Use `x.astype(np.float64)`, or the "
            "precision of the other operand."
        )
    return x


_new = Tensor.__new__
