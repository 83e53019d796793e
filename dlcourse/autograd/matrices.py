r"""Products of matrices, and the affine map that every layer is made of.

x  inputs, one a row (n, p)      W  weights (p, k): column j makes output j
b  offsets (k,)                  g  gradient with respect to the result (n, k)
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Inexact

from dlcourse.autograd.capture import launch
from dlcourse.autograd.elementwise import larger, zeros
from dlcourse.autograd.shapes import reshape
from dlcourse.autograd.tensor import (
    Tensor,
    TensorLike,
    as_tensor,
    as_tensors,
    check_precision,
    record,
    sum_to,
)


def matmul(
    x: Inexact[TensorLike, "... p"], y: Inexact[TensorLike, "..."]
) -> Inexact[Tensor, "..."]:
    r"""Matrix product of (*batch, n, p) and (*batch, p, k); the batches are broadcast.

    A vector on the left is a row, on the right a column, as in NumPy.

    .. math:: \bar x = \bar z \, y^\top, \qquad \bar y = x^\top \bar z \qquad (z = x y)
    """
    x, y = as_tensors(x, y)
    _check_inner(x, y)
    if x.ndim == 1:
        z = matmul(reshape(x, (1, -1)), y)
        return reshape(z, z.shape[:-2] + z.shape[-1:])
    if y.ndim == 1:
        z = matmul(x, reshape(y, (-1, 1)))
        return reshape(z, z.shape[:-1])
    product = np.dot if x.ndim == y.ndim == 2 else np.matmul  # `dot` starts faster

    def vjp(g):
        send(x, g, y.data.swapaxes(-1, -2))
        send(y, x.data.swapaxes(-1, -2), g)

    def send(to, left, right):
        if to.shape[:-2] == z.shape[:-2]:
            to.receive(product, left, right)
        elif to.needs_grad:  # one matrix has met a batch of others
            to.receive(sum_to, launch(product, left, right), to.shape)

    z = launch(product, x.data, y.data)
    return record(z, vjp, x, y)


def affine(
    x: Inexact[TensorLike, "n p"], W: Inexact[TensorLike, "p k"], b: Inexact[TensorLike, " k"]
) -> Inexact[Tensor, "n k"]:
    r"""The affine map, in two NumPy calls.

    .. math:: y = x W + b, \qquad
              \bar x = \bar y W^\top, \quad \bar W = x^\top \bar y, \quad \bar b = 1^\top \bar y
    """
    x, W, b = _checked(x, W, b)
    y = launch(np.dot, x.data, W.data)
    launch(np.add, y, b.data, out=y)
    return record(y, lambda g: _affine_vjp(g, x, W, b), x, W, b)


def affine_relu(
    x: Inexact[TensorLike, "n p"], W: Inexact[TensorLike, "p k"], b: Inexact[TensorLike, " k"]
) -> Inexact[Tensor, "n k"]:
    r"""The positive part of the affine map: one node of the graph and one array instead of three.

    .. math:: y = \max(x W + b, 0)
    """
    x, W, b = _checked(x, W, b)
    y = launch(np.dot, x.data, W.data)
    launch(np.add, y, b.data, out=y)
    launch(larger, y, zeros(y.shape, y.dtype), out=y)

    def vjp(g):
        slope = launch(np.sign, y.real)  # 1 where positive, else 0
        _affine_vjp(launch(np.multiply, g, slope), x, W, b)

    return record(y, vjp, x, W, b)


def _affine_vjp(g, x, W, b):
    x.receive(np.dot, g, W.data.T)
    W.receive(np.dot, x.data.T, g)
    b.receive(np.dot, ones(len(g), g.dtype), g)  # a sum over rows, at the speed of BLAS


@lru_cache(maxsize=256)
def ones(n, dtype):
    return np.ones(n, dtype)


def _checked(x, W, b):
    if not type(x) is type(W) is type(b) is Tensor:
        x, W, b = as_tensor(x), as_tensor(W), as_tensor(b)
    p_k = W.data.shape
    if len(p_k) != 2 or x.data.shape[1:] != p_k[:1] or b.data.shape != p_k[1:]:
        raise ValueError(
            f"`x` must have shape (n, p), `W` (p, k) and `b` (k,), got {x.shape}, {W.shape} and "
            f"{b.shape}. One feature in a vector? Use `x[:, None]`. One observation? Use "
            "`x[None, :]`. A row of offsets (1, k)? Use `.ravel()`."
        )
    if not x.data.dtype is W.data.dtype is b.data.dtype:
        check_precision(x, W)
        check_precision(x, b)
    return x, W, b


def _check_inner(x, y):
    rows = y.shape[-2:][0] if y.ndim else None
    if not x.ndim or x.shape[-1] != rows:
        raise ValueError(
            f"The last axis of the left factor must match the rows of the right one, got shapes "
            f"{x.shape} and {y.shape}. Does one of them need `transpose`?"
        )
