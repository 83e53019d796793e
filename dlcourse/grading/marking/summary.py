"""What an instructor reads in the terminal at the end of a run."""

from collections import Counter

from dlcourse.grading.marking.collection import NOTHING, UNREADABLE, WRONG_NAME
from dlcourse.grading.marking.exports import Row
from dlcourse.grading.marking.results import NOT_GRADED, UNTRUSTED

MOST_LISTED = 20
SANDBOXES = {
    "bubblewrap": "Sandbox: bubblewrap.",
    "landlock": "Sandbox: Landlock, for bubblewrap does not hold on this machine. In it no "
    "notebook can write a file, and whether a file exists can be found out.",
    "untrusted marks": "No sandbox holds on this machine: the submissions could read its files.",
}


def summary(rows: list[Row]) -> list[str]:
    """Lines: how many were graded, not graded and refused, which, and in what sandbox."""
    failed, refused = not_graded(rows), [row for row in rows if _is_refused(row)]
    n_graded = sum(bool(row.result and row.result.is_graded) for row in rows)
    files = Counter(row.hand_in.student for row in rows if row.hand_in.is_notebook)
    counts = {
        "graded": n_graded,
        "not graded": len(failed),
        "refused": len(refused),
        "without a hand-in": sum(row.status == NOTHING for row in rows),
        "late": sum(row.hand_in.is_late and row.result is not None for row in rows),
        "with several hand-ins": sum(n > 1 for n in files.values()),
    }
    lines = [", ".join(f"{number} {name}" for name, number in counts.items()) + "."]
    for title, listed in (("Not graded", failed), ("Refused", refused)):
        lines += [f"{title}: {row.hand_in.file}: {row.message}" for row in listed[:MOST_LISTED]]
        if len(listed) > MOST_LISTED:
            lines.append(f"{title}: and {len(listed) - MOST_LISTED} more, see grades.csv.")
    if failed:
        lines.append("Run the same command again: only what is not graded is graded.")
    lines += sandboxes(rows)
    if any(row.status == UNTRUSTED for row in rows):
        lines.append("These marks are untrusted: they could be forged. Do not let them count.")
    return lines


def not_graded(rows: list[Row]) -> list[Row]:
    """Hand-ins without a mark through no fault of their own."""
    return [row for row in rows if row.status in (NOT_GRADED, UNREADABLE)]


def sandboxes(rows: list[Row]) -> list[str]:
    """A sentence on each sandbox that hand-ins ran in."""
    used = {row.result.sandbox for row in rows if row.result and row.result.is_graded}
    return [SANDBOXES[name] for name in sorted(used & SANDBOXES.keys())]


def _is_refused(row):
    if row.result is None:
        return row.status == WRONG_NAME
    return not row.result.is_graded and row.status != NOT_GRADED
