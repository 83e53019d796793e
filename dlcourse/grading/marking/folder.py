"""Grade a folder of submissions from beginning to end: collect, grade, report."""

import os
import re
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from dlcourse.grading import secret
from dlcourse.grading.homework import Homework
from dlcourse.grading.marking import collection, exports, report
from dlcourse.grading.marking.runs import Setting, run
from dlcourse.grading.marking.store import Store
from dlcourse.grading.marking.summary import not_graded
from dlcourse.grading.sandbox.execution import STRICT, UNTRUSTED

TIMES = "handed_in.csv"  # in the folder of submissions
PARTIAL = re.compile(r"\..*\.(\d+)\.partial")


@dataclass(frozen=True)
class Finished:
    """What a run has left: its rows, the class report, and what did not go as it should."""

    rows: list[exports.Row]
    report: Path
    notes: list[str]  # on results that cannot be kept
    unwritten: list[str]  # files of the output that could not be written

    @property
    def is_complete(self) -> bool:
        """Whether all hand-ins are graded and all reports written."""
        return not (not_graded(self.rows) or self.unwritten)


def grade_folder(
    homework: Homework, submissions, output, setting: Setting, deadline=""
) -> Finished:
    """Grade all of `submissions` and write below `output`.

    When hand-ins came is read from handed_in.csv among them, with the columns `file` or `student`
    and `handed_in`; for others the last change of the file counts.
    """
    submissions, output = Path(submissions), Path(output)
    last = collection.moment(deadline, "the deadline") if deadline else None
    times = {}
    if (submissions / TIMES).is_file():
        times = collection.read_times(submissions / TIMES)
    hand_ins = collection.collect(submissions, last, times)
    _make_ready(output)
    private = (*setting.private, str(submissions.absolute()), str(output.absolute()))
    own = setting.secret or secret.kept_in(output)
    setting = replace(setting, secret=own, private=private)
    with Store(output / "results.sqlite") as store:
        rows = exports.rows(hand_ins, run(homework, hand_ins, store, setting))
        unwritten = []
        path = report.write(homework, rows, output, store, unwritten)
        return Finished(rows, path, store.notes, unwritten)


def setting(n_workers=0, scheduler="", untrusted_marks=False) -> Setting:
    """One process a core, or a Dask cluster; a sandbox that holds, or the declared lack of one."""
    return Setting(
        n_workers=n_workers or len(os.sched_getaffinity(0)),
        scheduler=scheduler or None,
        isolation=UNTRUSTED if untrusted_marks else STRICT,
    )


def _make_ready(output):
    """The folder, without what a killed run left half written; `ValueError` if it is read-only."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=output):
            pass
    except OSError as error:
        raise ValueError(
            f"The folder {output} cannot be written ({error.strerror}). Name another one with "
            "--output."
        ) from error
    for path in output.rglob(".*.partial"):
        match = PARTIAL.fullmatch(path.name)
        if match and not Path("/proc", match[1]).exists():
            path.unlink(missing_ok=True)
