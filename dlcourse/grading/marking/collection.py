"""The hand-ins of a class: which files they are, of whom, when they came, and which of them counts.

A file `<student>.ipynb`, any notebook in a folder `<student>/`, or what a learning platform
exports, in a folder or a zip archive. Nothing in there stops a run: what is no notebook gets its
row and the reason. Of a student's notebooks the last one of this homework counts, which is decided
after they are read.
"""

import hashlib
import os
import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from dlcourse.grading.homework import Homework
from dlcourse.grading.marking import entries, platforms, submission
from dlcourse.grading.marking.entries import Entry
from dlcourse.grading.marking.naming import nfc
from dlcourse.grading.marking.roster import Roster

COUNTS, DUPLICATE, SUPERSEDED = "counts", "duplicate", "superseded"
OTHER = "another notebook"
WRONG_NAME, UNREADABLE, NOTHING = "wrong file name", "unreadable", "nothing handed in"
SHARED = "Several on the roster are called so: who of them it is, its name does not say."
NO_TIME = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class HandIn:
    """One file: whose it is, when it came, and whether its mark counts."""

    entry: Entry | None  # None of a student who handed in nothing
    file: str  # its path in the folder, as readable text
    student: str
    handed_in: datetime | None  # None where nothing says when
    is_late: bool = False
    status: str = COUNTS
    message: str = ""
    digest: str = ""  # SHA-256 of the bytes
    platform: str = ""  # that the file was exported from
    number: str = ""  # the platform's number of the student
    named: str = ""  # as the file calls the student
    order: tuple = ()  # among a student's files that no time tells apart

    @property
    def is_notebook(self) -> bool:
        return self.status in (COUNTS, DUPLICATE, SUPERSEDED, OTHER)

    def read(self) -> bytes:
        """The bytes, at most one more than the limit; raises `OSError` where there are none."""
        return self.entry.read()


@dataclass(frozen=True)
class Rules:
    """What an instructor says of the hand-ins that they do not say themselves."""

    deadline: datetime | None = None
    times: dict[str, datetime] = field(default_factory=dict)  # of files or students
    roster: Roster | None = None
    name_pattern: str = ""
    leave_out: Path | None = None  # a folder that is no hand-in: the output's


NO_RULES = Rules()


def collect(folder, homework: Homework | None = None, rules: Rules = NO_RULES) -> list[HandIn]:
    """Every file that was handed in, by student and time; and, by the roster, who handed in none.

    When a file came is what `times` says, else what the platform wrote into its name, else when it
    was last changed. Canvas and Moodle write no time: for them it is unknown, and late is what
    Canvas calls late. Of a student's notebooks the last one that is of `homework` counts.
    """
    found = _found(Path(folder), rules)
    by_student = defaultdict(list)
    for entry, origin in platforms.origins(found, rules.name_pattern):
        hand_in = _hand_in(entry, origin, rules)
        by_student[hand_in.student].append((hand_in, origin.is_receipt))
    for member in rules.roster.members if rules.roster else ():
        if member.student not in by_student:
            row = HandIn(None, "", member.student, None, status=NOTHING, number=member.number)
            by_student[member.student].append((row, False))
    settled = []
    for student in sorted(by_student):
        written = [hand_in for hand_in, is_receipt in by_student[student] if not is_receipt]
        own = written or [hand_in for hand_in, _ in by_student[student][:1]]
        settled += _settled(own, homework)
    return settled


def _found(folder, rules):
    """The files of an export or a folder, without what wraps them; students' archives opened."""
    leave_out = Path(rules.leave_out) if rules.leave_out else None
    if leave_out and leave_out.resolve() == folder.resolve():
        raise ValueError(f"{folder} holds the submissions: choose another folder for the output.")

    def is_student(name):
        return bool(rules.roster and rules.roster.find(name))

    found = platforms.unwrapped(entries.entries(folder, leave_out), is_student, folder.stem)
    if len(found) == 1 and found[0].suffix == ".zip" and not found[0].fault:
        found = _opened_export(found[0], is_student) or found
    return [
        within
        for entry in found
        for within in (
            entries.unzipped(entry) if entry.suffix == ".zip" and not entry.fault else [entry]
        )
    ]


def _opened_export(entry, is_student):
    """The files of an archive that lies alone in the folder, unless it is a student's own."""
    stem = entry.parts[-1][: -len(".zip")]
    with entry.opened() as file:
        path = getattr(file, "name", None)
    if not path or is_student(stem):
        return None
    try:
        within = entries.entries(path)
    except ValueError:
        return None  # it gets its row, with what is wrong
    wrapped = [replace(e, parts=(stem, *e.parts)) for e in within]
    inner = platforms.unwrapped(wrapped, is_student)
    return inner if inner is not wrapped else None


