"""What a mark is keyed by: all that it depends on, so that nothing that changes leaves an old mark.

That is the submission and what it may import, the question with its tests and every module that
they import, the grader itself, the sandbox that was asked for and the one that was used, limits,
versions, and the secret that hidden inputs are drawn from.
"""

import functools
import hashlib
import json
from dataclasses import asdict, dataclass

import dlcourse
from dlcourse.grading.homework import Homework
from dlcourse.grading.marking import dependencies
from dlcourse.grading.recording import TESTS_USE
from dlcourse.grading.sandbox.limits import Limits

GRADER = (
    "dlcourse.grading.marking.grade",
    "dlcourse.grading.sandbox.execution",
    "dlcourse.grading.sandbox.inside.zygote",
)


@dataclass(frozen=True)
class Conditions:
    """What the place where a hand-in is graded adds to its mark."""

    sandbox: str  # "bubblewrap", "landlock" or "untrusted marks"
    versions: tuple[str, ...]  # of Python and of packages
    package: str  # SHA-256 of this package as it is installed there

    @property
    def short(self) -> str:
        """For people."""
        return ", ".join([self.sandbox, *self.versions, f"dlcourse {self.package[:8]}"])


@dataclass(frozen=True)
class Key:
    """Under what the results of one submission to one homework are stored."""

    homework: str
    submission: str  # SHA-256 of the bytes
    bundle: str  # SHA-256 of the homework
    run: str  # of how the notebook ran, whatever the tests were
    questions: dict[str, str]  # of each question, by its id

    @property
    def result(self) -> str:
        """The key of the whole."""
        return _hash(self.bundle, self.run, *sorted(self.questions.values()))


class Keys:
    """The keys of one homework, graded with `isolation`, `limits` and `secret`."""

    def __init__(self, homework: Homework, isolation: str, limits: Limits, secret: bytes):
        self.homework, package = homework, dependencies.package()
        _, self._names = package.closure(GRADER)
        shared = TESTS_USE, homework.setup, homework.oracle
        self._tests = {}
        for question in homework.questions:
            parts = (*question.tests, *question.mistakes)
            sources = [*shared, *(part.source for part in parts)]
            modules, foreign = package.closure(set().union(*map(dependencies.imports, sources)))
            self._names |= foreign
            self._tests[question.id] = package.digest(modules)
        how = json.dumps([isolation, asdict(limits), homework.flagged, homework.needs_torch])
        self._shared = _hash(grader_version(), how, secret.hex())

    @property
    def foreign(self) -> tuple[str, ...]:
        """Modules of other packages whose version decides; torch where it is warm."""
        return tuple(sorted(self._names - (set() if self.homework.needs_torch else {"torch"})))

    def of(self, submission: str, data: bytes, conditions: Conditions) -> Key:
        """The key of the submission `data`, whose SHA-256 is `submission`."""
        at = json.dumps([conditions.sandbox, conditions.versions])
        own = _imported_by(frozenset(dependencies.words(data) & _vocabulary()))
        run = _hash(self.homework.name, submission, self._shared, at, own)
        questions = {
            id: _hash(self.homework.question_digest(id), code, run)
            for id, code in self._tests.items()
        }
        return Key(self.homework.name, submission, self.homework.digest, run, questions)


@functools.cache
def package_digest() -> str:
    """SHA-256 of the whole package."""
    package = dependencies.package()
    return package.digest(package.files)


@functools.cache
def grader_version() -> str:
    """The package's version and a digest of the code that decides about marks."""
    package = dependencies.package()
    modules, _ = package.closure(GRADER)
    return f"{dlcourse.__version__}+{package.digest(modules)[:16]}"


@functools.cache
def _vocabulary():
    """Words that can be part of an import."""
    parts = (module.split(".") for module in dependencies.package().files)
    return dependencies.installed().union(*parts)


@functools.lru_cache(maxsize=64)  # most of a class import the same
def _imported_by(words):
    """Digest of all that a notebook of these words may import."""
    package = dependencies.package()
    modules, _ = package.closure(package.named_in(words))
    versions = dependencies.versions(words & dependencies.installed())
    return _hash(package.digest(modules), *versions)


def _hash(*parts):
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
