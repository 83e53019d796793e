"""What grading a submission gives: a record that can be written down and read back."""

import json
from dataclasses import dataclass, replace

from dlcourse.grading.homework import Homework, Question
from dlcourse.grading.marking.submission import OK

NOT_GRADED = "not graded"  # the machine failed: there is no mark
UNTRUSTED = "untrusted"  # a mark that could be forged
FORGEABLE = (
    "Graded with --untrusted-marks, where no sandbox has to hold: the mark can be forged. Grade "
    "again without."
)


@dataclass(frozen=True)
class GradedTest:
    """One test: what it was worth, and what the student may read about it."""

    name: str
    points: float
    is_passed: bool
    is_hidden: bool
    claim: str = ""  # of a visible test
    lines: tuple[str, ...] = ()  # of a visible test that failed: expected, got
    hint: str = ""
    mistake: str = ""  # name of the known mistake that it is; for the class report

    @property
    def earned(self) -> float:
        return self.points if self.is_passed else 0

    @property
    def title(self) -> str:
        return self.claim or self.name.replace("_", " ")


@dataclass(frozen=True)
class GradedQuestion:
    """The tests of one question."""

    id: str
    title: str
    tests: tuple[GradedTest, ...]

    @property
    def points(self) -> float:
        return sum(test.points for test in self.tests)

    @property
    def earned(self) -> float:
        return sum(test.earned for test in self.tests)

    @staticmethod
    def ungraded(question: Question) -> "GradedQuestion":
        """All tests failed, because there was nothing to run."""
        tests = (
            GradedTest(t.name, t.points, False, t.is_hidden, "" if t.is_hidden else t.claim)
            for t in question.tests
        )
        return GradedQuestion(question.id, question.title, tuple(tests))


@dataclass(frozen=True)
class RanCell:
    """One code cell of the student, and what it showed when it ran, before any hidden test."""

    source: str
    stdout: str = ""
    stderr: str = ""
    error: str = ""
    plots: tuple[str, ...] = ()  # PNG pictures, base64


@dataclass(frozen=True)
class Result:
    """The mark of one submission and everything that explains it."""

    homework: str
    submission: str  # SHA-256 of the bytes
    status: str  # "ok", "untrusted", "not graded", or why there was nothing to grade
    message: str
    questions: tuple[GradedQuestion, ...]
    cells: tuple[RanCell, ...] = ()
    flags: tuple[str, ...] = ()  # modules imported that answer a question
    sandbox: str = ""  # in which it ran
    key: str = ""  # under which it is stored

    @property
    def is_graded(self) -> bool:
        """Whether the notebook ran and its tests were asked."""
        return self.status in (OK, UNTRUSTED)

    @property
    def points(self) -> float:
        return sum(question.points for question in self.questions)

    @property
    def earned(self) -> float | None:
        """Points; None where the machine failed, for that is no zero."""
        if self.status == NOT_GRADED:
            return None
        return sum(question.earned for question in self.questions)

    def untrusted(self) -> "Result":
        """The same result as one that could be forged; a refusal cannot."""
        return replace(self, status=UNTRUSTED, message=FORGEABLE) if self.is_graded else self

    def light(self) -> "Result":
        """The result without what cells showed: a class of them fits into memory."""
        return replace(self, cells=tuple(RanCell(cell.source) for cell in self.cells))

    def to_json(self) -> str:
        """The record as text, the same text for the same record."""
        return _json(self)

    @staticmethod
    def from_json(text: str) -> "Result":
        record = json.loads(text)
        questions = tuple(_question(entry) for entry in record.pop("questions"))
        cells = tuple(
            RanCell(**{**cell, "plots": tuple(cell["plots"])}) for cell in record.pop("cells")
        )
        flags = tuple(record.pop("flags"))
        return Result(questions=questions, cells=cells, flags=flags, **record)

    def with_questions(self, homework: Homework, graded: dict[str, GradedQuestion]) -> "Result":
        """The same run with these questions, in the order of the homework."""
        return replace(self, questions=tuple(graded[q.id] for q in homework.questions))


def not_graded(homework: Homework, digest: str, message: str) -> Result:
    """What there is where the machine failed: no mark, not even zeros, and the reason."""
    return Result(homework.name, digest, NOT_GRADED, message, ())


def ungraded(homework: Homework, digest: str, status: str, message: str) -> Result:
    """The result of a submission that could not be run: no points, and the reason."""
    questions = tuple(GradedQuestion.ungraded(question) for question in homework.questions)
    return Result(homework.name, digest, status, message, questions)


def question_to_json(question: GradedQuestion) -> str:
    return _json(question)


def _json(record):
    return json.dumps(record, default=vars, sort_keys=True)  # asdict would copy all of it first


def question_from_json(text: str) -> GradedQuestion:
    return _question(json.loads(text))


def _question(entry):
    tests = (GradedTest(**{**t, "lines": tuple(t["lines"])}) for t in entry.pop("tests"))
    return GradedQuestion(tests=tuple(tests), **entry)
