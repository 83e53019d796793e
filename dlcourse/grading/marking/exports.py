"""Marks for other programs: `grades.csv` for a spreadsheet, `results.json` for Gradescope."""

import csv
import io
import json
import re
from dataclasses import dataclass

from dlcourse.grading.homework import Homework
from dlcourse.grading.marking.collection import COUNTS, HandIn
from dlcourse.grading.marking.results import NOT_GRADED, Result
from dlcourse.grading.marking.similarity import Similarity
from dlcourse.grading.marking.submission import OK

NOTHING_ALIKE = Similarity((), {})
# What makes a formula, at the beginning of a cell or of what a program that separates cells
# otherwise takes for one; the last four are the same signs in the width of Chinese script.
FORMULA = re.compile("(^|[;\t\r\n])(?=[\\s\"']*[=+\\-@\uff1d\uff0b\uff0d\uff20])")


@dataclass(frozen=True)
class Row:
    """One hand-in with its result; without one if it does not count, or could not be graded."""

    hand_in: HandIn
    result: Result | None

    @property
    def status(self) -> str:
        if self.result:
            return self.result.status
        return NOT_GRADED if self.hand_in.status == COUNTS else self.hand_in.status

    @property
    def message(self) -> str:
        told = self.result.message if self.result else ""
        return " ".join(text for text in (told, self.hand_in.message) if text)

    @property
    def earned(self) -> float | None:
        """The mark; None where there is none, which is not a mark of zero."""
        return self.result.earned if self.result else None

    @property
    def is_graded(self) -> bool:
        """Whether the notebook ran and its mark says something of its code."""
        return self.result is not None and self.result.is_graded


def rows(hand_ins: list[HandIn], results: dict[str, Result]) -> list[Row]:
    """A row for every file that was handed in, and everyone on the roster who did not."""
    return [
        Row(hand_in, results.get(hand_in.digest) if hand_in.status == COUNTS else None)
        for hand_in in hand_ins
    ]


def grades_csv(homework: Homework, rows: list[Row], alike: Similarity = NOTHING_ALIKE) -> str:
    """One line a file. Only the hand-in that counts has points, so an import takes no other."""
    text = io.StringIO()
    ids = [question.id for question in homework.questions]
    writer = csv.writer(text, lineterminator="\n")
    head = ["student", "file", "counts", "status", "points", "out_of", *ids]
    writer.writerow([*head, "handed_in", "late", "flags", "similar_to", "message"])
    for row in rows:
        hand_in, result = row.hand_in, row.result
        marks = ["", *[""] * len(ids)]
        if row.earned is not None:
            marks = [number(q.earned) for q in (result, *result.questions)]
        counts = "yes" if hand_in.status == COUNTS else "no"
        cells = [hand_in.student, hand_in.file, counts, row.status, marks[0]]
        cells += [number(homework.points), *marks[1:]]
        cells += [f"{hand_in.handed_in:%Y-%m-%dT%H:%M:%SZ}" if hand_in.handed_in else ""]
        cells += ["yes" if hand_in.is_late else "no"]
        cells += [" ".join(result.flags) if result else ""]
        others = alike.of(hand_in.student) if row.is_graded else []
        cells += [", ".join(f"{other} ({how})" for other, how in others), row.message]
        writer.writerow([harmless(cell) for cell in cells])
    return text.getvalue()


def harmless(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula: names of files are the students' choice.

    Some spreadsheets separate cells by semicolons, so it holds behind these as well.

    >>> harmless('=HYPERLINK("http://example.org")')
    '\\'=HYPERLINK("http://example.org")'
    >>> harmless("anna;=1+1")
    "anna;'=1+1"
    """
    return FORMULA.sub(r"\1'", cell)


def gradescope(row: Row) -> dict:
    """The record that Gradescope's autograder reads as results.json."""
    hints = hints_once(row.result) if row.result else {}
    tests = [
        {
            "number": f"{question.id[1:]}.{place}",
            "name": f"{question.title}: {test.title}",
            "name_format": "text",
            "score": test.earned,
            "max_score": test.points,
            "status": "passed" if test.is_passed else "failed",
            "output": "\n".join([*test.lines, *hints[question.id, test.name]]),
            "output_format": "text",
            "visibility": "visible",
        }
        for question in (row.result.questions if row.earned is not None else ())
        for place, test in enumerate(question.tests, start=1)
    ]
    told = f"{row.status}: {row.message}" if row.status != OK and row.message else row.message
    return {
        "score": row.earned,
        "output": told or (row.status if row.status != OK else ""),
        "output_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": tests,
        "extra_data": {
            "file": row.hand_in.file,
            "student": row.hand_in.student,
            "status": row.status,
            "late": row.hand_in.is_late,
            "submission": row.hand_in.digest,
        },
    }


def hints_once(result: Result) -> dict[tuple[str, str], tuple[str, ...]]:
    """The hint of each test, by question and test, where it is the first of its question's tests
    to give it: what was said is not said again."""
    told = {}
    for question in result.questions:
        said = set()
        for test in question.tests:
            is_new = test.hint and test.hint not in said
            told[question.id, test.name] = (test.hint,) if is_new else ()
            said.add(test.hint)
    return told


def results_json(homework: Homework, rows: list[Row]) -> str:
    """All records in one file, for whoever has no Gradescope."""
    records = [gradescope(row) for row in rows]
    whole = {"homework": homework.name, "out_of": homework.points, "results": records}
    return json.dumps(whole)


def number(points: float) -> str:
    """Points as they are written in a table: without zeros that say nothing."""
    return f"{points:.10g}"
