r"""The arrays of an open capture: NumPy's own protocols write down each kernel with its result.

kernel  a NumPy call that can write its result into a given array
root    the array that owns the memory into which an array looks

The rules of the engine are plain NumPy. Outside of a capture they run on plain arrays, so recording
costs nothing there. Inside, their arrays are `Recorded`: a subclass which NumPy asks before each
call, so that the call can be run, written down, and answered with another `Recorded`. What a replay
could not repeat is an error: a branch on numbers, a write into an array from outside, and a copy
made where nobody looked, which shows because the record does not know the memory it lies in.
"""

import operator
from collections.abc import Callable
from contextvars import ContextVar
from typing import NamedTuple

import numpy as np

Array = np.ndarray
open_record = ContextVar("open_record", default=None)  # each thread has its own


class Call(NamedTuple):
    """One recorded call; `out`, the array it fills, is one of its arguments or options."""

    kernel: Callable
    args: tuple
    options: dict
    out: Array | None
    is_elementwise: bool = False  # so `out` may be one of the inputs


class Record:
    """The calls of a capture in order, and the memory that they read and write."""

    def __init__(self):
        self.calls, self.made, self.known = [], [], {}

    def admit(self, x: Array) -> "Recorded":
        """`x` as an array of the capture."""
        if type(x) is Recorded:
            self.check(x)
            return x
        return self._admit(x)

    def _admit(self, x):
        self.known[id(root(x))] = root(x)
        return x.view(Recorded)

    def check(self, x: "Recorded"):
        """Raise `ValueError` unless the record knows whose memory this is."""
        if id(root(x)) not in self.known:
            raise ValueError(
                "This array is a copy of a captured one, made where the capture could not see it: "
                "a replay would keep its numbers for ever. Copy by an operation, such as "
                "`reshape` or `x * 1.0`."
            )

    def run(self, kernel, args, options, out=None, is_elementwise=False) -> "Recorded":
        """Run a kernel that takes `out=`, write it down, and return its result."""
        args, options, y = plain(args), plain(options), plain(out)
        if out is None:
            y = self.new(kernel(*args, **options))
        else:
            kernel(*args, **options, out=y)
        self.calls.append(Call(kernel, args, {**options, "out": y}, y, is_elementwise))
        return self._admit(y) if out is None else out

    def new(self, y) -> Array:
        """A result of NumPy as an array; a scalar holds no place into which replays could write."""
        y = np.asarray(y)
        if y.base is None and id(y) not in self.known:
            self.made.append(y)
        return y

    def write(self, kernel, args, target):
        """Run a kernel that writes into `target`, one of its `args`, and write it down."""
        self.check_inside(target)
        args = plain(args)
        kernel(*args)
        self.calls.append(Call(kernel, args, {}, plain(target)))

    def check_inside(self, target):
        """Raise `ValueError` unless the capture itself has made the array `target`."""
        if type(target) is not Recorded:
            raise ValueError(
                "A captured computation must not write into an array from outside: each replay "
                "would write again. Take it in first, `tracked(array)`, or record the write, "
                "`launch(kernel, *args, out=array)`."
            )
        self.check(target)


class Recorded(Array):
    """An array of a capture. While that is open, what NumPy does with it is written down.

    Views of it are free. So is `np.asarray(x)`, for whoever wants to see the numbers once. Arrays
    from outside the capture, such as parameters, are taken in by the operations of the engine.
    """

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        kernel = ufunc if method == "__call__" else getattr(ufunc, method)
        record = open_record.get()
        if record is None:
            return kernel(*plain(inputs), **plain(options), **({"out": plain(out)} if out else {}))
        for x in arrays_in((inputs, options)):
            record.admit(x)
        if ufunc.nout > 1:
            forbid_reading()
        if method == "at":
            return record.write(kernel, inputs, inputs[0])
        if out is not None:
            record.check_inside(out[0])
            out = out[0]
        is_elementwise = method == "__call__" and ufunc.signature is None
        if is_elementwise:
            inputs = _numbers_as_arrays(ufunc, inputs)
        return record.run(kernel, inputs, options, out, is_elementwise)

    def __array_function__(self, function, types, args, options):
        return repeated(function, args, options)

    def __getitem__(self, index):
        if any(x.dtype == bool for x in arrays_in(index) if type(x) is Recorded):
            forbid_reading()  # how many entries a mask picks depends on the data
        return repeated(operator.getitem, (self, view_index(index) or index), {})

    def __setitem__(self, index, value):
        if open_record.get() is None:
            plain(self)[plain(index)] = plain(value)
        else:
            open_record.get().write(operator.setitem, (self, index, value), self)

    def __repr__(self):
        return repr(plain(self))

    def __str__(self):
        return str(plain(self))


