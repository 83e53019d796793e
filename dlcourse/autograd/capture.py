r"""Record the NumPy calls of a computation once, then repeat them: capture and replay.

kernel  a NumPy call that can write its result into a given array: `kernel(*args, out)`
calls   the recording: a list of (kernel, args), each with its result array as last argument

Every operation of the engine computes through `launch`. Eagerly, that calls the kernel and nothing
else. While a `Capture` is open, it also writes down the call together with the array that holds the
result. A replay makes the same calls into the same arrays, in the same order: the bits are equal,
nothing is allocated, and no Python of the model runs. CUDA graphs do the same with kernels of a
GPU, and `torch.compile` begins likewise. All three pay with the same rules: shapes are fixed, and
what Python does with the numbers is not repeated. So the arrays of an open capture are `Recorded`:
operations take them, and everything else (a branch, a plain NumPy call, a write) is an error.
"""

from collections.abc import Callable

import numpy as np

Array = np.ndarray
recording = None  # the calls of the open capture


def launch(kernel: Callable, *args, out: Array | None = None) -> Array:
    """The array `kernel(*args)`, written into `out` where one is given.

    >>> launch(np.add, np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    array([4., 6.])
    """
    return launch_into(out, kernel, args)


def launch_into(out: Array | None, kernel: Callable, args: tuple) -> Array:
    """`launch` for those who hold the arguments as a tuple."""
    if recording is not None:
        out, args = _plain(out), _plain(args)
    if out is None:
        out = kernel(*args)
        if type(out) is not Array:  # NumPy turns 0-d arrays into scalars, which hold no place
            out = np.asarray(out)
    else:
        kernel(*args, out)
    if recording is not None:
        recording.append((kernel, (*args, out)))
        return out.view(Recorded)
    return out


class Capture:
    """The recorded calls of the `with` block, to be repeated by `replay()`.

    The block itself runs as always. Whoever wants other inputs writes them into the arrays that
    were used; whoever wants to keep a result copies it before the next replay.

    >>> x, total = np.array([1.0, 2.0]), np.zeros(())
    >>> with Capture() as doubled:
    ...     y = launch(np.add, x, x)
    >>> x[:] = [5.0, 6.0]
    >>> doubled.replay()
    >>> y
    array([10., 12.])
    """

    def __init__(self):
        self.calls = []

    def __enter__(self):
        global recording
        if recording is not None:
            raise ValueError(
                "A capture is open already: captures do not nest. Close the first one, or call "
                "the plain function inside it."
            )
        recording = self.calls
        return self

    def __exit__(self, *exception):
        global recording
        recording = None

    def replay(self):
        for kernel, args in self.calls:
            kernel(*args)

    def __repr__(self):
        return f"Capture of {len(self.calls)} calls"


class Captured:
    """The function `f`, recorded at its first call and replayed at every later one.

    Inputs are arrays; their shapes and types are fixed by the first call. The result is the same
    object each time, with new numbers in it: copy what you keep.

    >>> norm = Captured(lambda x: launch(np.dot, x, x))
    >>> float(norm(np.array([3.0, 4.0]))), float(norm(np.array([1.0, 1.0])))
    (25.0, 2.0)
    """

    def __init__(self, f: Callable):
        self.f, self.capture = f, None

    def __call__(self, *inputs):
        inputs = [np.asarray(x) for x in inputs]
        if self.capture is None:
            self.inputs = [x.copy() for x in inputs]
            with Capture() as capture:
                self.result = self.f(*(x.view(Recorded) for x in self.inputs))
            self.capture = capture
        else:
            self._take(inputs)
            self.capture.replay()
        return self.result

    def _take(self, inputs):
        ours, theirs = ([(x.shape, x.dtype) for x in xs] for xs in (self.inputs, inputs))
        if ours != theirs:
            raise ValueError(
                f"The capture was recorded for inputs {_written(ours)}, got {_written(theirs)}: "
                "its arrays have fixed shapes. Make another `Captured(f)` for these."
            )
        for ours, theirs in zip(self.inputs, inputs, strict=True):
            np.copyto(ours, theirs)


class Recorded(Array):
    """An array of a capture. While that is open, only `launch` may look at its numbers.

    Views of it are free. So is `np.asarray(x)`, for whoever wants to see the numbers once. Arrays
    from outside the capture, such as parameters, bear no guard: read those only through operations.
    """

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        forbid_reading()
        options = {name: _plain(value) for name, value in options.items()}
        return getattr(ufunc, method)(*_plain(inputs), **options)

    def __array_function__(self, function, types, args, options):
        if function not in _VIEWS:
            forbid_reading()
        return super().__array_function__(function, types, args, options)

    def __getitem__(self, index):
        part = super().__getitem__(index)
        if np.may_share_memory(_plain(part), _plain(self)):
            return part
        forbid_reading()  # not a view, but a number or a copy
        return _plain(part)

    def __setitem__(self, index, value):
        if recording is not None:
            raise ValueError(
                "A captured array cannot be written into: the replay would not repeat it. Build a "
                "new one with `where(condition, a, b)`, or record the write: "
                "`launch(kernel, *args, out=array)`."
            )
        super().__setitem__(index, value)

    def __repr__(self):
        return repr(_plain(self))

    def __str__(self):
        return str(_plain(self))


_VIEWS = {np.shape, np.ndim, np.size, np.swapaxes, np.split, np.array_split}


def forbid_reading():
    """Raise if Python is about to look at a number that a replay would not look at again."""
    if recording is not None:
        raise ValueError(
            "A captured computation must not branch on its data, nor compute past the engine: a "
            "replay would take the same branch, and keep the same number, for ever. Use "
            "`where(condition, a, b)` and the other operations of `dlcourse.autograd`, read the "
            "results after the capture, or do without it."
        )


def _guarded(name):
    method = getattr(Array, name)

    def guarded(self, *args, **options):
        forbid_reading()
        return method(_plain(self), *args, **options)

    return guarded


for name in (
    *("__bool__", "__float__", "__int__", "__index__", "__complex__", "__contains__", "item"),
    *("tolist", "copy", "flatten", "astype", "dot", "take", "argmax", "argmin", "argsort"),
    *("nonzero", "sort", "fill"),
):
    setattr(Recorded, name, _guarded(name))


def _plain(x):
    """An array, or those in a tuple, without the guard."""
    if type(x) is tuple:
        return tuple(_plain(part) for part in x)
    return x.view(Array) if type(x) is Recorded else x


def _written(inputs):
    return ", ".join(f"{dtype} {shape}" for shape, dtype in inputs) or "none"
