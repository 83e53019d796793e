"""Steps in place: checks, blocks that stay in the processor's cache, and y += a x in one pass.

x, grad, state arrays   contiguous and aligned, of one shape and one dtype (float32 or float64)
k                       steps taken, a 0-d integer array

NumPy makes one pass over memory for each operation. On a long vector that costs more than the
arithmetic, so an update walks over it in blocks: all its operations on the first block, while the
block is in the cache, then all on the next.
"""

import threading

import numpy as np
from scipy.linalg import blas

from dlcourse import _checks
from dlcourse.optim._settings import rate_at

BLOCK_BYTES = 512 * 1024  # short enough for the cache, long enough for calls to cost little
# SciPy for this alone, because it pays: with NumPy's two passes, at 1e5 parameters, Adam takes a
# quarter longer and SGD twice as long.
_AXPY = {"f": blas.saxpy, "d": blas.daxpy}


def check_update(x, grad, *arrays):
    """Raise unless an update can write into `x` and `arrays` without copying them."""
    for array in (x, grad, *arrays):
        if not (
            isinstance(array, np.ndarray)
            and array.dtype == x.dtype
            and array.shape == x.shape
            and array.flags.c_contiguous
            and array.flags.aligned
            and (array.flags.writeable or array is grad)
        ):
            name = "x" if array is x else "grad" if array is grad else "state"
            _checks.same_shape(array, x, (name, "x"))
            _refuse(x, array, name)
    if x.dtype.char not in _AXPY or not x.dtype.isnative:
        _refuse(x, x, "x")


def _refuse(x, array, name):
    if not isinstance(array, np.ndarray):
        raise ValueError(
            f"An update in place needs arrays, got {type(array).__name__} for `{name}`. "
            f"Use `{name} = np.array({name}, dtype=float)`."
        )
    if array.dtype != x.dtype or x.dtype.char not in _AXPY or not x.dtype.isnative:
        raise ValueError(
            "An update in place needs `x`, `grad` and the state in one dtype, float32 or float64, "
            f"got {x.dtype} for `x` and {array.dtype} for `{name}`. "
            "Use `.astype(float)`, also for a foreign byte order, then `state = optimizer.init(x)`."
        )
    raise ValueError(
        f"An update in place needs `{name}` contiguous and writeable, and aligned: a copy would "
        f"take the change and be lost. Use `np.array({name}, order='C')`, or `step`."
    )


def advance(k):
    """Count one more step in the array `k`, and return the count as a Python integer."""
    n = int(k) + 1
    k[...] = n
    return n


def number_at(learning_rate, k, x, grad):
    """The learning rate after `k` steps, which an update needs to be one number."""
    rate = learning_rate if type(learning_rate) is float else rate_at(learning_rate, k, x, grad)
    if not isinstance(rate, float):
        raise ValueError(
            f"An update in place moves one point with one rate, got rates of shape {rate.shape}. "
            "Use `step` for many runs with a rate each."
        )
    return rate


def add_scaled(y, a, x):
    """y += a x for contiguous vectors: one pass where NumPy needs two and a work array."""
    _AXPY[y.dtype.char](x, y, a=a)


def blocks(*arrays):
    """The arrays cut into blocks, side by side, each time with a work array of that length."""
    n, work = arrays[0].size, _work.arrays[arrays[0].dtype.char]
    flat = [array.reshape(-1) for array in arrays]
    if n <= work.size:
        yield *flat, work[:n]
        return
    for start in range(0, n, work.size):
        cut = [array[start : start + work.size] for array in flat]
        yield *cut, work[: cut[0].size]


class _Work(threading.local):
    """Kept between calls, so that a step allocates nothing; one a thread, so that none mix."""

    def __init__(self):
        memory = np.empty(BLOCK_BYTES, "b")
        self.arrays = {char: memory.view(char) for char in _AXPY}


_work = _Work()
