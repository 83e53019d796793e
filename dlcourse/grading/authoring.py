"""What the author of a master notebook writes tests with: `test`, `mutant` and `expect`.

In the master each decorated test runs at once against the solutions above it, so an author sees in
the notebook that it holds. Releasing reads the source and runs nothing of this module.
"""

import inspect

import numpy as np

from dlcourse.grading.expectations import expect
from dlcourse.grading.recording import InProcess

__all__ = ["expect", "mutant", "test"]


def test(points: float, hint: str):
    """Decorate a test of a question: `points` it earns, `hint` where no known mistake explains it.

    A test is a function of `student`, whose attributes are the student's functions; a hidden one
    may take a generator `rng` too, from which it draws its inputs. Its docstring is the claim that
    feedback shows.
    """

    def run(function):
        arguments = [InProcess(function.__globals__)]
        if "rng" in inspect.signature(function).parameters:
            arguments.append(np.random.default_rng())  # it must hold for every seed
        function(*arguments)
        print(f"{function.__name__} holds, worth {points:g}")
        return function

    return run


def mutant(name: str, old: str, new: str, hint: str):
    """A mistake to expect: the solution with `old` replaced by `new`.

    The tests of the question must catch it, and whoever makes it reads `hint`. Raises
    `ValueError` where one of the four is missing.
    """
    if not (name and old and hint) or old == new:
        raise ValueError(f"A mutant needs a name, a change and a hint, got {name!r}, {old!r}.")