def _hand_in(entry, origin, rules):
    file, name = _readable(entry.file), _readable(nfc(origin.student)).strip() or "?"
    member = rules.roster.find(name, origin.number, origin.platform) if rules.roster else None
    student = member.student if member else name
    notes = [origin.note] if origin.note else []
    if rules.roster and not member:
        notes.append(SHARED if rules.roster.is_shared(name) else "Not on the roster.")
    said = next((rules.times[n] for n in (nfc(file), name, student) if n in rules.times), None)
    changed = None if origin.platform else entry.changed  # of an export it is when it was made
    when = said or origin.sent or changed
    is_late = rules.deadline is not None and when is not None and when > rules.deadline
    if not said and origin.is_late is not None:
        is_late = origin.is_late
    hand_in = HandIn(
        entry,
        file,
        student,
        when,
        is_late,
        message=" ".join(notes),
        platform=origin.platform,
        number=member.number if member and not origin.number else origin.number,
        named=name,
        order=(changed or NO_TIME, origin.order, _natural(file)),
    )
    return _looked_at(hand_in, entry.fault or origin.fault)


def _looked_at(hand_in, fault):
    if fault:
        status = UNREADABLE if hand_in.entry.is_closed else WRONG_NAME
        return replace(hand_in, status=status, message=_joined(fault, hand_in.message))
    if hand_in.entry.suffix != ".ipynb":
        message = "Its name does not end in .ipynb. Hand in the notebook itself."
        return replace(hand_in, status=WRONG_NAME, message=_joined(message, hand_in.message))
    try:
        return replace(hand_in, digest=hashlib.sha256(hand_in.read()).hexdigest())
    except OSError as error:
        message = f"It cannot be read: {error.strerror}."
        return replace(hand_in, status=UNREADABLE, message=_joined(message, hand_in.message))


def _settled(hand_ins, homework):
    """The hand-ins of one student in order of time, each with its part."""
    ordered = sorted(hand_ins, key=lambda h: (h.handed_in or NO_TIME, h.order))
    books = [h for h in ordered if h.is_notebook]
    wanted = _of(homework, books)
    counted = wanted[-1] if wanted else None
    for earlier in reversed(wanted):  # who hands in the same again is not later for it
        if earlier.digest != counted.digest:
            break
        counted = earlier
    first = {}  # of each content
    for hand_in in books:
        first.setdefault(hand_in.digest, hand_in)
    for hand_in in ordered:
        if hand_in is counted:
            note = _doubt(counted, wanted)
            yield replace(hand_in, message=_joined(hand_in.message, note))
        elif not hand_in.is_notebook:
            yield hand_in
        else:
            yield _left(hand_in, counted, first[hand_in.digest], hand_in in wanted)


def _left(hand_in, counted, first, is_wanted):
    """A notebook that does not count, with why."""
    original = counted if hand_in.digest == counted.digest else first
    if original is not hand_in:
        status, message = DUPLICATE, f"Same content as {original.file}."
    elif is_wanted:
        status, message = SUPERSEDED, f"Superseded by {counted.file}."
    else:
        status, message = OTHER, f"Not a notebook of this homework; {counted.file} counts."
    return replace(hand_in, status=status, message=_joined(message, hand_in.message))


def _of(homework, books):
    """Those of a student's notebooks that are of this homework; all of them if none is.

    One that says which homework it is comes before one that only defines a function of its name.
    """
    if homework is None or len({book.digest for book in books}) < 2:
        return books
    claims = {book.digest: _claim(homework, book) for book in books}
    best = max(claims.values())
    return [book for book in books if claims[book.digest] == best]


def _claim(homework, book):
    try:
        data = book.read()
    except OSError:
        return 0
    if not submission.read(data, homework.name, homework.functions).is_gradable:
        return 0
    return 2 if submission.homework_of(data) == homework.name else 1


def _doubt(counted, wanted):
    """What is to be said where only names told which notebook came last."""
    rivals = [b for b in wanted if b.digest != counted.digest]
    if any((b.handed_in, b.order[:2]) == (counted.handed_in, counted.order[:2]) for b in rivals):
        return "No time tells which of several notebooks came last: it is the last by name."
    return ""


def _natural(name):
    """Numbers in a name count as numbers: hw10 comes after hw9."""
    parts = re.split(r"(\d+)", name)
    return tuple((int(p), "") if p.isdecimal() else (-1, p) for p in parts)


def _joined(*texts):
    return " ".join(text for text in texts if text)


def _readable(name):
    """A file name as text: names are bytes, not all of them UTF-8. Another text for each name."""
    text = name.encode(errors="surrogateescape").decode(errors="replace")
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)[:200]
    return text if text == name else f"{text}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:8]}"
