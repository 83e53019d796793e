"""A homework as a record: questions with their tests, solutions and typical mistakes.

The record is the grader's bundle: written as bytes it is one file, the same bytes for the same
homework, so that its hash says which tests gave a mark. It holds every answer: students never get
it. Their notebook is made from it by `dlcourse.grading.release`.
"""

import functools
import hashlib
import json
from dataclasses import asdict, dataclass

FORMAT = 1  # of the bundle; a grader refuses bundles of another one


@dataclass(frozen=True)
class UnitTest:
    """One test of a question: a function of `student`, and of `rng` if it draws its inputs."""

    name: str
    claim: str  # its docstring: what holds for a right answer
    points: float
    hint: str  # where no known mistake explains the failure
    source: str
    is_hidden: bool


@dataclass(frozen=True)
class Mistake:
    """A typical wrong answer: its code, and the hint for whoever gives it."""

    name: str
    hint: str
    source: str


@dataclass(frozen=True)
class Question:
    """A question: the functions that it asks for, and what decides about their points."""

    id: str
    title: str
    functions: tuple[str, ...]
    starter: str
    solution: str
    tests: tuple[UnitTest, ...]
    mistakes: tuple[Mistake, ...]

    @property
    def points(self) -> float:
        return sum(test.points for test in self.tests)


@dataclass(frozen=True)
class Piece:
    """What a student's notebook shows at one place.

    `kind` is "markdown", "code" or "setup", and `text` its source; or it is "answer" or "tests",
    and `text` the id of the question.
    """

    kind: str
    text: str


@dataclass(frozen=True)
class Homework:
    """Everything about one homework, private parts included."""

    name: str  # its folder, and the stem of its chapter where it has one
    number: int  # hw1 is number 1
    title: str
    setup: str  # code that students have too
    oracle: str  # code that only hidden tests have
    questions: tuple[Question, ...]
    pieces: tuple[Piece, ...]
    flagged: tuple[str, ...] = ()  # modules that answer a question: their import is reported
    needs_torch: bool = False

    @property
    def points(self) -> float:
        return sum(question.points for question in self.questions)

    @property
    def functions(self) -> tuple[str, ...]:
        return tuple(name for question in self.questions for name in question.functions)

    def question(self, id) -> Question:
        """The question of this id; raises `KeyError` that lists those there are."""
        for question in self.questions:
            if question.id == id:
                return question
        raise KeyError(
            f"{self.name} has no question {id!r}, it has {[q.id for q in self.questions]}"
        )

    def to_bytes(self) -> bytes:
        """The bundle: one homework, one sequence of bytes."""
        record = {"format": FORMAT, **asdict(self)}
        return json.dumps(record, sort_keys=True, ensure_ascii=True, indent=1).encode()

    @staticmethod
    def from_bytes(data: bytes) -> "Homework":
        """The homework of a bundle; raises `ValueError` if the bytes are not one."""
        try:
            record = json.loads(data)
            if record.pop("format") != FORMAT:
                raise ValueError("it has another format")
            questions = tuple(_question(entry) for entry in record.pop("questions"))
            pieces = tuple(Piece(**entry) for entry in record.pop("pieces"))
            flagged = tuple(record.pop("flagged"))
            return Homework(questions=questions, pieces=pieces, flagged=flagged, **record)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"This is not a bundle of this version of dlcourse: {error}. "
                "Make it anew with `dlcourse homework release`."
            ) from error

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the bundle."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def question_digest(self, id) -> str:
        """SHA-256 of all that decides about the points of one question.

        Solutions are left out: only tests, hints and known mistakes enter a result, and which
        modules a notebook may not import.
        """
        return self._question_digests[self.question(id).id]

    @functools.cached_property
    def _question_digests(self):
        shared = [self.name, self.setup, self.oracle, self.needs_torch, self.flagged]
        digests = {}
        for question in self.questions:
            parts = asdict(question) | {"shared": shared}
            del parts["solution"], parts["starter"], parts["title"]
            text = json.dumps(parts, sort_keys=True)
            digests[question.id] = hashlib.sha256(text.encode()).hexdigest()
        return digests


def _question(entry):
    tests = tuple(UnitTest(**test) for test in entry.pop("tests"))
    mistakes = tuple(Mistake(**mistake) for mistake in entry.pop("mistakes"))
    functions = tuple(entry.pop("functions"))
    return Question(tests=tests, mistakes=mistakes, functions=functions, **entry)
