"""What a test sees of a submission: its functions, to be called by value, and its cells' outcomes.

>>> def test_gradient_vanishes_at_the_optimum(student, rng):
...     beta = student.fit(X := rng.normal(size=(50, 3)), y := X @ [1.0, 2.0, 3.0])
...     assert np.abs(student.gradient(beta, X, y)).max() < 1e-8
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dlcourse.grading.sandbox.failures import BadValue, MissingFunction


@dataclass(frozen=True)
class CellError:
    """Name and message of the exception that ended a cell.

    Three names are the grader's own: "TimeLimit", "Crash" (the cell ended the process) and
    "NotRun" (no fresh start was left for it).
    """

    type: str
    text: str


@dataclass(frozen=True)
class CellOutcome:
    """What one cell printed and drew (PNG), and how it failed, all before any hidden test."""

    stdout: str = ""
    stderr: str = ""
    error: CellError | None = None
    plots: tuple[bytes, ...] = ()


class StudentFunction:
    """One function of the student. Arguments and results are copies, never shared."""

    def __init__(self, name: str, call: Callable):
        self._name, self._call = name, call

    def __call__(self, *args, **kwargs) -> Any:
        """The result of the call.

        Raises StudentError, CallTimeout, BadValue or StudentGone; TypeError if an argument is
        not data (an error of the test, not of the student).
        """
        (result,) = self._call(self._name, args, kwargs, wants_args=False)
        return result

    def with_args(self, *args, **kwargs) -> tuple[Any, tuple]:
        """(result, positional arguments as the function left them), for in-place exercises.

        Raises `BadValue` if they did not come back.
        """
        result, arguments = self._call(self._name, args, kwargs, wants_args=True)
        if type(arguments) is not tuple or len(arguments) != len(args):
            raise BadValue(f"`{self._name}` did not send back its {len(args)} arguments.")
        return result, arguments

    def __repr__(self):
        return f"StudentFunction({self._name})"


class Student:
    """The functions of one submission as attributes: `student.gradient(beta, X, y)`.

    Raises `MissingFunction` for one that the notebook does not define.
    """

    def __init__(self, outcomes: tuple[CellOutcome, ...], names: frozenset[str], call: Callable):
        self.outcomes, self._names, self._call = outcomes, names, call

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def __getattr__(self, name: str) -> StudentFunction:
        if name.startswith("__") or name not in self._names:
            raise MissingFunction(f"The notebook defines no function `{name}`.")
        return StudentFunction(name, self._call)
