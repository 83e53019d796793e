"""A grader as graders often are: tests, answers and marks share a process with the student's code.

The last line that it prints is its result. Variants are weak in one more way.
"""

import contextlib
import io
import json
import os
import pickle
import signal
import sys
from pathlib import Path

import numpy as np

from tests.library.grading.attacks import homework


def naive_close(got, want):
    if np.any(np.abs(got - want) > 1e-8):
        raise AssertionError("too far away")


def testing_close(got, want):
    np.testing.assert_allclose(got, want)


def copying_close(got, want):
    naive_close(np.array(got), want)


class Shell:
    """What a notebook calls IPython, here also what runs the tests."""

    def __init__(self, test_seconds):
        self.test_seconds = test_seconds

    def run_test(self, test, student):
        signal.setitimer(signal.ITIMER_REAL, self.test_seconds)
        try:
            test(student, np.random.default_rng())
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)


class Direct:
    """The student's functions, called with the grader's own objects."""

    def __init__(self, namespace, variant):
        self._namespace, self._variant = namespace, variant

    def __getattr__(self, name):
        function = self._namespace[name]

        def call(*args):
            return self._carried(function(*args))

        call.with_args = lambda *args: (function(*args), args)
        return call

    def _carried(self, value):
        if self._variant == "pickled":
            return pickle.loads(pickle.dumps(value))
        if self._variant == "recursing":
            sys.setrecursionlimit(10**6)
            json.dumps(value, check_circular=False)
        return value


def points_of(tests, student, shell, result):
    for test in tests:
        try:
            shell.run_test(test, student)
        except Exception as error:
            result["failed"].append(f"{test.__name__}: {error!r}")
    return len(tests) - len(result["failed"])


def main(cells, variant, secret, test_seconds):
    """Grade `cells` as `variant`, and print the result on the last line."""
    print("begun", flush=True)
    opened = open(os.environ["WORLD_FILE"])  # noqa: SIM115, left open on purpose
    os.set_inheritable(opened.fileno(), True)
    signal.signal(signal.SIGALRM, _too_late)
    shell = Shell(test_seconds)
    result = {"failed": [], "secret": secret}
    namespace = {"__name__": "__main__", "get_ipython": lambda: shell}
    for cell in cells:
        try:
            exec(compile(cell, "<cell>", "exec"), namespace)
        except Exception as error:
            print(repr(error))
    mark = points_of(_tests(variant), Direct(namespace, variant), shell, result)
    for failure in result["failed"]:
        print(failure)
    _print_plots(variant)
    print("\n" + json.dumps({"mark": mark, "feedback": ""}), flush=True)


def _tests(variant):
    """The hidden tests, read now, with the comparison of this variant."""
    close = {"numpy.testing": "testing_close", "copying": "copying_close"}
    source = Path(homework.__file__).read_text()
    hidden = {"__name__": "hidden"}
    exec(compile(source, "hidden_tests.py", "exec"), hidden)
    hidden["close"] = getattr(sys.modules[__name__], close.get(variant, "naive_close"))
    return hidden["TESTS"]


def _print_plots(variant):
    if variant == "late plots":
        from matplotlib import pyplot

        with contextlib.redirect_stderr(io.StringIO()):
            print(pyplot.get_figlabels())


def _too_late(number, frame):
    raise TimeoutError("too late")


if __name__ == "__main__":
    order = json.load(sys.stdin)
    sys.modules["tests.library.grading.attacks.naive"] = sys.modules["__main__"]
    main(**order)
