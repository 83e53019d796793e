"""Grade a folder of submissions from beginning to end: collect, grade, report."""

import os
from pathlib import Path

from dlcourse.grading.homework import Homework
from dlcourse.grading.marking import collection, exports, report
from dlcourse.grading.marking.runs import Setting, run
from dlcourse.grading.marking.store import Store
from dlcourse.grading.sandbox.execution import UNTRUSTED, Limits

TIMES = "handed_in.csv"  # in the folder of submissions


def grade_folder(homework: Homework, submissions, output, setting: Setting, deadline="") -> Path:
    """Grade all of `submissions`, write below `output`, and return the class report.

    When hand-ins came is read from handed_in.csv among them, with the columns `file` or `student`
    and `handed_in`; for others the last change of the file counts.
    """
    submissions, output = Path(submissions), Path(output)
    last = collection.moment(deadline, "the deadline") if deadline else None
    times = {}
    if (submissions / TIMES).is_file():
        times = collection.read_times(submissions / TIMES)
    hand_ins = collection.collect(submissions, last, times)
    with Store(output / "results.sqlite") as store:
        rows = exports.rows(hand_ins, run(homework, hand_ins, store, setting))
        return report.write(homework, rows, output, store)


def setting(scheduler="", untrusted_marks=False) -> Setting:
    """One process a core, or a Dask cluster; a sandbox that holds, or the declared lack of one."""
    return Setting(
        n_workers=os.cpu_count() or 1,
        scheduler=scheduler or None,
        isolation=UNTRUSTED if untrusted_marks else "strict",
        limits=Limits(),
    )
