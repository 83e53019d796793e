r"""The graph and the backward pass.

x, y   tensors: an array, and how it came about       data  its numbers, an array
g      gradient of the loss with respect to a result  vjp   sends g on: what one input receives

A `Tensor` is a variable: gradients flow to it. A plain NumPy array or number is a constant, so
`x.data` in place of `x` stops the gradient. Each operation returns a new tensor that remembers its
inputs and, for each, the vector-Jacobian product; `backward` calls these from the last result to
the first. How an operation is made out of its rule says `operation`.
"""

from contextvars import ContextVar
from itertools import count
from math import isfinite
from operator import attrgetter

import numpy as np

from dlcourse import _checks
from dlcourse.autograd.capture import Numbers, launch, tracked
from dlcourse.autograd.recorded import forbid_reading

Array = np.ndarray
_age = count()  # inputs are older than results, so sorting by age is a topological order
_USED_UP = ()
unbounded_came_before = ContextVar("unbounded_came_before", default=True)  # in this backward pass


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

    __slots__ = (
        *("age", "data", "grad", "last", "made_by", "needs_grad", "parents", "place", "precision"),
        "vjps",
    )

    def __init__(self, data):
        data = np.asanyarray(data)
        launch(_check_floats, data)
        self.data = np.asanyarray(np.positive(tracked(data)))  # a copy that replays repeat
        self.data.setflags(write=False)
        self.parents, self.age, self.needs_grad = (), next(_age), True
        self.vjps = self.made_by = self.last = self.grad = self.place = self.precision = None

    def backward(self):
        r"""Write the gradient of this number into `grad` of every tensor that led to it.

        .. math:: \bar x = \sum_j J_j^\top \, \bar y_j

        A bar marks a gradient, and :math:`J_j = \partial y_j / \partial x`, one for each result
        :math:`y_j` that was made from x. From the youngest result to the oldest, so that each
        gradient is complete when it is sent on. Old gradients are replaced (PyTorch adds to them).
        Works once: the graph is freed on the way. Raises ValueError unless this is one finite
        number that tensors led to. Reference: Linnainmaa (1970).
        """
        self._check_start()
        nodes, leaves = history(self)
        for x in (*nodes, *leaves):
            x.grad = None
        self.grad = np.ones(self.data.shape, self.data.dtype)
        unbounded_came_before.set(False)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            for node in nodes:
                g = node.grad
                if node.last is not None:
                    g = node.last(g)
                for x, vjp in zip(node.parents, node.vjps, strict=True):
                    if type(x) is Tensor and x.needs_grad:
                        x._receive(vjp(g))
                node.parents, node.vjps, node.last = (), _USED_UP, None

    def _receive(self, g):
        """Add `g` to the gradient; the first part is written, not added to zeros."""
        if g.shape != self.data.shape:
            g = sum_to(g, self.data.shape)
        if self.grad is not None:
            g = self.grad + g
        if self.place is not None:
            self.grad = tracked(self.place)
            self.grad[...] = g
        elif self.vjps is None:  # users keep it, and g may be shared
            self.grad = np.asanyarray(+g)
        else:
            self.grad = g

    def _check_start(self):
        if self.data.size != 1:
            raise ValueError(
                f"`backward` needs a single number, got shape {self.data.shape}. "
                "Reduce it first: `.sum()` or `.mean()`."
            )
        if self.vjps is None:
            raise ValueError(
                "Nothing leads to this tensor: it was not computed from another one. Make the "
                "inputs tensors, `x = Tensor(array)`; plain arrays are constants."
            )
        launch(_check_finite, self.data)

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

    def item(self) -> float:
        """The only entry as a Python number."""
        forbid_reading()
        return self.data.item()

    def __len__(self):
        return len(self.data)

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __bool__(self):
        forbid_reading()
        return bool(self.data)

    def __format__(self, how):
        return format(self.item() if how else self, how) if how else str(self)

    def __setitem__(self, index, value):
        """Raise `ValueError`: a tensor is never changed in place."""
        raise ValueError(
            "A tensor cannot be changed in place: an earlier result may need its old numbers for "
            "the gradient. Build a new one with `where(condition, a, b)` or `concatenate`."
        )

    def __repr__(self):
        numbers = np.array2string(np.asarray(self.data), separator=", ", prefix="Tensor(")
        return f"Tensor({numbers})" if self.needs_grad else f"Tensor({numbers}, constant)"


class NotFiniteError(ValueError):
    """A loss is infinite or NaN."""


TensorLike = Tensor | Array  # what operations take; an array is a constant


def result(data: Array, parents: tuple, vjps: list | None, made_by, last=None) -> Tensor:
    """What an operation returns: it sends `vjp(g)` to each parent, or `vjp(last(g))`."""
    x = _new(Tensor)
    x.data, x.parents, x.vjps, x.made_by, x.last = data, parents, vjps, made_by, last
    x.grad = x.place = x.precision = None
    x.needs_grad, x.age = True, next(_age)
    return x


def constant(data: Array) -> Tensor:
    """A tensor to which no gradient flows."""
    x = result(data, (), None, None)
    x.needs_grad = False
    return x


def parameter(data: Array, place: Array | None) -> Tensor:
    """A variable that may be updated in place; its gradient is written into `place`, if given."""
    x = result(data, (), None, None)
    x.place = place
    return x


def history(last: Tensor) -> tuple[list[Tensor], set[Tensor]]:
    """Every result that led to `last`, the youngest first, and the variables where all began.

    Without recursion, because graphs run deep. Raises `ValueError` where `backward` has been
    through the graph already.
    """
    found, nodes, leaves = {last}, [last], set()
    for node in nodes:  # grows on the way
        if node.vjps is _USED_UP:
            raise ValueError(
                "`backward` has run through this graph before, and freed it. Compute the loss "
                "again; for several losses, add them up and call `backward` once."
            )
        for x in node.parents:
            if type(x) is not Tensor or not x.needs_grad:
                continue
            if x.vjps is None:
                leaves.add(x)
            elif x not in found:
                found.add(x)
                nodes.append(x)
    nodes.sort(key=attrgetter("age"), reverse=True)
    return nodes, leaves


def sum_to(g: Numbers, shape: tuple) -> Numbers:
    """Undo broadcasting: add up `g` over the axes along which an array of `shape` was repeated.

    >>> sum_to(np.ones((4, 3)), (3,))
    array([4., 4., 4.])
    """
    n_new = g.ndim - len(shape)
    kept = tuple(i for i, n in enumerate(shape, n_new) if n == 1 and g.shape[i] != 1)
    return g.sum((*range(n_new), *kept)).reshape(shape)


def _check_floats(data):
    _checks.floats(data, "data")


def _check_finite(loss):
    value = loss.real.item()
    if not isfinite(value):
        raise NotFiniteError(
            f"The loss is {value}, so its gradient means nothing. Look for a log or a division at "
            "zero, scale the data, or lower the learning rate."
        )


_new = Tensor.__new__
