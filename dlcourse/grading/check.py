"""`check("q1")` in a student's notebook: the visible tests, with a hint, without the answer.

The notebook's setup cell holds the tests as text and hands them to `Checks`; no file is read. It
also holds what typical mistakes answer to each test. Whoever gives the same wrong answer made the
same mistake, and gets its hint.
"""

import json
from dataclasses import dataclass

import numpy as np

from dlcourse.grading.expectations import Mismatch
from dlcourse.grading.recording import (
    TESTS_USE,
    InProcess,
    NotDefined,
    attempt,
    namespace_of,
    same_answer,
)


@dataclass(frozen=True)
class CheckedTest:
    """How one visible test went, in lines that a student reads."""

    claim: str
    is_passed: bool
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, repr=False)
class Feedback:
    """How the visible tests of one question went; prints itself."""

    question: str
    tests: tuple[CheckedTest, ...]
    problem: str = ""  # why no test could run

    @property
    def is_passed(self) -> bool:
        return not self.problem and all(test.is_passed for test in self.tests)

    def __repr__(self):
        if self.problem:
            return f"{self.question}: {self.problem}"
        n_passed = sum(test.is_passed for test in self.tests)
        lines = [f"{self.question}: {n_passed} of {len(self.tests)} visible tests pass."]
        for test in self.tests:
            lines += [f"{'pass' if test.is_passed else 'FAIL'}  {test.claim}"]
            lines += [f"      {line}" for line in test.lines]
        if self.is_passed:
            lines.append("The hidden tests ask the same of other inputs.")
        return "\n".join(lines)


class Checks:
    """The visible tests of a homework, bound to the notebook whose `globals()` it is given."""

    def __init__(
        self, namespace: dict, *, homework: str, functions: dict, tests: str, mistakes: str
    ):
        self.homework, self.functions = homework, functions
        self._student = InProcess(namespace)
        self._mistakes = json.loads(mistakes)
        self._tests = {question: [] for question in functions}
        names = namespace_of(TESTS_USE) | {"test": self._register}
        exec(compile(tests, "<visible tests>", "exec"), names)

    def __call__(self, question: str) -> Feedback:
        """Run the visible tests of `question`, such as "q1"."""
        if question not in self.functions:
            raise ValueError(
                f"`question` must be one of {', '.join(self.functions)}, got {question!r}."
            )
        tests = []
        for name, claim, function, hint in self._tests[question]:
            error, calls = attempt(function, self._student)
            if isinstance(error, NotDefined):
                return Feedback(question, (), str(error))
            if isinstance(error, NotImplementedError):
                return Feedback(question, (), "not answered yet.")
            lines = [] if error is None else _lines(error)
            if error is not None:
                lines.append(f"hint      {self._hint(f'{question} {name}', calls, hint)}")
            tests.append(CheckedTest(claim, error is None, tuple(lines)))
        return Feedback(question, tuple(tests))

    def __repr__(self):
        return f"Visible tests of {self.homework}: " + ", ".join(
            f'check("{question}")' for question in self.functions
        )

    def _register(self, question, points, hint):
        def keep(function):
            claim = " ".join(function.__doc__.split())
            self._tests[question].append((function.__name__, claim, function, hint))

        return keep

    def _hint(self, test, calls, fallback):
        given = [outcome(call) for call in calls]
        for hint, outcomes in self._mistakes.get(test, ()):
            if len(outcomes) == len(given) and all(map(_is_same, outcomes, given)):
                return hint
        return fallback


def outcome(call) -> dict | list:
    """What came of a call, as JSON: the error's name, or the parts of the result as lists."""
    if call.error:
        return {"error": call.error}
    parts = call.result if isinstance(call.result, tuple) else (call.result,)
    return [_as_list(part) for part in parts]


def _is_same(first, second):
    if isinstance(first, dict) or isinstance(second, dict):
        return first == second
    return same_answer(tuple(first), tuple(second))


def _as_list(value):
    try:
        array = np.asarray(value)
    except ValueError:
        return None
    if array.dtype.kind == "f":
        array = np.vectorize(lambda x: float(f"{x:.9g}"), otypes=[float])(array)
    return array.tolist() if array.dtype.kind in "biuf" else None


def _lines(error):
    if isinstance(error, Mismatch):
        return [error.about, f"expected  {error.expected}", f"got       {error.got}"]
    return [f"your code raised {type(error).__name__}: {error}"]
