"""Results on disk: rows are added, never changed, so that no kill and no second run can spoil one.

A result is keyed by homework bundle, submission and grader version, and each question of it by
what decides about that question alone. When a test is fixed, the other questions are found as they
were; only the fixed one is graded anew.
"""

import functools
import hashlib
import sqlite3
import time
from pathlib import Path

import dlcourse
from dlcourse.grading.homework import Homework
from dlcourse.grading.marking.results import (
    GradedQuestion,
    Result,
    question_from_json,
    question_to_json,
)
from dlcourse.grading.marking.submission import OK

DECIDES = (  # modules of the grader that a mark depends on
    "expectations.py",
    "marking/grade.py",
    "marking/submission.py",
    "recording.py",
    "sandbox/allowance.py",
    "sandbox/inside/cells.py",
    "sandbox/inside/magics.py",
    "sandbox/limits.py",
    "sandbox/protocol.py",
    "sandbox/proxy.py",
    "sandbox/submission_run.py",
    "sandbox/values.py",
)
SCHEMA = """
CREATE TABLE IF NOT EXISTS results (
    key TEXT PRIMARY KEY, homework TEXT NOT NULL, submission TEXT NOT NULL, bundle TEXT NOT NULL,
    grader TEXT NOT NULL, written REAL NOT NULL, record TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS questions (
    key TEXT PRIMARY KEY, question TEXT NOT NULL, submission TEXT NOT NULL, written REAL NOT NULL,
    record TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_submission ON results (submission, grader);
"""
APPEND_ONLY = """
CREATE TRIGGER IF NOT EXISTS no_{verb}_of_{table} BEFORE {verb} ON {table}
BEGIN SELECT RAISE(ABORT, 'results are added, never changed'); END;
"""


@functools.cache
def grader_version() -> str:
    """The package's version and a digest of the code that decides about marks."""
    folder, digest = Path(__file__).parents[1], hashlib.sha256()
    for name in DECIDES:
        digest.update((folder / name).read_bytes())
    return f"{dlcourse.__version__}+{digest.hexdigest()[:16]}"


class Store:
    """The results in one SQLite file. Use it as a context manager."""

    def __init__(self, path):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, timeout=60, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.executescript(SCHEMA)
        for table in ("results", "questions"):
            for verb in ("UPDATE", "DELETE"):
                self._connection.executescript(APPEND_ONLY.format(verb=verb, table=table))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._connection.close()

    def find(self, homework: Homework, submission: str) -> Result | None:
        """The result of this submission (its SHA-256) to this very bundle, if there is one."""
        row = self._one("SELECT record FROM results WHERE key = ?", _key(homework, submission))
        return Result.from_json(row) if row else None

    def known(self, homework: Homework, submission: str) -> dict[str, GradedQuestion]:
        """Questions of this submission that were graded by the tests that the homework has now."""
        found = {}
        for question in homework.questions:
            key = _question_key(homework, question.id, submission)
            if row := self._one("SELECT record FROM questions WHERE key = ?", key):
                found[question.id] = question_from_json(row)
        return found

    def ran(self, homework: Homework, submission: str) -> Result | None:
        """The latest result of this submission to this homework, whatever its tests were."""
        query = (
            "SELECT record FROM results WHERE homework = ? AND submission = ? AND grader = ? "
            "ORDER BY written DESC"
        )
        row = self._one(query, homework.name, submission, grader_version())
        return Result.from_json(row) if row else None

    def add(self, homework: Homework, result: Result):
        """Write a result and its questions, all or nothing; what is there already stays."""
        now, submission = time.time(), result.submission
        row = _key(homework, submission), homework.name, submission, homework.digest
        with self._transaction():
            self._connection.execute(
                "INSERT OR IGNORE INTO results VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*row, grader_version(), now, result.to_json()),
            )
            for graded in result.questions if result.status == OK else ():
                key = _question_key(homework, graded.id, submission)
                self._connection.execute(
                    "INSERT OR IGNORE INTO questions VALUES (?, ?, ?, ?, ?)",
                    (key, graded.id, submission, now, question_to_json(graded)),
                )

    def __len__(self):
        return self._one("SELECT count(*) FROM results")

    def _transaction(self):
        self._connection.execute("BEGIN IMMEDIATE")
        return self._connection  # as a context manager it commits, or rolls back

    def _one(self, query, *parameters):
        row = self._connection.execute(query, parameters).fetchone()
        return row[0] if row else None


def _key(homework, submission):
    return _hash(homework.digest, submission, grader_version())


def _question_key(homework, id, submission):
    return _hash(homework.question_digest(id), submission, grader_version())


def _hash(*parts):
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
