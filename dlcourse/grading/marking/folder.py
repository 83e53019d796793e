"""Grade a folder of submissions from beginning to end: collect, grade, report."""

import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from dlcourse.grading import partial, secret
from dlcourse.grading.homework import Homework
from dlcourse.grading.marking import collection, exports, gradebooks, moments, report, roster
from dlcourse.grading.marking.collection import NO_RULES, Rules
from dlcourse.grading.marking.runs import Setting, run
from dlcourse.grading.marking.store import Store
from dlcourse.grading.marking.summary import MOST_LISTED, not_graded
from dlcourse.grading.sandbox.execution import STRICT, UNTRUSTED


@dataclass(frozen=True)
class Finished:
    """What a run has left: its rows, the class report, and what did not go as it should."""

    rows: list[exports.Row]
    report: Path
    notes: list[str]  # on times of nobody, results that cannot be kept, and the gradebooks
    unwritten: list[str]  # files of the output that could not be written

    @property
    def is_complete(self) -> bool:
        """Whether all hand-ins are graded and all reports written."""
        return not (not_graded(self.rows) or self.unwritten)


def grade_folder(
    homework: Homework, submissions, output, setting: Setting, rules: Rules = NO_RULES
) -> Finished:
    """Grade all of `submissions` and write below `output`.

    `output` may lie in the folder of submissions: then it is left out, and no hand-in.
    """
    submissions, output = Path(submissions), Path(output)
    rules = replace(rules, leave_out=output)
    hand_ins = collection.collect(submissions, homework, rules)
    _make_ready(output)
    private = (*setting.private, str(submissions.absolute()), str(output.absolute()))
    own = setting.secret or secret.kept_in(output)
    setting = replace(setting, secret=own, private=private)
    with Store(output / "results.sqlite") as store:
        rows = exports.rows(hand_ins, run(homework, hand_ins, store, setting))
        unwritten = []
        books = gradebooks.filled(homework, rows, rules.roster)
        path = report.write(homework, rows, output, store, books, unwritten)
        notes = [*_strangers(hand_ins, rules), *store.notes, *books.notes]
        return Finished(rows, path, notes, unwritten)


def _strangers(hand_ins, rules):
    if names := moments.of_nobody(rules.times, hand_ins):
        shown = ", ".join(names[:MOST_LISTED]) + ", ..." * (len(names) > MOST_LISTED)
        yield f"--times has times of what is no file and no student here: {shown}."


def rules(deadline="", times="", roster_file="", name_pattern="") -> Rules:
    """What the command's options say of the hand-ins; empty is not said."""
    return Rules(
        deadline=moments.last_moment(deadline, "the deadline") if deadline else None,
        times=moments.read_times(times) if times else {},
        roster=roster.read_roster(roster_file) if roster_file else None,
        name_pattern=name_pattern,
    )


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
    partial.sweep(output)
