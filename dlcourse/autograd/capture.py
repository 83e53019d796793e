r"""Record a computation once, then repeat it: capture and replay.

Eagerly, the rules of the engine are NumPy calls and nothing else. While a `Capture` is open, their
arrays are `Recorded`, and each call is written down together with the array that holds its result.
A replay makes the same calls into the same arrays, in the same order: the bits are equal, nothing
is allocated, and no Python of the model runs. CUDA graphs do the same with kernels of a GPU, and
`torch.compile` begins likewise. All three pay with the same rules: shapes are fixed, and what
Python does with the numbers is not repeated, so a branch on captured numbers is an error.
"""

from collections.abc import Callable

import numpy as np

from dlcourse.autograd import replay
from dlcourse.autograd.recorded import Call, Record, Recorded, arrays_in, open_record, plain

Array = np.ndarray
Numbers = Array | np.generic  # NumPy turns 0-d arrays into scalars


def tracked(x: Array) -> Array:
    """`x` itself; in a capture `x` as a part of it, so that replays read and write it again."""
    record = open_record.get()
    return x if record is None else record.admit(x)


def launch(kernel: Callable, *args, out: Array | None = None) -> Numbers | None:
    """`kernel(*args)`, or `kernel(*args, out)`; in a capture, each replay calls it again.

    For what NumPy does not announce: random draws, the step of an optimizer, checks of the data. A
    kernel that returns nothing is called for its effect; any other must be able to fill `out`.

    >>> launch(np.add, np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    array([4., 6.])
    """
    record = open_record.get()
    if record is None:
        result = kernel(*args) if out is None else kernel(*args, out)
        return result if out is None else out
    for x in arrays_in(args):
        tracked(x)
    args, out = plain(args), plain(out)
    result = kernel(*args) if out is None else kernel(*args, out)
    if out is None and result is not None:
        out = record.new(result)
    record.calls.append(Call(kernel, args if out is None else (*args, out), {}, out))
    return None if out is None else tracked(out)


class Capture:
    """The recorded calls of the `with` block, to be repeated by `replay()`.

    The block itself runs as always. Whoever wants other inputs writes them into the arrays that
    were used; whoever wants to keep a result copies it before the next replay. Raises `ValueError`
    where it is opened inside of another one.

    >>> x = np.array([1.0, 2.0])
    >>> with Capture() as doubled:
    ...     y = launch(np.add, x, x)
    >>> x[:] = [5.0, 6.0]
    >>> doubled.replay()
    >>> y
    array([10., 12.])
    """

    def __enter__(self):
        if open_record.get() is not None:
            raise ValueError(
                "A capture is open already: captures do not nest. Close the first one, or call "
                "the plain function inside it."
            )
        self.record = Record()
        self._token = open_record.set(self.record)
        return self

    def __exit__(self, kind, *exception):
        open_record.reset(self._token)
        self.calls = [] if kind else replay.compiled(self.record)
        del self.record

    def replay(self):
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            for call in self.calls:
                call()

    def __repr__(self):
        return f"Capture of {len(self.calls)} calls"


class Captured:
    """The function `f`, recorded at its first call and replayed at every later one.

    Inputs are arrays; their shapes and types are fixed by the first call. The result is the same
    object each time, with new numbers in it: copy what you keep. One thread at a time.

    >>> norm = Captured(lambda x: x @ x)
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
                self.result = _result(self.f(*(tracked(x) for x in self.inputs)))
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


def _result(y):
    """What `f` returned, its arrays without their guard once the record has checked them."""
    for x in arrays_in(y):
        if type(x) is Recorded:
            tracked(x).setflags(write=True)
    return plain(y)


def _written(inputs):
    return ", ".join(f"{dtype} {shape}" for shape, dtype in inputs) or "none"
