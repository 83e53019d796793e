"""The folder of submissions: whose file it is, when it came, which one counts."""

import errno
import os
import unicodedata
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from dlcourse.grading.marking import entries
from dlcourse.grading.marking.collection import COUNTS, NOTHING, Rules, collect
from dlcourse.grading.marking.moments import last_moment, moment, of_nobody, read_times
from dlcourse.grading.marking.roster import Roster
from tests.library.grading.samples import from_cells, homework, submission

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)


def put(folder, name, content="a", minutes=0):
    path = folder / name
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    when = NOON.timestamp() + 60 * minutes
    os.utime(path, (when, when))


@pytest.fixture
def tmp_path(tmp_path):
    """A folder below a hidden one, which must not hide it."""
    (tmp_path / ".course" / "in").mkdir(parents=True)
    return tmp_path / ".course" / "in"


def found(folder, homework=None, **rules):
    return {h.file: h for h in collect(folder, homework, Rules(**rules))}


def counted(folder, homework=None, **rules):
    return {
        h.student: h.file for h in found(folder, homework, **rules).values() if h.status == COUNTS
    }


def test_names_of_files_and_folders_are_students(tmp_path):
    put(tmp_path, "anna.ipynb")
    put(tmp_path, "ben (2).ipynb")
    put(tmp_path, "carl/deep/Untitled.ipynb")
    put(tmp_path, "Đặng Thị.IPYNB")
    students = {file: h.student for file, h in found(tmp_path).items()}
    assert students == {
        "anna.ipynb": "anna",
        "ben (2).ipynb": "ben",
        "carl/deep/Untitled.ipynb": "carl",
        "Đặng Thị.IPYNB": "Đặng Thị",
    }
    assert {h.status for h in found(tmp_path).values()} == {"counts"}


def test_what_is_no_notebook_gets_a_row_and_what_systems_leave_gets_none(tmp_path):
    put(tmp_path, "anna.pdf")
    put(tmp_path, "ben/homework.py")
    (tmp_path / "link.ipynb").symlink_to("/etc/passwd")
    (tmp_path / "links").symlink_to("/etc")
    (tmp_path / "lost.ipynb").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.ipynb")
    for name in (".DS_Store", "__MACOSX/anna.ipynb", "ben/.ipynb_checkpoints/h.ipynb"):
        put(tmp_path, name)
    put(tmp_path, "ben/.git/h.ipynb")
    put(tmp_path, "._anna.ipynb", entries.APPLE_DOUBLE + b"\0" * 20)
    put(tmp_path, "handed_in.csv", "student,handed_in\nanna,never\n")
    rows = found(tmp_path)
    odd = ["link.ipynb", "links", "lost.ipynb", "pipe.ipynb"]
    assert sorted(rows) == sorted(["anna.pdf", "ben/homework.py", "handed_in.csv", *odd])
    assert {h.status for h in rows.values()} == {"wrong file name"}
    assert all("ordinary file" in rows[name].message for name in odd)
    assert not any(h.digest for h in rows.values())


