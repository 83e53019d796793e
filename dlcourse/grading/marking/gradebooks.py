"""Marks in the columns of Canvas and Moodle, ready to be imported.

With the platform's own table as the roster its rows and columns stay as they are, and only marks
are filled in; who has none keeps what stands there. Without it a table is made of what the hand-ins
say. Sources: Canvas, lib/gradebook_importer.rb; Moodle, mod/assign/feedback/offline.
"""

import csv
import io
import re
from typing import NamedTuple

from dlcourse.grading.homework import Homework
from dlcourse.grading.marking.collection import COUNTS
from dlcourse.grading.marking.exports import Row, harmless, number
from dlcourse.grading.marking.results import UNTRUSTED
from dlcourse.grading.marking.roster import CANVAS, MOODLE, Roster, key

CANVAS_HEAD = ["Student", "ID", "SIS Login ID", "Section"]
POSSIBLE = "    Points Possible"  # as Canvas writes it
CANVAS_TOTALS = re.compile(
    r"(Current|Final|Override) (Score|Points|Grade|Status)|\(read only\)", re.IGNORECASE
)
MOODLE_HEAD = [
    *("Identifier", "Full name", "Email address", "Status", "Grade", "Maximum Grade"),
    *("Grade can be changed", "Last modified (submission)", "Last modified (grade)"),
    "Feedback comments",
]
UNTRUSTED_NOTE = "untrusted: graded where no sandbox held"


class Gradebooks(NamedTuple):
    """The two tables as text, and what is to be said of them."""

    canvas: str
    moodle: str
    notes: tuple[str, ...]


def canvas_csv(homework: Homework, rows: list[Row], roster: Roster | None) -> tuple[str, str]:
    """(the table, what is to be said of it): a gradebook that Canvas imports."""
    marks = _marks(rows)
    title = homework.title + " (untrusted)" * _is_untrusted(rows)
    if roster is None or roster.kind != CANVAS:
        table = [[*CANVAS_HEAD, title], [POSSIBLE, "", "", "", number(homework.points)]]
        for row in _counted(rows):
            student, is_theirs = row.hand_in.student, row.hand_in.platform == CANVAS
            known = ["", ""] if is_theirs else ["", student]
            known[0] = row.hand_in.number if is_theirs else ""
            table.append([harmless(c) for c in (student, *known, "", marks.get(student, ""))])
        return _csv(table), ""
    header, lines = list(roster.header), [list(row) for row in roster.rows]
    place = None if _is_untrusted(rows) else _assignment(homework, header)
    note = ""
    if place is None:
        place = _append(header, lines, title)
        note = f"canvas.csv: no one column is this homework's; a new one is called {title!r}."
    for line in lines:
        if "Points Possible" in line[0]:
            line[place] = line[place] or number(homework.points)
            note = note or _other_maximum("canvas.csv", line[place], homework)
    for member in roster.members:
        if member.student in marks:
            lines[member.line][place] = marks[member.student]
    return _csv([header, *lines], roster.delimiter), note


def moodle_csv(homework: Homework, rows: list[Row], roster: Roster | None) -> tuple[str, str]:
    """(the table, what is to be said of it): a grading worksheet that Moodle takes back."""
    marks, untrusted = _marks(rows), {r.hand_in.student for r in rows if r.status == UNTRUSTED}
    if roster is None or roster.kind != MOODLE:
        table = [MOODLE_HEAD]
        for row in _counted(rows):
            student, number_ = row.hand_in.student, row.hand_in.number
            is_theirs = row.hand_in.platform == MOODLE and number_
            line = [f"Participant {number_}" if is_theirs else "", harmless(student)]
            line += [harmless(student) if "@" in student else "", "", marks.get(student, "")]
            line += [number(homework.points), "Yes", "-", "-"]
            table.append([*line, UNTRUSTED_NOTE if student in untrusted else ""])
        return _csv(table), ""
    header, lines = list(roster.header), [list(row) for row in roster.rows]
    grade, maximum = roster.column("grade"), roster.column("maximum grade")
    locked, feedback = roster.column("grade can be changed"), roster.column("feedback comments")
    if untrusted and feedback is None:
        feedback = _append(header, lines, "Feedback comments")
    notes = []
    for member in roster.members:
        line = lines[member.line]
        if member.student not in marks:
            continue
        if locked is not None and line[locked].strip().lower() == "no":
            notes.append(f"moodle.csv: the grade of {member.student} is locked and stays.")
            continue
        line[grade] = marks[member.student]
        if member.student in untrusted:
            line[feedback] = UNTRUSTED_NOTE
        if maximum is not None and (said := _other_maximum("moodle.csv", line[maximum], homework)):
            notes.append(said)
    return _csv([header, *lines], roster.delimiter), " ".join(dict.fromkeys(notes))


def filled(homework: Homework, rows: list[Row], roster: Roster | None) -> Gradebooks:
    """Both tables, and what is to be said of them."""
    tables, notes = zip(
        canvas_csv(homework, rows, roster), moodle_csv(homework, rows, roster), strict=True
    )
    return Gradebooks(*tables, tuple(note for note in notes if note))


def _counted(rows):
    """One row a student: that of the hand-in that counts, or any where none does."""
    by_student = {}
    for row in rows:
        if row.hand_in.status == COUNTS or row.hand_in.student not in by_student:
            by_student[row.hand_in.student] = row
    return [by_student[student] for student in sorted(by_student)]


def _marks(rows):
    return {row.hand_in.student: number(row.earned) for row in rows if row.earned is not None}


def _is_untrusted(rows):
    return any(row.status == UNTRUSTED for row in rows)


def _assignment(homework, header):
    """The one column of a gradebook that is this homework's, by its title; None if none or several
    are. Where there is but one assignment, it is that."""
    last = max(i for i, cell in enumerate(header) if cell.strip().lower() == "section")
    columns = {
        place: re.sub(r"\s*\(\d+\)\s*$", "", cell)
        for place, cell in enumerate(header)
        if place > last and cell.strip() and not CANVAS_TOTALS.search(cell)
    }
    names = {key(homework.title), key(homework.title.rpartition(":")[2]), key(homework.name)}
    numbered = re.compile(rf"\b(?:hw|homework|assignment)\W*0*{homework.number}\b", re.IGNORECASE)
    for fits in (lambda cell: key(cell) in names, numbered.search):
        found = [place for place, cell in columns.items() if fits(cell)]
        if found:
            return found[0] if len(found) == 1 else None
    with_id = [place for place in columns if re.search(r"\(\d+\)\s*$", header[place])]
    return with_id[0] if len(with_id) == 1 else None


def _append(header, lines, title):
    header.append(title)
    for line in lines:
        line.append("")
    return len(header) - 1


def _other_maximum(file, maximum, homework):
    try:
        is_other = float(maximum.replace(",", ".")) != homework.points
    except ValueError:
        return ""
    if not is_other:
        return ""
    return (
        f"{file}: the assignment is out of {maximum} there, this homework out of "
        f"{number(homework.points)}. Marks are points of this homework: set the assignment to them."
    )


def _csv(table, delimiter=","):
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(table)
    return text.getvalue()
