"""The list of a class: a gradebook of Canvas, a grading worksheet of Moodle, or a column `student`.

With one, whoever handed in nothing has a row too, and files are known by any of a student's names:
a login, a number, an address, "Last, First" or "First Last".
"""

import csv
import io
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

CANVAS, MOODLE, SIMPLE = "Canvas", "Moodle", ""
SIZE_LIMIT_BYTES = 50_000_000
NAMES = ("student", "name", "full name", "sortable name", "username", "login", "sis login id")
MORE = ("email", "email address", "id", "id number", "sis user id", "sid", "student id")
TEST_STUDENT = "Student, Test"  # Canvas adds it to the gradebooks that it exports


@dataclass(frozen=True)
class Member:
    """One student of the class."""

    student: str  # as reports call them: another name for each
    line: int  # index in the roster's rows
    number: str  # the platform's own, as its export of hand-ins writes it
    names: frozenset[str]  # whatever else files may call them, as `key` writes it


class Roster:
    """The students of a class, and the table that they come from."""

    def __init__(self, kind: str, table: list[list[str]], delimiter: str = ","):
        self.kind, self.delimiter = kind, delimiter
        self.header, self.rows = table[0], table[1:]
        self.members = tuple(_members(kind, self.header, self.rows))
        self._by_number = {m.number: m for m in self.members if m.number}
        self._by_student = {m.student: m for m in self.members}
        self._by_name: dict[str, Member | None] = {}
        for member in self.members:
            for name in member.names:  # what two share names neither
                self._by_name[name] = None if name in self._by_name else member

    def find(self, student: str, number: str = "", platform: str = "") -> Member | None:
        """The member of this name or, if the hand-in came from the roster's platform, number."""
        if platform and platform == self.kind and number:
            if number in self._by_number:
                return self._by_number[number]
        known = self._by_student.get(student) or self._by_name.get(key(student))
        return known or self._by_name.get(key(number))

    def is_shared(self, name: str) -> bool:
        """Whether several are called so, and nobody alone."""
        return self._by_name.get(key(name), ...) is None

    def column(self, *names: str) -> int | None:
        """Where the first of these columns stands, or None."""
        return _column(self.header, *names)


def read_roster(path) -> Roster:
    """The roster in a CSV file; raises `ValueError` if it names no students, or two
    that nothing tells apart."""
    table, delimiter = read_table(path)
    found = [cell.strip().lower() for cell in table[0]] if table else []
    if {"id", "section"} <= set(found) and ("student" in found or "lastname" in found):
        kind = CANVAS
    elif {"identifier", "full name", "grade"} <= set(found):
        kind = MOODLE
    elif "student" in found:
        kind = SIMPLE
    else:
        raise ValueError(
            f"{path} names no students: expected the columns of a Canvas gradebook (Student, ID, "
            "Section), of a Moodle grading worksheet (Identifier, Full name, Grade), or one called "
            f"student; got {', '.join(found[:10]) or 'nothing'}."
        )
    return Roster(kind, table, delimiter)


def read_table(path) -> tuple[list[list[str]], str]:
    """The rows of a CSV file, each as long as the first, and what separates its cells.

    Raises `ValueError` for a file that is too large, no UTF-8 or no table.
    """
    data = Path(path).read_bytes()
    if len(data) > SIZE_LIMIT_BYTES:
        raise ValueError(f"{path} has more than {SIZE_LIMIT_BYTES / 1e6:.0f} MB: it is no table.")
    try:
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8. Save it as CSV in UTF-8.") from error
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise ValueError(f"{path} is no CSV file: {error}.") from error
    rows = [row for row in rows if row]
    width = len(rows[0]) if rows else 0
    return [row[:width] + [""] * (width - len(row)) for row in rows], delimiter


def key(name: str) -> str:
    """A name without case, spaces, punctuation and the way in which its letters are written.

    >>> key("Lee, Anna-Mari\u0301a") == key("leeannamar\u00eda")
    True
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return re.sub(r"[\W_]+", "", folded)


def _members(kind, header, rows):
    """Whoever the rows name; raises `ValueError` where nothing tells two of them apart."""
    told = [(line, row, _student(kind, header, row)) for line, row in enumerate(rows)]
    told = [t for t in told if t[2] and not (kind == CANVAS and _is_no_student(t[2], t[1]))]
    counts, taken = Counter(student for *_, student in told), {}
    for line, row, student in told:
        number = _cell(header, row, "id" if kind == CANVAS else "identifier", "id")
        if kind == MOODLE:
            number = re.sub(r"^\D*", "", number)
        names = frozenset(key(name) for name in _names(kind, header, row, student)) - {""}
        if counts[student] > 1:  # none of them has the name for itself
            others = (_cell(header, row, column) for column in MORE)
            student = f"{student} {number or next(filter(None, others), '')}".strip()
        if student in taken:
            raise ValueError(
                f"Rows {taken[student] + 2} and {line + 2} of the roster are both of {student}, "
                "and nothing tells the two apart. Delete one, or give each an id or an email."
            )
        taken[student] = line
        yield Member(student, line, number, names)


def _names(kind, header, row, student):
    names = {_cell(header, row, column) for column in NAMES + MORE} | {student}
    names |= {name.partition("@")[0] for name in names if "@" in name}
    last, _, first = student.partition(",")
    names |= {f"{first} {last}"} if first else set()
    return names | ({_cell(header, row, "identifier")} if kind == MOODLE else set())


def _student(kind, header, row):
    if kind == MOODLE:
        student = _cell(header, row, "full name")
    elif kind == CANVAS and _column(header, "student") is None:
        student = f"{_cell(header, row, 'lastname')}, {_cell(header, row, 'firstname')}"
    else:
        student = _cell(header, row, "student")
    return unicodedata.normalize("NFC", student)


def _is_no_student(student, row):
    return "Points Possible" in row[0] or student == TEST_STUDENT


def _column(header, *names):
    found = [cell.strip().lower() for cell in header]
    return next((found.index(name.lower()) for name in names if name.lower() in found), None)


def _cell(header, row, *names):
    place = _column(header, *names)
    return row[place].strip() if place is not None else ""
