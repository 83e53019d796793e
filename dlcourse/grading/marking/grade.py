"""Grade one submission: a pure function of the homework, the bytes handed in, and a sandbox.

Tests run here, in the grader's process, and call the student's functions in the sandbox. Their
random inputs are keyed by homework, test and submission: the same submission always gets the same
mark, and an answer recorded for one submission is worth nothing in another.
"""

import base64
import functools
import hashlib
import inspect

import numpy as np

from dlcourse.grading.expectations import Mismatch
from dlcourse.grading.homework import Homework, Question, UnitTest
from dlcourse.grading.marking import submission
from dlcourse.grading.marking.results import GradedQuestion, GradedTest, RanCell, Result, ungraded
from dlcourse.grading.recording import TESTS_USE, Call, attempt, namespace_of, replay
from dlcourse.grading.release import INSTALL, SETUP
from dlcourse.grading.sandbox.failures import (
    BadValue,
    CallTimeout,
    MissingFunction,
    ProtocolError,
    SandboxUnavailable,
    StudentError,
    StudentFailure,
    StudentGone,
)

INFRASTRUCTURE = (SandboxUnavailable, ProtocolError, OSError, EOFError)
NO_CHECKS = "def check(question):\n    pass"  # the visible tests are run here, not in the sandbox
STOPS = {
    CallTimeout: "Your function did not come back in time.",
    StudentGone: "Your notebook could not be called: it ended, or took too long.",
    BadValue: "Your function did not return numbers or arrays.",
}


class NotGraded(RuntimeError):
    """The machine, not the submission, failed twice. Nothing is recorded: grade it again."""


def grade(homework: Homework, data: bytes, executor, only: tuple[str, ...] = ()) -> Result:
    """The result of the submission `data`, graded in the sandbox of `executor`.

    `only` names the questions to grade; without it all are. Raises `NotGraded` if the machine
    fails twice, and nothing else, whatever the bytes are.
    """
    handed_in = submission.read(data, homework.name, homework.functions)
    if not handed_in.is_gradable:
        return ungraded(homework, handed_in.digest, handed_in.status, handed_in.message)
    for is_last in (False, True):
        try:
            return _run(homework, handed_in, executor, only, may_wait=is_last)
        except INFRASTRUCTURE as error:
            if is_last:
                raise NotGraded(f"The sandbox failed twice: {error}") from error
        except _Busy:
            continue
    raise AssertionError("unreachable: the last attempt returns or raises")


class _Busy(Exception):
    """A limit on waiting, not on computing, was met: a busy machine perhaps."""


def _run(homework, handed_in, executor, only, may_wait):
    cells = runnable(homework, handed_in.cells)
    seed = _key("notebook", homework.name, handed_in.digest)
    asked = [q for q in homework.questions if not only or q.id in only]
    with executor.run(cells, seed_material=seed) as student:
        outcomes = student.outcomes
        tests = _Tests(homework, student, handed_in.digest, may_wait)
        # All visible tests come first: what they show of an exception was written before any
        # hidden input was sent.
        graded = {
            (question.id, test.name): tests.graded(question, test)
            for is_hidden in (False, True)
            for question in asked
            for test in question.tests
            if test.is_hidden == is_hidden
        }
    errors = [outcome.error for outcome in outcomes if outcome.error]
    if not may_wait and any(e.type == "TimeLimit" and "of waiting" in e.text for e in errors):
        raise _Busy
    questions = tuple(
        GradedQuestion(q.id, q.title, tuple(graded[q.id, test.name] for test in q.tests))
        for q in asked
    )
    shown = tuple(
        _ran(source, outcome)
        for source, cell, outcome in zip(handed_in.cells, cells, outcomes, strict=True)
        if source == cell
    )
    flags = tuple(submission.imports_of((cell.source for cell in shown), homework.flagged))
    return Result(homework.name, handed_in.digest, submission.OK, "", questions, shown, flags)


