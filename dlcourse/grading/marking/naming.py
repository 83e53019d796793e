"""Whose a file is by the course's own rule for names, or by one that the instructor gives."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from dlcourse.grading.marking.entries import Entry

COPY = re.compile(r"\s*\((\d{1,3})\)$")  # what a browser adds to a name that is taken


@dataclass(frozen=True)
class Origin:
    """Whose a file is and when it came, as far as its name says so."""

    student: str
    platform: str = ""
    number: str = ""  # the platform's number of the student
    sent: datetime | None = None
    order: int = 0  # among files of one student that no time tells apart
    is_late: bool | None = None  # as the platform says
    is_receipt: bool = False  # the platform wrote it, not the student
    note: str = ""
    fault: str = ""


def plain(entry: Entry) -> Origin:
    """<student>.ipynb, or anything in a folder <student>."""
    top = entry.parts[0]
    is_name = len(entry.parts) == 1 or top.lower().endswith(".zip")
    stem = re.sub(r"(?<=.)\.[^.]*$", "", top) if is_name else top
    copy = COPY.search(stem) if is_name else None
    student = COPY.sub("", stem) if copy else stem
    notes = []
    if copy:
        notes.append(f"The ({copy[1]}) in its name is taken for a browser's: it is of {student}.")
    if student.startswith(".") and student.strip("."):
        student = student.lstrip(".")
        notes.append(f"Its name begins with a dot: it is taken for one of {student}.")
    return Origin(student, order=int(copy[1]) if copy else 0, note=" ".join(notes))


def by_pattern(pattern: str) -> Callable[[Entry], Origin]:
    """Whose a file is by a regular expression with a group `student`, or a text with {student}.

    In the text * stands for anything but a /. Raises `ValueError` if neither is there, or twice.
    """
    if "(?P<student>" in pattern:
        try:
            wanted = re.compile(pattern)
        except re.error as error:
            raise ValueError(f"The name pattern {pattern!r} is none: {error}.") from error
    elif "{student}" in pattern:
        known = {"{student}": "(?P<student>[^/]+?)", "*": "[^/]*"}
        parts = re.split(r"(\{student\}|\*)", pattern)
        seen = parts.count("{student}")
        if seen > 1:
            raise ValueError(
                f"The name pattern {pattern!r} holds {{student}} {seen} times, not once."
            )
        wanted = re.compile("".join(known.get(part, re.escape(part)) for part in parts))
    else:
        raise ValueError(
            f"The name pattern {pattern!r} does not say where the student stands: write "
            "hw1_{student}_*.ipynb, or a regular expression with (?P<student>...)."
        )

    def read(entry):
        match = wanted.fullmatch(entry.file) or wanted.fullmatch(entry.parts[-1])
        if match and match["student"]:
            return Origin(match["student"].strip())
        return replace(plain(entry), fault=f"Its name does not fit the pattern {pattern}.")

    return read


def nfc(name: str) -> str:
    """A name in one way of writing its accents: macOS writes them apart, others do not."""
    return unicodedata.normalize("NFC", name)
