"""`check("q1")` in a student's notebook: the visible tests, with a hint, without the answer.

The notebook's setup cell holds the tests as text and hands them to `Checks`; no file is read. It
also holds what typical mistakes answer to each test. Whoever gives the same wrong answer made the
same mistake, and gets its hint.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from dlcourse.grading.explaining import (
    NotRun,
    Raised,
    advice,
    is_arity,
    is_exception,
    raised_here,
    told,
)
from dlcourse.grading.feedback import CheckedTest, Feedback, Summary
from dlcourse.grading.recording import (
    TESTS_USE,
    InProcess,
    NotDefined,
    attempt,
    namespace_of,
    same_answer,
)
from dlcourse.grading.sandbox.failures import MissingFunction
from dlcourse.grading.stopping import TooLong, within

LIMIT_SECONDS = 10.0  # of one test; the grader stops a call after four seconds of computing


class VisibleTest(NamedTuple):
    """One visible test as the notebook carries it; `hint` is for mistakes that nobody knows."""

    name: str
    points: float
    claim: str
    hint: str
    function: Callable


class Checks:
    """The visible tests of a homework, bound to the notebook whose `globals()` it is given.

    `functions` maps each question to the functions that it asks for, with their arguments.
    `grader` is for `dlcourse homework submit-check`: the "points" of the homework, the modules
    "withheld", and whether "torch" is there.
    """

    def __init__(self, namespace, *, homework, functions, tests, mistakes, grader=None):
        self.homework, self.grader = homework, grader or {}
        self.functions = {q: [_name(text) for text in texts] for q, texts in functions.items()}
        self._signatures = {_name(text): text for texts in functions.values() for text in texts}
        self._namespace, self._mistakes = namespace, json.loads(mistakes)
        self._tests = {question: [] for question in functions}
        names = namespace_of(TESTS_USE) | {"test": self._register}
        exec(compile(tests, "<visible tests>", "exec"), names)

    def __call__(self, question: str | None = None) -> Feedback | Summary:
        """Run the visible tests of `question`, such as "q1"; without one, those of all.

        Raises `ValueError` for a question that the homework does not have.
        """
        if question is None:
            every = tuple(self(question) for question in self.functions)
            return Summary(self.homework, every, self.grader.get("points", 0))
        if not isinstance(question, str) or question not in self.functions:
            raise ValueError(
                f"`question` must be one of {', '.join(self.functions)}, got {question!r}."
            )
        return self.feedback(question, self._run(question), self._raised)

    def feedback(self, question: str, went: Iterable, raised: Callable) -> Feedback:
        """What to say about a question, if its tests `went` so: an error, or None, and the calls.

        `raised(error)` says of an error what it is and where in the notebook it arose.
        """
        tests, problem = [], ""
        for test, (error, calls) in zip(self._tests[question], went, strict=True):
            about = raised(error) if error is not None else None
            if isinstance(error, NotDefined | MissingFunction):
                problem = problem or about.text
            elif about and about.kind == "NotImplementedError":
                problem = problem or "not answered yet."
            lines = told(error, calls, about) if about else []
            if about and (hint := self._hint(question, test, (error, calls), about)):
                lines.append(f"hint      {hint}")
            tests.append(CheckedTest(test.claim, error is None, tuple(lines), test.points))
        return Feedback(question, tuple(tests), problem)

    def __repr__(self):
        each = ", ".join(f'check("{question}")' for question in self.functions)
        return f"Visible tests of {self.homework}: {each}, or check() for all of them"

    def _run(self, question) -> Iterator:
        """(error, calls) of each test; after an endless loop the others are not run."""
        student, stopped = InProcess(self._namespace), None
        for test in self._tests[question]:
            if stopped:
                yield NotRun("not run, because the one before it did not end"), []
                continue
            try:
                yield within(LIMIT_SECONDS, attempt, test.function, student)
            except TooLong as error:
                stopped = TooLong(f"stopped after {LIMIT_SECONDS:g} seconds")
                yield stopped.with_traceback(error.__traceback__), []

    def _raised(self, error):
        return raised_here(error, self._namespace)

    def _register(self, question, points, hint):
        def keep(function):
            claim = " ".join(function.__doc__.split())
            test = VisibleTest(function.__name__, points, claim, hint, function)
            self._tests[question].append(test)

        return keep

    def _hint(self, question, test, went, about: Raised):
        error, calls = went
        if isinstance(error, NotRun):
            return ""
        advised = advice(error, calls, about, self._signatures[calls[-1].function] if calls else "")
        if advised and (is_arity(about) or not is_exception(error, calls)):
            return advised
        given = [outcome(call) for call in calls]
        for hint, outcomes in self._mistakes.get(f"{question} {test.name}", ()):
            if len(outcomes) == len(given) and all(map(_is_same, outcomes, given)):
                return hint
        return advised or test.hint


def outcome(call) -> dict | list:
    """What came of a call, as JSON: the error's name, or the parts of the result as lists."""
    if call.error:
        return {"error": call.error}
    parts = call.result if isinstance(call.result, tuple) else (call.result,)
    return [_as_list(part) for part in parts]


def _name(signature):
    return signature.partition("(")[0]


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
