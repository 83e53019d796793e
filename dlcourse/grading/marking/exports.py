"""Marks for other programs: `grades.csv` for a learning platform, `results.json` for Gradescope."""

import csv
import io
import json
from dataclasses import dataclass

from dlcourse.grading.homework import Homework
from dlcourse.grading.marking.collection import COUNTS, HandIn
from dlcourse.grading.marking.results import Result

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True)
class Row:
    """One hand-in with its result; without one if it does not count or is no notebook."""

    hand_in: HandIn
    result: Result | None

    @property
    def status(self) -> str:
        return self.result.status if self.result else self.hand_in.status

    @property
    def message(self) -> str:
        return self.result.message if self.result else self.hand_in.message


def rows(hand_ins: list[HandIn], results: dict[str, Result]) -> list[Row]:
    """A row for every file that was handed in."""
    return [
        Row(hand_in, results[hand_in.digest] if hand_in.status == COUNTS else None)
        for hand_in in hand_ins
    ]


def grades_csv(homework: Homework, rows: list[Row]) -> str:
    """One line a file. Only the hand-in that counts has points, so an import takes no other."""
    text = io.StringIO()
    ids = [question.id for question in homework.questions]
    writer = csv.writer(text, lineterminator="\n")
    head = ["student", "file", "counts", "status", "points", "out_of", *ids]
    writer.writerow([*head, "handed_in", "late", "flags", "message"])
    for row in rows:
        hand_in, result = row.hand_in, row.result
        marks = ["", *[""] * len(ids)]
        if result and result.earned is not None:
            marks = [_number(q.earned) for q in (result, *result.questions)]
        cells = [hand_in.student, hand_in.file, "yes" if result else "no", row.status, marks[0]]
        cells += [_number(homework.points), *marks[1:]]
        cells += [f"{hand_in.handed_in:%Y-%m-%dT%H:%M:%SZ}", "yes" if hand_in.is_late else "no"]
        cells += [" ".join(result.flags) if result else "", row.message]
        writer.writerow([harmless(cell) for cell in cells])
    return text.getvalue()


def harmless(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula: names of files are the students' choice.

    >>> harmless('=HYPERLINK("http://example.org")')
    '\\'=HYPERLINK("http://example.org")'
    """
    return f"'{cell}" if cell.lstrip(" ").startswith(FORMULA) else cell


def gradescope(row: Row) -> dict:
    """The record that Gradescope's autograder reads as results.json."""
    result = row.result
    tests = [
        {
            "number": f"{question.id[1:]}.{number}",
            "name": f"{question.title}: {test.title}",
            "name_format": "text",
            "score": test.earned,
            "max_score": test.points,
            "status": "passed" if test.is_passed else "failed",
            "output": "\n".join([*test.lines, *([test.hint] if test.hint else [])]),
            "output_format": "text",
            "visibility": "visible",
        }
        for question in (result.questions if result else ())
        for number, test in enumerate(question.tests, start=1)
    ]
    return {
        "score": result.earned if result else None,
        "output": row.message,
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


def results_json(homework: Homework, rows: list[Row]) -> str:
    """All records in one file, for whoever has no Gradescope."""
    records = [gradescope(row) for row in rows]
    whole = {"homework": homework.name, "out_of": homework.points, "results": records}
    return json.dumps(whole)


def _number(points):
    return f"{points:g}"
