"""Grade a folder of submissions from beginning to end: collect, grade, report."""

import os
from dataclasses import replace
from pathlib import Path

from dlcourse.grading.homework import Homework
from dlcourse.grading.marking import collection, exports, moments, report, roster
from dlcourse.grading.marking.collection import NO_RULES, Rules
from dlcourse.grading.marking.runs import Setting, run
from dlcourse.grading.marking.store import Store
from dlcourse.grading.sandbox.execution import UNTRUSTED, Limits


def grade_folder(
    homework: Homework, submissions, output, setting: Setting, rules: Rules = NO_RULES
) -> Path:
    """Grade all of `submissions`, write below `output`, and return the class report.

    `output` may lie in the folder of submissions: then it is left out, and no hand-in.
    """
    output = Path(output)
    rules = replace(rules, leave_out=output)
    hand_ins = collection.collect(submissions, homework, rules)
    with Store(output / "results.sqlite") as store:
        rows = exports.rows(hand_ins, run(homework, hand_ins, store, setting))
        return report.write(homework, rows, output, store, rules.roster)


def rules(deadline="", times="", roster_file="", name_pattern="") -> Rules:
    """What the command's options say of the hand-ins; empty is not said."""
    return Rules(
        deadline=moments.last_moment(deadline, "the deadline") if deadline else None,
        times=moments.read_times(times) if times else {},
        roster=roster.read_roster(roster_file) if roster_file else None,
        name_pattern=name_pattern,
    )


def setting(scheduler="", untrusted_marks=False) -> Setting:
    """One process a core, or a Dask cluster; a sandbox that holds, or the declared lack of one."""
    return Setting(
        n_workers=os.cpu_count() or 1,
        scheduler=scheduler or None,
        isolation=UNTRUSTED if untrusted_marks else "strict",
        limits=Limits(),
    )
