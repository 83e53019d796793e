r"""Products of matrices, and the affine map that every layer is made of.

x  inputs, one a row (..., p)      W  weights (p, k): column j makes output j
b  offsets (k,)                    g  gradient with respect to the result (..., k)

In formulas a bar marks the gradient of the loss with respect to what is under it.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Inexact
from numpy import dot  # `@` for matrices, which starts faster

from dlcourse.autograd.elementwise import relu
from dlcourse.autograd.rules import fused, operation
from dlcourse.autograd.shapes import reshape
from dlcourse.autograd.tensor import Tensor, TensorLike

Array = np.ndarray


def matmul(
    x: Inexact[TensorLike, "... p"], y: Inexact[TensorLike, "..."]
) -> Inexact[Tensor, "..."]:
    r"""Matrix product of (*batch, n, p) and (*batch, p, k); the batches are broadcast.

    The factors of z = x y receive

    .. math:: \bar x = \bar z \, y^\top, \qquad \bar y = x^\top \bar z

    A vector on the left is a row, on the right a column, as in NumPy. Raises `ValueError` unless
    the inner sides are equal.
    """
    shapes = np.shape(x), np.shape(y)
    _check_inner(*shapes)
    x = reshape(x, (1, -1)) if len(shapes[0]) == 1 else x
    y = reshape(y, (-1, 1)) if len(shapes[1]) == 1 else y
    z = _matmul(x, y)
    batch = z.shape[:-2]
    n, k = shapes[0][-2:-1], shapes[1][-1:] if len(shapes[1]) > 1 else ()
    return z if z.shape == (*batch, *n, *k) else reshape(z, (*batch, *n, *k))


@operation(2)
def _matmul(x, y):
    return x @ y, lambda g: g @ y.swapaxes(-1, -2), lambda g: x.swapaxes(-1, -2) @ g


@operation(3)
def affine(x: Inexact[Array, "... p"], W: Inexact[Array, "p k"], b: Inexact[Array, " k"]):
    r"""The affine map of each row.

    .. math:: y = x W + b, \qquad
              \bar x = \bar y W^\top, \quad \bar W = x^\top \bar y, \quad \bar b = 1^\top \bar y
    """
    check_affine(x.shape, W.shape, b.shape)
    return (
        dot(x, W) + b,
        lambda g: dot(g, W.T),
        lambda g: dot(rows(x).T, rows(g)),
        lambda g: dot(ones(g.size // g.shape[-1], g.dtype), rows(g)),  # a sum at the speed of BLAS
    )


affine_relu = fused(affine, relu)


def rows(x):
    """All rows of a batch, one below the other."""
    return x if x.ndim == 2 else x.reshape(-1, x.shape[-1])


@lru_cache(maxsize=256)
def ones(n, dtype):
    return np.ones(n, dtype)


def check_affine(x, W, b):
    """Raise `ValueError` unless the shapes are (n, p) of x, (p, k) of W and (k,) of b."""
    if len(x) < 2 or len(W) != 2 or (x[-1], *b) != W:
        raise ValueError(
            f"`x` must have shape (n, p), `W` (p, k) and `b` (k,), got {x}, {W} and {b}. "
            "One feature in a vector? Use `x[:, None]`. One observation? Use `x[None, :]`. "
            "A row of offsets (1, k)? Use `.ravel()`."
        )


def _check_inner(x, y):
    if not x or not y or x[-1] != y[-2:][0]:
        raise ValueError(
            f"The last axis of the left factor must match the rows of the right one, got shapes "
            f"{x} and {y}. Does one of them need `transpose`?"
        )
