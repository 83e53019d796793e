"""Results on disk: rows are added, never changed, so that no kill and no second run can spoil one.

A result is keyed by all that it depends on (`keys`), and each question of it by what decides about
that question alone. When a test is fixed, the other questions are found as they were; only the
fixed one is graded anew.
"""

import itertools
import sqlite3
import time
from pathlib import Path

from dlcourse.grading.marking.keys import Key
from dlcourse.grading.marking.results import (
    GradedQuestion,
    Result,
    question_from_json,
    question_to_json,
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


class Store:
    """The results in one SQLite file. Use it as a context manager.

    A file that is damaged is put aside, and where none can be written the results are kept in
    memory: grading goes on, and `notes` says what happened.
    """

    def __init__(self, path):
        self.notes = []
        self._connection = self._opened(Path(path))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._connection.close()

    def find(self, key: Key) -> Result | None:
        """The result under this very key, if there is one."""
        return self._result(key.result)

    def full(self, result: Result) -> Result | None:
        """A light result with what its cells showed, if it is stored."""
        return self._result(result.key)

    def known(self, key: Key) -> dict[str, GradedQuestion]:
        """Questions of this submission that were graded by the tests that the homework has now."""
        query = "SELECT record FROM questions WHERE key = ?"
        keys = key.questions.items()
        found = {id: self._read(question_from_json, query, own) for id, own in keys}
        return {id: question for id, question in found.items() if question}

    def ran(self, key: Key) -> Result | None:
        """The first result of the same run of this notebook, whatever the tests were."""
        query = "SELECT record FROM results WHERE submission = ? AND grader = ? ORDER BY written"
        return self._read(Result.from_json, query, key.submission, key.run)

    def add(self, key: Key, result: Result):
        """Write a result and its questions, all or nothing; what is there already stays."""
        now = time.time()
        row = key.result, key.homework, key.submission, key.bundle, key.run, now
        graded = result.questions if result.is_graded else ()
        try:
            with self._transaction():
                self._connection.execute(
                    "INSERT OR IGNORE INTO results VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (*row, result.to_json()),
                )
                for question in graded:
                    own = key.questions[question.id], question.id, key.submission, now
                    self._connection.execute(
                        "INSERT OR IGNORE INTO questions VALUES (?, ?, ?, ?, ?)",
                        (*own, question_to_json(question)),
                    )
        except sqlite3.Error as error:  # a full disk: this run reports the mark all the same
            self._note(f"Results can no longer be kept ({error}): the next run grades them again.")

    def __len__(self):
        return self._one("SELECT count(*) FROM results")

    def _opened(self, path):
        for _ in range(2):
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                return _connected(path)
            except (sqlite3.OperationalError, OSError) as error:
                why = f"{path} cannot be written ({error})"
                break
            except sqlite3.DatabaseError as error:
                why = f"{path} is damaged ({error})"
                try:
                    aside = _put_aside(path)
                except OSError:
                    break
                self._note(f"{why}. It is kept as {aside.name}; all hand-ins are graded again.")
        else:
            why = f"{path} cannot be made anew"
        self._note(f"{why}: results are not kept, and the next run grades all again.")
        return _connected(":memory:")

    def _note(self, text):
        if text not in self.notes:
            self.notes.append(text)

    def _transaction(self):
        self._connection.execute("BEGIN IMMEDIATE")
        return self._connection  # as a context manager it commits, or rolls back

    def _result(self, key):
        return self._read(Result.from_json, "SELECT record FROM results WHERE key = ?", key)

    def _read(self, parse, query, *parameters):
        """The first record, parsed; None if there is none, or none that can be read."""
        try:
            record = self._one(query, *parameters)
            return parse(record) if record else None
        except (sqlite3.Error, ValueError, KeyError, TypeError, AttributeError) as error:
            self._note(f"A stored result cannot be read ({error}): it is graded again.")
            return None

    def _one(self, query, *parameters):
        row = self._connection.execute(query, parameters).fetchone()
        return row[0] if row else None


def _connected(path):
    """A connection to a store that is whole and can be written; raises what sqlite3 raises."""
    connection = sqlite3.connect(path, timeout=60, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise sqlite3.DatabaseError(found)
        connection.executescript(SCHEMA)
        for table in ("results", "questions"):
            for verb in ("UPDATE", "DELETE"):
                connection.executescript(APPEND_ONLY.format(verb=verb, table=table))
        connection.execute("BEGIN IMMEDIATE")  # fails where nothing can be written
        connection.execute("ROLLBACK")
    except BaseException:
        connection.close()
        raise
    return connection


def _put_aside(path):
    """Rename a damaged store, and what SQLite keeps beside it; the store's new path."""
    taken = (path.with_name(f"{path.name}.damaged-{n}") for n in itertools.count(1))
    aside = next(free for free in taken if not free.exists())
    for end in ("", "-wal", "-shm"):
        beside = path.with_name(path.name + end)
        if beside.exists():
            beside.rename(aside.with_name(aside.name + end))
    return aside
