r"""Record the NumPy calls of a computation once, then repeat them: capture and replay.

kernel  a NumPy call that can write its result into a given array: `kernel(*args, out)`
calls   the recording: a list of (kernel, args), each with its result array as last argument

Every operation of the engine computes through `launch`. Eagerly, that calls the kernel and nothing
else. While a `Capture` is open, it also writes down the call together with the array that holds the
result. A replay makes the same calls into the same arrays, in the same order: the bits are equal,
nothing is allocated, and no Python of the model runs. CUDA graphs do the same with kernels of a
GPU, and `torch.compile` begins likewise. All three pay with the same rules: shapes are fixed, and a
branch of the recorded run is taken for ever.
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
    if out is None:
        out = kernel(*args)
        if type(out) is not Array:  # NumPy turns 0-d arrays into scalars, which hold no place
            out = np.asarray(out)
    else:
        kernel(*args, out)
    if recording is not None:
        recording.append((kernel, (*args, out)))
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
                self.result = self.f(*self.inputs)
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


def forbid_branch():
    """Raise if Python is about to look at a number that a replay would not look at again."""
    if recording is not None:
        raise ValueError(
            "A captured computation must not branch on its data: the replay would take the same "
            "branch for ever. Use `where(condition, a, b)`, or do without the capture."
        )


def _written(inputs):
    return ", ".join(f"{dtype} {shape}" for shape, dtype in inputs) or "none"
