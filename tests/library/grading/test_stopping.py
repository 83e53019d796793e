"""Whatever code does against it, `within` comes back in time, and leaves all as it was."""

import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from dlcourse.grading.stopping import TooLong, within


def loops():
    while True:
        pass


def swallows():
    while True:
        try:
            sum(range(10))
        except BaseException:
            pass


def swallows_twice():
    while True:
        try:
            while True:
                try:
                    len([1])
                except BaseException:
                    pass
        except BaseException:
            continue


def swallows_in_a_function():
    def inner():
        try:
            return len([1])
        except BaseException:
            return 0

    while True:
        inner()


def makes_another_of_it():
    try:
        loops()
    except BaseException:
        raise ValueError("mine") from None


def comes_back():
    try:
        loops()
    except BaseException:
        return 3


ANYWHERE = [
    loops,
    swallows,
    swallows_twice,
    swallows_in_a_function,
    makes_another_of_it,
    comes_back,
]
WAITING = [lambda: time.sleep(10_000), threading.Event().wait, lambda: signal.pause()]


@pytest.mark.parametrize("stubborn", [*ANYWHERE, *WAITING])
def test_it_is_stopped_in_the_main_thread(stubborn):
    handler, timer = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)
    trace = sys.gettrace()
    with pytest.raises(TooLong):
        within(0.05, stubborn)
    assert signal.getsignal(signal.SIGALRM) == handler
    assert signal.getitimer(signal.ITIMER_REAL) == timer
    assert sys.gettrace() is trace


@pytest.mark.parametrize("stubborn", ANYWHERE)
def test_it_is_stopped_in_another_thread(stubborn):
    def after():
        with pytest.raises(TooLong):
            within(0.05, stubborn)
        return sum(range(10**5)), sys.gettrace()  # nothing rings any more

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(after).result() == (sum(range(10**5)), None)


def test_it_is_stopped_where_the_system_has_no_alarm(monkeypatch):
    monkeypatch.delattr(signal, "setitimer")
    with pytest.raises(TooLong):
        within(0.05, swallows)


@pytest.mark.parametrize("in_thread", [False, True])
def test_what_is_quick_comes_back_as_it_is(in_thread):
    def fails():
        raise KeyError("mine")

    def both():
        with pytest.raises(KeyError, match="mine"):
            within(60, fails)
        return within(60, divmod, 7, 2)

    if in_thread:
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(both).result() == (3, 1)
    else:
        assert both() == (3, 1)


def test_an_alarm_of_somebody_else_still_rings():
    rang = []
    before = signal.signal(signal.SIGALRM, lambda *_: rang.append(1))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(TooLong):
            within(0.02, loops)
        while not rang:
            time.sleep(0.01)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
