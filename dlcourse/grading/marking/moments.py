"""When a hand-in came and when it was due, as an instructor writes it."""

import csv
from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from pathlib import Path

from dlcourse.grading.marking.naming import nfc


def read_times(path) -> dict[str, datetime]:
    """Moments from a CSV file with the columns `file` (or `student`) and `handed_in`.

    Raises `ValueError`, with the line, where one of them is missing or no moment.
    """
    times = {}
    with Path(path).open(newline="", encoding="utf-8-sig") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            name = row.get("file") or row.get("student")
            if not name:
                raise ValueError(f"{path}, line {number}: it needs a column `file` or `student`.")
            when = moment(row.get("handed_in") or "", f"{path}, line {number}")
            times[nfc(name.strip())] = when
    return times


def of_nobody(times: dict[str, datetime], hand_ins: Iterable) -> list[str]:
    """Names in `times` of what is neither a file nor a student of the hand-ins."""
    known = {name for h in hand_ins for name in (nfc(h.file), h.named, h.student)}
    return sorted(times.keys() - known)


def moment(text: str, where: str) -> datetime:
    """A moment in ISO 8601; without a zone it is one of this machine's clock.

    Raises `ValueError` for other text, with `where` it stands.
    """
    try:
        return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{where}: expected a moment such as 2026-10-01T23:59, got {text!r}."
        ) from None


def last_moment(text: str, where: str) -> datetime:
    """The same of a deadline: a day without a time of day is over when it ends."""
    try:
        day = date.fromisoformat(text.strip())
    except ValueError:
        return moment(text, where)
    return datetime.combine(day, time.max).astimezone(UTC)