def runnable(homework: Homework, cells: tuple[str, ...]) -> list[str]:
    """The cells as the sandbox runs them: without those that installed the package and its checks.

    Each keeps its place, so that the numbers in messages are those of the student's notebook. The
    cell with the visible tests is known by its beginning: after a fix of a test it is an older one.
    """
    package = "dlcourse[torch]" if homework.needs_torch else "dlcourse"
    install = _squeezed(INSTALL.format(package=package))
    checks = _squeezed(SETUP.partition("homework=")[0])
    stand_ins = {install: "", checks: NO_CHECKS}
    begins = {cell: _squeezed(cell)[: len(checks)] for cell in cells}
    return [stand_ins.get(begins[cell], stand_ins.get(_squeezed(cell), cell)) for cell in cells]


def _squeezed(cell):
    return "".join(cell.split())


class _Tests:
    """The tests of a homework on one student's functions."""

    def __init__(self, homework: Homework, student, digest: str, may_wait: bool):
        self.homework, self.compiled = homework, _compiled(homework)
        self.student, self.digest, self.may_wait = student, digest, may_wait

    def graded(self, question: Question, test: UnitTest) -> GradedTest:
        """How one test went, with what the student may know about it."""
        function, takes_rng = self.compiled.tests[question.id, test.name]
        rng = (self._rng(question, test),) if takes_rng else ()
        with np.errstate(all="ignore"):
            error, calls = attempt(function, self.student, *rng)
        if isinstance(error, INFRASTRUCTURE) and not isinstance(error, StudentFailure):
            raise error
        if isinstance(error, CallTimeout) and "of waiting" in str(error) and not self.may_wait:
            raise _Busy
        claim = "" if test.is_hidden else " ".join(test.claim.split())
        about = test.name, test.points, error is None, test.is_hidden, claim
        if error is None:
            return GradedTest(*about)
        mistake, hint = self._explained(question, test, error, calls)
        return GradedTest(*about, () if test.is_hidden else _lines(error), hint, mistake)

    def _rng(self, question, test):
        decides = self.homework.question_digest(question.id)
        key = _key("hidden", decides, self.digest, test.name)
        return np.random.default_rng(np.frombuffer(key, dtype=np.uint32))

    def _explained(self, question, test, error, calls):
        """(name, hint) of the known mistake that answers every call alike, or the test's hint."""
        if isinstance(error, MissingFunction):
            return (
                "",
                f"`{', '.join(question.functions)}` is not defined when the notebook has run.",
            )
        for mistake in question.mistakes if calls else ():
            replayed = replay(calls, self.compiled.mistakes[question.id, mistake.name])
            if len(replayed) == len(calls) and all(map(Call.is_like, replayed, calls)):
                return mistake.name, mistake.hint
        if isinstance(error, StudentError) and error.type == "NotImplementedError":
            return "", "This question is not answered."
        for kind, hint in STOPS.items():
            if isinstance(error, kind):
                return "", hint
        if isinstance(error, StudentError):
            return "", f"Your function raised an exception. {test.hint}"
        return "", test.hint


def _lines(error):
    if isinstance(error, Mismatch):
        return error.about, f"expected {error.expected}", f"got {error.got}"
    if isinstance(error, StudentFailure):
        return (str(error)[:1_000],)
    return ("The result could not be used: it has another form than expected.",)


def _ran(source, outcome):
    error = f"{outcome.error.type}: {outcome.error.text}" if outcome.error else ""
    plots = tuple(base64.b64encode(plot).decode() for plot in outcome.plots)
    return RanCell(source, outcome.stdout, outcome.stderr, error, plots)


class _Compiled:
    """Tests and known mistakes of a homework as functions: trusted code, run in this process."""

    def __init__(self, homework: Homework):
        shared = namespace_of(TESTS_USE, homework.setup, homework.oracle)
        self.tests, self.mistakes = {}, {}
        for question in homework.questions:
            for test in question.tests:
                namespace = dict(shared)
                exec(compile(test.source, f"<test {test.name}>", "exec"), namespace)
                function = namespace[test.name]
                takes_rng = "rng" in inspect.signature(function).parameters
                self.tests[question.id, test.name] = function, takes_rng
            for mistake in question.mistakes:
                namespace = namespace_of(homework.setup, mistake.source)
                self.mistakes[question.id, mistake.name] = namespace


_compiled = functools.lru_cache(maxsize=4)(_Compiled)


def _key(*parts):
    return hashlib.sha256("\0".join(parts).encode()).digest()
