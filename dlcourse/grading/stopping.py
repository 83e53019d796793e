"""Stop code that does not come to its end, in a process that lives on: a student's notebook.

In the main thread an alarm of the system raises `TooLong` wherever the code is, also while it
sleeps. Elsewhere, on Windows and in other threads, a second thread asks Python to raise it, which
it does as soon as the code is between two of its own steps. Either rings until the code gives in.
Code that catches every exception in one handler inside of another may never do.
"""

import ctypes
import os
import signal
import sys
import threading
import time
import types

AGAIN_SECONDS = 0.05
ROOM = os.path.join(os.path.dirname(__file__), "")


class TooLong(BaseException):
    """The time is over. No `Exception`, so that a loop's own handlers rarely take it for theirs."""


class _Insistent(TooLong):
    """One that a handler has caught before: it is raised again at the line of that handler."""

    def __init__(self):  # runs where it is raised, in whatever thread that is
        sys.settrace(_insist)
        frame = sys._getframe(1)
        while frame is not None:
            frame.f_trace = None if _is_ours(frame) else _insist
            frame = frame.f_back


def within(seconds: float, function, *args):
    """What `function(*args)` returns; raises `TooLong` if it takes more than `seconds`.

    Its traceback ends where the code was when the time was over, whatever it did from then on.
    Handlers and timers that were set before are set again afterwards.
    """
    trace, rings = sys.gettrace(), []
    watched = _with_alarm if _has_alarm() else _with_thread
    try:
        return watched(seconds, rings, function, args)
    finally:
        sys.settrace(trace)
        if rings:  # in the place of a result, or of what a handler made of `TooLong`
            raise TooLong().with_traceback(rings[0]) from None


def _has_alarm():
    is_main = threading.current_thread() is threading.main_thread()
    return is_main and hasattr(signal, "setitimer")


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
        is_over.append(True)
        sys.settrace(None)  # or it would raise in the functions called next
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
                    pass  # nobody raises from here on
                if rings:
                    _absorb(target)
                break
            except TooLong:  # raised here, when the code has ended already
                continue


def _raise_in(thread, kind):
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(kind))


def _absorb(thread):
    """Let one more come, in the place of any that is on its way.

    One that is taken back leaves Python looking for it at each step, for ever.
    """
    try:
        _raise_in(thread, TooLong)
        while True:
            pass
    except TooLong:
        return


def _trace_to(frame):
    """The traceback of an exception that is raised in `frame` now."""
    trace = None
    while frame is not None:
        trace = types.TracebackType(trace, frame, frame.f_lasti, frame.f_lineno)
        frame = frame.f_back
    return trace


def _kind(rings):
    # The first may meet a `finally` that needs its lines to clean up.
    return TooLong if len(rings) == 1 else _Insistent


def _insist(frame, event, _):
    if _is_ours(frame):
        return None
    if event in ("call", "line"):
        if _has_alarm():
            signal.setitimer(signal.ITIMER_REAL, 1e-6, AGAIN_SECONDS)  # raising ends the tracing
        raise TooLong
    return _insist


def _is_ours(frame):
    """Whether it is a line of this room, which runs the student's code and has to go on."""
    return frame is None or frame.f_code.co_filename.startswith(ROOM)