def forbid_reading():
    """Raise `ValueError` where Python is about to look at a number that no replay would look at."""
    if open_record.get() is not None:
        raise ValueError(
            "A captured computation must not branch on its data, nor compute past the engine: a "
            "replay would take the same branch, and keep the same number, for ever. Use "
            "`where(condition, a, b)` and the other operations of `dlcourse.autograd`, read the "
            "results after the capture, or do without it."
        )


def repeated(function: Callable, args: tuple, options: dict):
    """`function(*args, **options)`; in a capture, each replay calls it again."""
    record = open_record.get()
    if record is None or function in _ABOUT_SHAPES:
        return function(*plain(args), **plain(options))
    for x in (sources := arrays_in((args, options))):
        record.admit(x)
    if function in _KERNELS and len(args) > 1 - (function is np.concatenate):
        return record.run(_KERNELS[function], args, options)
    y = function(*plain(args), **plain(options))
    if isinstance(y, list | tuple) and all(_is_view(part, sources) for part in y):
        return [record.admit(part) for part in y]
    if _is_view(y, sources):
        return record.admit(y)
    if not isinstance(y, Array | np.generic):
        forbid_reading()
    y = record.new(y)
    again = (function, plain(args), plain(options), y)
    record.calls.append(Call(_again, again, {}, y))
    return record.admit(y)


def view_index(index):
    """`index` such that NumPy gives a view, even of one entry; None if that cannot be had."""
    parts = index if isinstance(index, tuple) else (index,)
    if any(isinstance(i, bool) or not isinstance(i, _BASIC) for i in parts):
        return None
    return parts if Ellipsis in parts else (*parts, ...)


def root(x: Array) -> Array:
    while isinstance(x.base, Array):
        x = x.base
    return x


def plain(x):
    """An array without its guard; or all those within tuples, lists and options."""
    if type(x) is Recorded:
        return x.view(Array)
    if type(x) in (tuple, list):
        return type(x)(plain(part) for part in x)
    return {name: plain(part) for name, part in x.items()} if type(x) is dict else x


def arrays_in(x) -> list[Array]:
    """All arrays within tuples, lists and options."""
    if isinstance(x, Array):
        return [x]
    parts = x.values() if type(x) is dict else x if type(x) in (tuple, list) else ()
    return [array for part in parts for array in arrays_in(part)]


_BASIC = int | np.integer | slice | type(None) | type(Ellipsis)
_ABOUT_SHAPES = {np.shape, np.ndim, np.size, np.result_type, np.iscomplexobj, np.may_share_memory}


def _is_view(y, sources):
    return isinstance(y, Array) and any(np.may_share_memory(y, plain(x)) for x in sources)


def _numbers_as_arrays(ufunc, inputs):
    """NumPy takes a 0-d array faster than a Python number, and `maximum` a full one even faster."""
    arrays = [x for x in inputs if isinstance(x, Array)]
    dtype = np.result_type(*arrays)
    if dtype.kind not in "fc":
        return inputs
    shape = np.broadcast_shapes(*(x.shape for x in arrays)) if ufunc is np.maximum else ()
    return tuple(x if type(x) is Recorded else _full(shape, x, dtype) for x in inputs)


def _full(shape, x, dtype):
    return np.full(shape or np.shape(x), x, dtype) if np.ndim(x) == 0 else x


# Kernels


def _again(function, args, options, out):
    y = function(*args, **options)
    if np.shape(y) != out.shape:
        raise ValueError(
            f"`{function.__name__}` gave shape {out.shape} when the capture was made, and "
            f"{np.shape(y)} now: shapes are fixed. Do without the capture."
        )
    out[...] = y


def _where(mask, x, y, out=None):
    if out is None:
        return np.where(mask, x, y)
    np.copyto(out, y)
    np.copyto(out, x, where=mask)


_KERNELS = {np.where: _where, np.dot: np.dot, np.concatenate: np.concatenate}


# Methods that do not ask before they act


def _repeated_method(name):
    method = getattr(Array, name)
    return lambda self, *args, **options: repeated(method, (self, *args), options)


def _guarded_method(name):
    method = getattr(Array, name)

    def guarded(self, *args, **options):
        forbid_reading()
        return method(plain(self), *plain(args), **plain(options))

    return guarded


for name in (
    *("argmax", "argmin", "argsort", "astype", "choose", "compress", "copy", "cumprod", "cumsum"),
    *("dot", "flatten", "ravel", "repeat", "reshape", "round", "searchsorted", "take", "trace"),
):
    setattr(Recorded, name, _repeated_method(name))
for name in (
    *("__bool__", "__complex__", "__contains__", "__float__", "__format__", "__index__", "__int__"),
    *("byteswap", "dump", "dumps", "fill", "item", "nonzero", "partition", "put", "resize"),
    *("setfield", "sort", "tobytes", "tofile", "tolist", "__deepcopy__", "__copy__"),
):
    setattr(Recorded, name, _guarded_method(name))
