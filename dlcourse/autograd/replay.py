r"""From a record to a replay: what a compiler would do with the calls, in three steps.

made   arrays that the capture has made      place  an array from outside, such as a gradient

1. A result which is only copied to its place is written there at once.
2. A result which nobody holds any more after the capture needs no memory of its own: it is written
   into that of another one which has been read for the last time.
3. Each call becomes one object that is called without arguments.

The numbers and their order stay what they were, so the bits do too.
"""

import operator
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial

import numpy as np

from dlcourse.autograd.recorded import Array, Call, Record, arrays_in, root


def compiled(record: Record) -> list[Callable]:
    """The calls of a record, ready to be repeated."""
    free = _held_by_nobody(record)
    return [_ready(call) for call in _in_shared_memory(_without_copies(record.calls, free), free)]


def _held_by_nobody(record):
    """Ids of the arrays made that only the record itself refers to."""
    ours, views = Counter(), {}
    for call in record.calls:
        for x in (*arrays_in((call.args, call.options)), call.out):
            ours[id(x)] += 1
            if x is not None and isinstance(x.base, Array):
                views[id(x)] = x
    ours.update(id(x.base) for x in views.values())
    ours.update(id(x) for x in record.known.values())
    ours.update(id(x) for x in record.made)
    arrays = [*record.made, np.empty(0)]  # the last one is held by this list alone
    counts = [sys.getrefcount(x) for x in arrays]
    return {
        id(x)
        for x, n in zip(record.made, counts, strict=False)
        if n - counts[-1] == ours[id(x)] and x.flags.forc
    }


def _without_copies(calls, free):
    uses = _uses(calls)
    for j, call in enumerate(calls):
        if call.kernel is not operator.setitem or call.args[1] is not Ellipsis:
            continue
        place, _, x = call.args
        if not isinstance(x, Array) or id(root(x)) not in uses:
            continue
        made = root(x)
        i, *later = uses[id(made)]
        is_untouched = not any(i <= k < j for k in uses[id(root(place))])
        is_alike = _layout(x) == _layout(made) == _layout(place)
        if id(made) in free and later == [j] and is_alike and is_untouched:
            calls[i] = _moved(calls[i], {id(made): place})
            calls[j] = None
    return [call for call in calls if call is not None]


def _in_shared_memory(calls, free):
    uses, moved, spare = _uses(calls), {}, {}
    for i, call in enumerate(calls):
        x, dying = call.out, []
        for owner in {id(root(a)): root(a) for a in arrays_in((call.args, call.options))}.values():
            if id(owner) in free and uses[id(owner)][-1] == i and owner is not x:
                dying.append(owner)
        buffers = [(moved.get(id(a), a), a) for a in dying]
        if call.is_elementwise:  # entry by entry, so it may overwrite what it reads
            whole = {id(root(a)) for a in arrays_in(call.args) if _layout(a) == _layout(root(a))}
            _give_back([b for b, a in buffers if id(a) in whole], spare)
            buffers = [(b, a) for b, a in buffers if id(a) not in whole]
        if id(x) in free and uses[id(x)][0] == i and spare.get(_layout(x)):
            moved[id(x)] = spare[_layout(x)].pop()
        _give_back([b for b, _ in buffers], spare)
        yield _moved(call, moved)


def _give_back(buffers, spare):
    for x in buffers:
        spare.setdefault(_layout(x), []).append(x)


def _uses(calls):
    """For each root the numbers of the calls that read or write it."""
    uses = {}
    for i, call in enumerate(calls):
        for key in {id(root(x)) for x in arrays_in((call.args, call.options))}:
            uses.setdefault(key, []).append(i)
    return uses


def _layout(x):
    return x.shape, x.strides, x.dtype


def _moved(x, moved):
    """A call, an array, or all those within: with memory as `moved` says."""
    if isinstance(x, Array):
        return _in_memory_of(moved[id(root(x))], x) if id(root(x)) in moved else x
    if isinstance(x, Call):
        parts = (_moved(part, moved) for part in (x.args, x.options, x.out))
        return Call(x.kernel, *parts, x.is_elementwise)
    if type(x) in (tuple, list):
        return type(x)(_moved(part, moved) for part in x)
    return {name: _moved(part, moved) for name, part in x.items()} if type(x) is dict else x


def _in_memory_of(buffer, x):
    """The same view, of `buffer` instead of its root."""
    if _layout(x) == _layout(root(x)):
        return buffer
    start = x.ctypes.data - root(x).ctypes.data
    return np.ndarray(x.shape, x.dtype, buffer.ravel("K"), start, x.strides)


def _ready(call):
    kernel, args, options = call.kernel, call.args, call.options
    if kernel is np.matmul and list(options) == ["out"] and _is_product_of_matrices(*args):
        return partial(np.dot, *args, call.out)  # the same BLAS call, which `dot` reaches sooner
    if list(options) == ["out"] and (
        kernel is np.dot or (type(kernel) is np.ufunc and kernel not in _BY_NAME)
    ):
        return partial(kernel, *args, call.out)
    return partial(kernel, *args, **options)


_BY_NAME = {np.maximum, np.minimum}  # since NumPy 2.4 their `out` is taken by keyword only


def _is_product_of_matrices(x, y):
    return x.ndim == y.ndim == 2 and x.dtype == y.dtype
