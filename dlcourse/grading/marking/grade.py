"""Grade one submission: a pure function of the homework, the bytes handed in, and a sandbox.

Tests run here, in the grader's process, and call the student's functions in the sandbox. Their
random inputs are keyed by homework, test, submission and the course's secret: the same submission
always gets the same mark, an answer recorded for one submission is worth nothing in another, and
who has all that is public cannot compute them.
"""

import base64
import functools
import hashlib
import hmac
import inspect
from dataclasses import dataclass

import numpy as np

from dlcourse.grading.expectations import Mismatch
from dlcourse.grading.homework import Homework, Question, UnitTest
from dlcourse.grading.marking import submission
from dlcourse.grading.marking.results import GradedQuestion, GradedTest, RanCell, Result, ungraded
from dlcourse.grading.recording import TESTS_USE, Call, attempt, namespace_of, replay
from dlcourse.grading.release import SETUP, install
from dlcourse.grading.sandbox.failures import (
    BadValue,
    CallTimeout,
    KilledFromOutside,
    MissingFunction,
    ProtocolError,
    SandboxUnavailable,
    StudentError,
    StudentFailure,
    StudentGone,
)

INFRASTRUCTURE = (SandboxUnavailable, ProtocolError, KilledFromOutside, OSError, EOFError)
NO_CHECKS = "def check(*questions):\n    pass"  # the visible tests are run here, not in the sandbox
STOPS = {
    CallTimeout: "Your function did not come back in time.",
    StudentGone: "Your notebook could not be called: it ended, or took too long.",
    BadValue: "Your function did not return numbers or arrays.",
}


class NotGraded(RuntimeError):
    """The machine, not the submission, failed twice. Nothing is recorded: grade it again."""


def grade(
    homework: Homework,
    data: bytes,
    executor,
    only: tuple[str, ...] = (),
    secret: bytes = b"",
    seen: list | None = None,
) -> Result:
    """The result of the submission `data`, graded in the sandbox of `executor`.

    `only` names the questions to grade; without it all are. `secret` is what hidden inputs are
    drawn from. If the machine fails, the notebook is run once more; `seen` keeps what its cells
    showed the first time for whoever calls again, for a second run may know hidden inputs. Raises
    `NotGraded` if the machine fails twice, and nothing else, whatever the bytes are.
    """
    handed_in = submission.read(data, homework.name, homework.functions)
    if not handed_in.is_gradable:
        return ungraded(homework, handed_in.digest, handed_in.status, handed_in.message)
    seen = [] if seen is None else seen
    run = _Run(homework, handed_in, only, secret)
    try:
        return run.result(executor, seen)
    except INFRASTRUCTURE:
        try:
            return run.result(executor, seen)
        except INFRASTRUCTURE as error:
            raise NotGraded(f"The sandbox failed twice: {error}") from error


@dataclass(frozen=True)
class _Run:
    """How one submission is to be run and asked."""

    homework: Homework
    handed_in: submission.Submission
    only: tuple[str, ...]
    secret: bytes

    def result(self, executor, seen: list) -> Result:
        """Run it and ask it; `seen` gets the outcomes of the cells unless it has some."""
        homework, digest = self.homework, self.handed_in.digest
        cells = runnable(homework, self.handed_in.cells)
        seed = hashlib.sha256(f"notebook\0{homework.name}\0{digest}".encode()).digest()
        asked = [q for q in homework.questions if not self.only or q.id in self.only]
        with executor.run(cells, seed_material=seed) as student:
            seen[:] = seen or [student.outcomes]
            tests = _Tests(homework, student, digest, self.secret)
            # All visible tests come first: what they show of an exception was written before any
            # hidden input was sent.
            graded = {
                (question.id, test.name): tests.graded(question, test)
                for is_hidden in (False, True)
                for question in asked
                for test in question.tests
                if test.is_hidden == is_hidden
            }
        questions = tuple(
            GradedQuestion(q.id, q.title, tuple(graded[q.id, test.name] for test in q.tests))
            for q in asked
        )
        shown = tuple(
            _ran(source, outcome)
            for source, cell, outcome in zip(self.handed_in.cells, cells, *seen, strict=True)
            if source == cell
        )
        flags = tuple(submission.imports_of((cell.source for cell in shown), homework.flagged))
        return Result(homework.name, digest, submission.OK, "", questions, shown, flags)


def runnable(homework: Homework, cells: tuple[str, ...]) -> list[str]:
    """The cells as the sandbox runs them: without those that installed the package and its checks.

    Each keeps its place, so that the numbers in messages are those of the student's notebook. The
    cell with the visible tests is known by its beginning: after a fix of a test it is an older one.
    """
    checks = _squeezed(SETUP.partition("homework=")[0])
    stand_ins = {_squeezed(install(homework)): "", checks: NO_CHECKS}
    begins = {cell: _squeezed(cell)[: len(checks)] for cell in cells}
    return [stand_ins.get(begins[cell], stand_ins.get(_squeezed(cell), cell)) for cell in cells]


def _squeezed(cell):
    return "".join(cell.split())


class _Tests:
    """The tests of a homework on one student's functions."""

    def __init__(self, homework: Homework, student, digest: str, secret: bytes):
        self.homework, self.compiled = homework, _compiled(homework)
        self.student, self.digest, self.secret = student, digest, secret

    def graded(self, question: Question, test: UnitTest) -> GradedTest:
        """How one test went, with what the student may know about it."""
        function, takes_rng = self.compiled.tests[question.id, test.name]
        rng = (self._rng(question, test),) if takes_rng else ()
        with np.errstate(all="ignore"):
            error, calls = attempt(function, self.student, *rng)
        if isinstance(error, INFRASTRUCTURE) and not isinstance(error, StudentFailure):
            raise error
        claim = "" if test.is_hidden else " ".join(test.claim.split())
        about = test.name, test.points, error is None, test.is_hidden, claim
        if error is None:
            return GradedTest(*about)
        mistake, hint = self._explained(question, test, error, calls)
        return GradedTest(*about, () if test.is_hidden else _lines(error), hint, mistake)

    def _rng(self, question, test):
        decides = self.homework.question_digest(question.id)
        public = "\0".join(("hidden", decides, self.digest, test.name))
        key = hmac.digest(self.secret, public.encode(), "sha256")
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
