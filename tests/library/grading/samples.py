"""Homework and submissions for the tests of the grader: the real ones, filled in as students do."""

import functools
import json

from dlcourse.grading import master, release
from tests import ROOT

HOMEWORK = ROOT / "homework"
NAMES = sorted(path.parent.name for path in HOMEWORK.glob("*/master.ipynb"))
EMPTY = "empty"  # leaves an answer as it was handed out


@functools.cache
def homework(name="logistic_regression"):
    return master.read(HOMEWORK / name / "master.ipynb")


def hidden_tests():
    """(name of the homework, question, test) of every hidden test."""
    return [
        (name, question, test)
        for name in NAMES
        for question in homework(name).questions
        for test in question.tests
        if test.is_hidden
    ]


@functools.cache
def _released(homework):
    return json.dumps(release.student_notebook(homework))


def mistake(question, name):
    return next(mistake for mistake in question.mistakes if mistake.name == name)


def notebook(homework, answers=None):
    """The released notebook with the solutions in it, but for `answers`: mistakes, or `EMPTY`."""
    answers = answers or {}
    cells = json.loads(_released(homework))
    for cell in cells["cells"]:
        kind, _, id = cell["id"].partition("-")
        if kind == "answer":
            question = homework.question(id)
            choice = answers.get(id)
            if choice is None:
                cell["source"] = question.solution
            elif choice != EMPTY:
                cell["source"] = mistake(question, choice).source
    return cells


def submission(homework, answers=None, note=""):
    """The same as bytes; a `note` makes other bytes of it."""
    cells = notebook(homework, answers)
    cells["metadata"]["note"] = note
    return release.to_bytes(cells)


def all_empty(homework):
    return {question.id: EMPTY for question in homework.questions}


def from_cells(*sources, homework="logistic_regression"):
    """A notebook with these code cells."""
    cells = [{"cell_type": "code", "metadata": {}, "source": source} for source in sources]
    metadata = {"dlcourse": {"homework": homework}}
    return json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4}).encode()
