"""The folder of submissions: which files are hand-ins, of whom, when, and which of them counts.

A file `<student>.ipynb` in the folder, or any notebook in a folder `<student>/`. A browser's
" (1)" after the name is taken off. Nothing in the folder stops a run: what is no notebook gets its
row and the reason.
"""

import csv
import hashlib
import os
import re
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from dlcourse.grading.marking.submission import SIZE_LIMIT_BYTES

COUNTS, DUPLICATE, SUPERSEDED = "counts", "duplicate", "superseded"
WRONG_NAME, UNREADABLE = "wrong file name", "unreadable"
IGNORED = ("__MACOSX", "Thumbs.db", "desktop.ini", "handed_in.csv")
COPY = re.compile(r"\s*\(\d{1,3}\)$")


@dataclass(frozen=True)
class HandIn:
    """One file: whose it is, when it came, and whether its mark counts."""

    path: Path
    file: str  # its path in the folder, as readable text
    student: str
    handed_in: datetime
    is_late: bool = False
    status: str = COUNTS
    message: str = ""
    digest: str = ""  # SHA-256 of the bytes

    @property
    def is_notebook(self) -> bool:
        return self.status in (COUNTS, DUPLICATE, SUPERSEDED)

    def read(self) -> bytes:
        """The bytes, at most one more than the limit."""
        with self.path.open("rb") as file:
            return file.read(SIZE_LIMIT_BYTES + 1)


def collect(folder, deadline: datetime | None = None, times: dict | None = None) -> list[HandIn]:
    """Every file of the folder, by student and time; `times` maps files or students to moments.

    Without an entry in `times` a file's time is that of its last change. A hand-in after
    `deadline` is late. Of several by one student the last counts; one that repeats the bytes of an
    earlier one is a duplicate of it, and does not make it late.
    """
    folder, times = Path(folder), times or {}
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder. Give the folder that holds the submissions.")
    files = (path for path in sorted(folder.rglob("*")) if _is_file(path, folder))
    found = [_hand_in(folder, path, times) for path in files]
    by_student = defaultdict(list)
    for hand_in in found:
        by_student[hand_in.student].append(
            replace(hand_in, is_late=deadline is not None and hand_in.handed_in > deadline)
        )
    return [h for student in sorted(by_student) for h in _settled(by_student[student])]


def read_times(path) -> dict[str, datetime]:
    """Moments from a CSV file with the columns `file` (or `student`) and `handed_in`."""
    times = {}
    with Path(path).open(newline="", encoding="utf-8-sig") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            name = row.get("file") or row.get("student")
            if not name:
                raise ValueError(f"{path}, line {number}: it needs a column `file` or `student`.")
            times[name] = moment(row.get("handed_in") or "", f"{path}, line {number}")
    return times


def moment(text: str, where: str) -> datetime:
    """A moment in ISO 8601; without a zone it is one of this machine's clock."""
    try:
        return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except ValueError:
        raise ValueError(
            f"{where}: expected a moment such as 2026-10-01T23:59, got {text!r}."
        ) from None


def _is_file(path, folder):
    inside = path.relative_to(folder).parts
    hidden = any(part.startswith(".") or part in IGNORED for part in inside)
    return not hidden and (path.is_symlink() or not path.is_dir())


def _hand_in(folder, path, times):
    inside = path.relative_to(folder)
    file = _readable(inside.as_posix())
    name = inside.parts[0] if len(inside.parts) > 1 else COPY.sub("", path.stem)
    student = _readable(name).strip() or "?"
    changed = _changed(path)
    when = times.get(file, times.get(student, changed))
    hand_in = HandIn(path, file, student, when)
    if path.is_symlink() or not path.is_file():
        return replace(hand_in, status=WRONG_NAME, message="It is not an ordinary file.")
    if path.suffix.lower() != ".ipynb":
        message = "Its name does not end in .ipynb. Hand in the notebook itself."
        return replace(hand_in, status=WRONG_NAME, message=message)
    try:
        return replace(hand_in, digest=hashlib.sha256(hand_in.read()).hexdigest())
    except OSError as error:
        return replace(hand_in, status=UNREADABLE, message=f"It cannot be read: {error.strerror}.")


def _changed(path):
    """When the file was last changed; a time that no calendar has is late."""
    try:
        return datetime.fromtimestamp(path.lstat().st_mtime, UTC)
    except (ValueError, OverflowError):
        return datetime.max.replace(tzinfo=UTC)


def _settled(hand_ins):
    """The hand-ins of one student in order of time, each with its part."""
    ordered = sorted(hand_ins, key=lambda h: (h.handed_in, h.file))
    first = {}  # of each content
    for hand_in in ordered:
        if hand_in.is_notebook:
            first.setdefault(hand_in.digest, hand_in)
    counted = list(first.values())[-1] if first else None
    for hand_in in ordered:
        original = first.get(hand_in.digest)
        if not hand_in.is_notebook or hand_in is counted:
            yield hand_in
        elif hand_in is not original:
            message = f"Same content as {original.file}."
            yield replace(hand_in, status=DUPLICATE, message=message)
        else:
            yield replace(hand_in, status=SUPERSEDED, message=f"Superseded by {counted.file}.")


def _readable(name):
    """A file name as text: names are bytes, not all of them UTF-8. Another text for each name."""
    text = name.encode(errors="surrogateescape").decode(errors="replace")
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)[:200]
    return text if text == name else f"{text}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:8]}"