def test_a_folder_that_cannot_be_looked_into_is_a_row_that_says_so(tmp_path, monkeypatch):
    for name in ("anna/h.ipynb", "ben/h.ipynb", "dr. carl/h.ipynb"):
        put(tmp_path, name)
    scandir = os.scandir

    def closed(path):
        if Path(path).name in ("anna", "dr. carl"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    rows = found(tmp_path)
    assert {file: (h.student, h.status) for file, h in rows.items()} == {
        "anna/": ("anna", "unreadable"),
        "ben/h.ipynb": ("ben", "counts"),
        "dr. carl/": ("dr. carl", "unreadable"),
    }
    assert "Permission denied" in rows["anna/"].message
    assert rows["anna/"].handed_in is None


def test_the_last_hand_in_of_a_student_counts(tmp_path):
    put(tmp_path, "anna/first.ipynb", "a", minutes=0)
    put(tmp_path, "anna/again.ipynb", "a", minutes=5)
    put(tmp_path, "anna/last.ipynb", "b", minutes=9)
    rows = found(tmp_path)
    assert {h.file: (h.status, h.message) for h in rows.values()} == {
        "anna/first.ipynb": ("superseded", "Superseded by anna/last.ipynb."),
        "anna/again.ipynb": ("duplicate", "Same content as anna/first.ipynb."),
        "anna/last.ipynb": ("counts", ""),
    }


def test_whoever_returns_to_an_earlier_version_is_taken_at_his_word(tmp_path):
    for minutes, version in enumerate("abaa"):
        put(tmp_path, f"anna/{minutes}.ipynb", version, minutes)
    rows = found(tmp_path, deadline=NOON + timedelta(seconds=30))
    assert [h.status for h in rows.values()] == ["duplicate", "superseded", "counts", "duplicate"]
    assert rows["anna/2.ipynb"].is_late  # at the deadline it was another one
    assert rows["anna/0.ipynb"].message == "Same content as anna/2.ipynb."


def test_handing_in_the_same_again_makes_nobody_late(tmp_path):
    put(tmp_path, "anna/a.ipynb", "a", minutes=-5)
    put(tmp_path, "anna/b.ipynb", "a", minutes=+5)
    put(tmp_path, "ben.ipynb", "a", minutes=+5)
    rows = found(tmp_path, deadline=NOON)
    assert (rows["anna/a.ipynb"].status, rows["anna/a.ipynb"].is_late) == ("counts", False)
    assert rows["anna/b.ipynb"].status == "duplicate"
    assert (rows["ben.ipynb"].status, rows["ben.ipynb"].is_late) == ("counts", True)


def test_the_last_notebook_of_this_homework_counts(tmp_path):
    wanted = homework()
    later = {
        "scratch.ipynb": from_cells("x = 1", homework=""),
        "helpers.ipynb": from_cells("def gradient(): pass", homework=""),
        "other.ipynb": submission(homework("optimizers")),
        "cut.ipynb": b'{"cells": [',
        "empty.ipynb": b"",
    }
    put(tmp_path, "anna/old.ipynb", submission(wanted, note="old"), 0)
    put(tmp_path, "anna/mine.ipynb", submission(wanted), 1)
    for minutes, (name, data) in enumerate(later.items(), start=2):
        put(tmp_path, f"anna/{name}", data, minutes)
    put(tmp_path, "ben/scratch.ipynb", later["scratch.ipynb"], 1)
    put(tmp_path, "ben/helpers.ipynb", later["helpers.ipynb"], 0)
    put(tmp_path, "carl/other.ipynb", later["other.ipynb"], 0)
    put(tmp_path, "carl/scratch.ipynb", later["scratch.ipynb"], 1)
    assert counted(tmp_path, wanted) == {
        "anna": "anna/mine.ipynb",
        "ben": "ben/helpers.ipynb",
        "carl": "carl/scratch.ipynb",  # neither is: the last gets the reason
    }
    rows = found(tmp_path, wanted)
    assert rows["anna/old.ipynb"].status == "superseded"
    for name in later:
        row = rows[f"anna/{name}"]
        assert row.status == "another notebook"
        assert row.message == "Not a notebook of this homework; anna/mine.ipynb counts."


def test_a_doubt_about_which_came_last_is_said(tmp_path):
    put(tmp_path, "anna/hw9.ipynb", "a")
    put(tmp_path, "anna/hw10.ipynb", "b")
    rows = found(tmp_path)
    assert rows["anna/hw10.ipynb"].status == COUNTS
    assert "No time tells" in rows["anna/hw10.ipynb"].message


def test_a_number_that_a_browser_adds_is_taken_off_and_said(tmp_path):
    put(tmp_path, "anna.ipynb", "a")
    put(tmp_path, "anna (1).ipynb", "b")
    rows = found(tmp_path)
    assert counted(tmp_path) == {"anna": "anna (1).ipynb"}
    assert "(1) in its name is taken for a browser's" in rows["anna (1).ipynb"].message
    assert rows["anna.ipynb"].message == "Superseded by anna (1).ipynb."


def test_accents_and_leading_dots_make_no_second_student(tmp_path):
    name = "Zoé"
    put(tmp_path, f"{unicodedata.normalize('NFC', name)}.ipynb", "a", 0)
    put(tmp_path, f"{unicodedata.normalize('NFD', name)}/late.ipynb", "b", 1)
    put(tmp_path, ".ben.ipynb", "a")
    put(tmp_path, ".carl/hw.ipynb", "a")
    put(tmp_path, ".ipynb", "a")
    rows = found(tmp_path)
    assert {h.student for h in rows.values()} == {name, "ben", "carl", "ipynb"}
    assert sum(h.status == COUNTS for h in rows.values()) == 3
    assert "begins with a dot" in rows[".ben.ipynb"].message
    assert rows[".ipynb"].status == "wrong file name"


def test_times_of_what_is_not_there_are_named(tmp_path):
    put(tmp_path, "anna/h.ipynb")
    put(tmp_path, "ben.ipynb")
    put(tmp_path, "7.ipynb")
    (tmp_path / "times.csv").write_text(
        "file,handed_in\nanna/h.ipynb,2026-10-01\nben,2026-10-01\n7,2026-10-01\nida,2026-10-01\n"
        "ana/h.ipynb,2026-10-01\nBen,2026-10-01\n"
    )
    roster = Roster("", [["student", "id"], ["carl", "7"], ["ida", "8"]])
    hand_ins = collect(tmp_path, None, Rules(roster=roster))
    assert of_nobody(read_times(tmp_path / "times.csv"), hand_ins) == ["Ben", "ana/h.ipynb"]


def test_times_come_from_a_list_where_there_is_one(tmp_path):
    put(tmp_path, "in/anna.ipynb", minutes=9)
    put(tmp_path, "in/ben/b.ipynb", minutes=9)
    put(tmp_path, "in/carl.ipynb", minutes=-9)
    listed = tmp_path / "times.csv"
    listed.write_text(
        "student,handed_in\nanna,2026-10-01T11:00Z\nben/b.ipynb,2026-10-01T20:30+08:00\n"
    )
    rows = found(tmp_path / "in", deadline=NOON, times=read_times(listed))
    late = {file: h.is_late for file, h in rows.items()}
    assert late == {"anna.ipynb": False, "ben/b.ipynb": True, "carl.ipynb": False}


def test_a_day_as_deadline_is_over_when_it_ends():
    here = datetime.now().astimezone().tzinfo
    day = last_moment("2026-10-01", "here")
    assert datetime(2026, 10, 1, 23, 59, 59, tzinfo=here) < day
    assert day < datetime(2026, 10, 2, tzinfo=here)
    assert last_moment("2026-10-01T12:00Z", "here") == NOON
    with pytest.raises(ValueError, match="expected a moment"):
        last_moment("2026-13-01", "here")


def test_wrong_lists_and_folders_are_refused(tmp_path):
    listed = tmp_path / "times.csv"
    listed.write_text("student,handed_in\nanna,yesterday\n")
    with pytest.raises(ValueError, match=r"times\.csv, line 2: expected a moment .* 'yesterday'"):
        read_times(listed)
    listed.write_text("name,when\nanna,2026-10-01\n")
    with pytest.raises(ValueError, match="line 2: it needs a column"):
        read_times(listed)
    with pytest.raises(ValueError, match="is not a folder, nor a zip archive"):
        collect(tmp_path / "nowhere")
    assert moment("2026-10-01T12:00Z", "here") == NOON


def test_the_output_is_no_hand_in(tmp_path):
    put(tmp_path, "anna.ipynb")
    put(tmp_path, "grades/students/anna/report.html")
    assert list(found(tmp_path, leave_out=tmp_path / "grades")) == ["anna.ipynb"]
    with pytest.raises(ValueError, match="another folder for the output"):
        found(tmp_path, leave_out=tmp_path)


def test_names_by_another_rule_are_read_by_a_pattern(tmp_path):
    put(tmp_path, "hw1_student01_final.ipynb")
    put(tmp_path, "hw1_student02_x.ipynb")
    put(tmp_path, "group3/student03/work.ipynb")
    put(tmp_path, "notes.ipynb")
    rows = found(tmp_path, name_pattern="hw1_{student}_*.ipynb")
    assert {h.student for h in rows.values() if h.status == COUNTS} == {"student01", "student02"}
    assert "does not fit the pattern" in rows["notes.ipynb"].message
    regular = r"(?:hw1_|.*/)(?P<student>student\d+).*"
    assert set(counted(tmp_path, name_pattern=regular)) == {"student01", "student02", "student03"}
    assert counted(tmp_path, name_pattern="*/{student}/*.ipynb") == {
        "student03": "group3/student03/work.ipynb"
    }
    for wrong in ("hw1_*.ipynb", "(?P<student>", "{student}_{student}.ipynb"):
        with pytest.raises(ValueError, match="name pattern"):
            found(tmp_path, name_pattern=wrong)


def test_the_roster_gives_a_row_to_whoever_handed_in_nothing(tmp_path):
    put(tmp_path, "STUDENT01.ipynb")
    put(tmp_path, "stranger.ipynb")
    put(tmp_path, "student03.pdf")
    roster = Roster("", [["student", "email"], *([f"student0{i}", ""] for i in (1, 2, 3))])
    rows = {h.student: h for h in collect(tmp_path, None, Rules(roster=roster))}
    assert {name: h.status for name, h in rows.items()} == {
        "student01": COUNTS,
        "student02": NOTHING,
        "student03": "wrong file name",
        "stranger": COUNTS,
    }
    assert rows["stranger"].message == "Not on the roster."
    assert (rows["student02"].file, rows["student02"].handed_in) == ("", None)


def test_names_that_are_no_text_are_made_readable(tmp_path):
    raw = os.fsencode(tmp_path) + b"/\xff\x1b[31m.ipynb"
    with open(raw, "w"):
        pass
    (row,) = collect(tmp_path)
    assert row.student.startswith("\N{REPLACEMENT CHARACTER}" * 2 + "[31m-")
    assert row.student.isprintable()
    assert row.read() == b""
    row.file.encode()


def test_names_that_read_alike_are_different_students(tmp_path):
    for name in (b"M\xfcller.ipynb", b"M\xf6ller.ipynb"):
        (tmp_path / os.fsdecode(name)).write_text(f"{name!r}")
    found = collect(tmp_path)
    assert len({hand_in.student for hand_in in found}) == 2
    assert {hand_in.status for hand_in in found} == {COUNTS}


def test_a_time_that_no_calendar_has_is_late(tmp_path, monkeypatch):
    (tmp_path / "ada.ipynb").write_text("{}")
    far = SimpleNamespace(st_mtime=1e12, st_mode=0o100644)
    monkeypatch.setattr(type(tmp_path), "lstat", lambda path: far)
    (hand_in,) = collect(tmp_path, None, Rules(deadline=datetime(2026, 10, 1, tzinfo=UTC)))
    assert hand_in.is_late
