"""Stop code that does not come to its end, in a process that lives on: a student's notebook.

In the main thread an alarm of the system raises `TooLong` wherever the code is, also while it
sleeps. Elsewhere, on Windows and in other threads, a second thread asks Python to raise it, which
it does as soon as the code is between two of its own steps. Code that catches `TooLong` meets it
again at each of its lines, until it gives in.
"""

import ctypes
import functools
import os
import signal
import sys
import threading
import time
import types

AGAIN_SECONDS = 0.05
# A trace function that lets its thread raise at the next step. One that raised itself would end the
# tracing, and one in Python would be the first to be met. The last three arguments are its own.
_OBJECT = ctypes.py_object
_AT_A_LINE = ctypes.PYFUNCTYPE(None, ctypes.c_ulong, _OBJECT, _OBJECT, _OBJECT, _OBJECT)(
    ("PyThreadState_SetAsyncExc", ctypes.pythonapi)
)
ROOM = os.path.join(os.path.dirname(__file__), "")


class TooLong(BaseException):
    """The time is over. No `Exception`, so that a loop's own handlers rarely take it for theirs."""


class _Insistent(TooLong):
    """One that comes after another was caught: from here on each line raises."""

    def __init__(self):  # runs where it is raised, in whatever thread that is
        insist = functools.partial(_AT_A_LINE, threading.get_ident(), TooLong)
        frame = sys._getframe(1)
        while frame is not None:
            frame.f_trace = None if _is_ours(frame) else insist
            frame = frame.f_back
        sys.settrace(insist)  # last: from here on functions of this room would be met as well


def within(seconds: float, function, *args):
    """What `function(*args)` returns; raises `TooLong` if it takes more than `seconds`.

    Its traceback ends where the code was when the time was over, whatever it did from then on.
    Handlers and timers that were set before are set again afterwards.
    """
    trace, rings = sys.gettrace(), []
    is_main = threading.current_thread() is threading.main_thread()
    watched = _with_alarm if is_main and hasattr(signal, "setitimer") else _with_thread
    try:
        return watched(seconds, rings, function, args)
    finally:
        sys.settrace(trace)
        if rings:  # in the place of a result, or of what a handler made of `TooLong`
            raise TooLong().with_traceback(rings[0]) from None


def _with_alarm(seconds, rings, function, args):
    is_over = []  # a plain list: filling it takes one step, which nothing interrupts

    def ring(_, frame):
        if not (is_over or _is_ours(frame)):
            rings.append(_trace_to(frame))
            raise _kind(rings)

    handler = signal.signal(signal.SIGALRM, ring)
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN_SECONDS)
    started = time.monotonic()
    try:
        return function(*args)
    finally:
        while True:
            try:
                is_over.append(True)
                sys.settrace(None)
                _calm(rings)
                break
            except TooLong:  # raised here, when the code has ended already
                continue
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL if handler is None else handler)
        if left:  # somebody else's alarm, which has gone on meanwhile
            rest = max(1e-3, left - (time.monotonic() - started))
            signal.setitimer(signal.ITIMER_REAL, rest, interval)


def _with_thread(seconds, rings, function, args):
    target, lock, is_over = threading.get_ident(), threading.Lock(), []

    def watch():
        deadline = time.monotonic() + seconds
        while not is_over:
            time.sleep(AGAIN_SECONDS)
            with lock:
                if time.monotonic() > deadline and not is_over:
                    rings.append(_trace_to(sys._current_frames()[target]))
                    _raise_in(target, _kind(rings))

    threading.Thread(target=watch, daemon=True).start()
    try:
        return function(*args)
    finally:
        while True:
            try:
                is_over.append(True)
                sys.settrace(None)
                with lock:
                    pass  # nobody rings from here on
                _calm(rings)
                break
            except TooLong:
                continue


def _kind(rings):
    # The first may meet a `finally` that needs its lines to clean up.
    return TooLong if len(rings) == 1 else _Insistent


def _calm(rings):
    """Nothing is raised from here on: one more is let come, in the place of any on its way.

    One that is taken back leaves Python looking for it at each step, for ever.
    """
    if rings:
        try:
            _raise_in(threading.get_ident(), TooLong)
            while True:
                pass
        except TooLong:
            return


def _raise_in(thread, kind):
    """Let `thread` raise `kind` as soon as it is between two of its steps."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(kind))


def _trace_to(frame):
    """The traceback of an exception that is raised in `frame` now."""
    trace = None
    while frame is not None:
        trace = types.TracebackType(trace, frame, frame.f_lasti, frame.f_lineno)
        frame = frame.f_back
    return trace


def _is_ours(frame):
    """Whether it is a line of this room, which runs the student's code and has to go on."""
    return frame is None or frame.f_code.co_filename.startswith(ROOM)
