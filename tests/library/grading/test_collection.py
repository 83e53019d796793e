"""The folder of submissions: whose file it is, when it came, which one counts."""

import os
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from dlcourse.grading.marking.collection import COUNTS, collect, moment, read_times

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)


def put(folder, name, content="a", minutes=0):
    path = folder / name
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(content)
    when = NOON.timestamp() + 60 * minutes
    os.utime(path, (when, when))


@pytest.fixture
def tmp_path(tmp_path):
    """A folder below a hidden one, which must not hide it."""
    (tmp_path / ".course" / "in").mkdir(parents=True)
    return tmp_path / ".course" / "in"


def found(folder, **options):
    return {h.file: h for h in collect(folder, **options)}


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
    (tmp_path / "lost.ipynb").symlink_to(tmp_path / "nowhere")
    for name in (".DS_Store", "__MACOSX/anna.ipynb", "ben/.ipynb_checkpoints/h.ipynb"):
        put(tmp_path, name)
    put(tmp_path, "handed_in.csv")
    rows = found(tmp_path)
    assert sorted(rows) == ["anna.pdf", "ben/homework.py", "link.ipynb", "lost.ipynb"]
    assert {h.status for h in rows.values()} == {"wrong file name"}
    assert "ordinary file" in rows["link.ipynb"].message
    assert not any(h.digest for h in rows.values())


def test_the_last_hand_in_of_a_student_counts(tmp_path):
    put(tmp_path, "anna/first.ipynb", "a", minutes=0)
    put(tmp_path, "anna/again.ipynb", "a", minutes=5)
    put(tmp_path, "anna/last.ipynb", "b", minutes=9)
    rows = found(tmp_path)
    assert [(h.status, h.message) for h in rows.values()] == [
        ("superseded", "Superseded by anna/last.ipynb."),
        ("duplicate", "Same content as anna/first.ipynb."),
        ("counts", ""),
    ]


def test_handing_in_the_same_again_makes_nobody_late(tmp_path):
    put(tmp_path, "anna/a.ipynb", "a", minutes=-5)
    put(tmp_path, "anna/b.ipynb", "a", minutes=+5)
    put(tmp_path, "ben.ipynb", "a", minutes=+5)
    rows = found(tmp_path, deadline=NOON)
    assert (rows["anna/a.ipynb"].status, rows["anna/a.ipynb"].is_late) == ("counts", False)
    assert rows["anna/b.ipynb"].status == "duplicate"
    assert (rows["ben.ipynb"].status, rows["ben.ipynb"].is_late) == ("counts", True)


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


def test_wrong_lists_and_folders_are_refused(tmp_path):
    listed = tmp_path / "times.csv"
    listed.write_text("student,handed_in\nanna,yesterday\n")
    with pytest.raises(ValueError, match=r"times\.csv, line 2: expected a moment .* 'yesterday'"):
        read_times(listed)
    listed.write_text("name,when\nanna,2026-10-01\n")
    with pytest.raises(ValueError, match="line 2: it needs a column"):
        read_times(listed)
    with pytest.raises(ValueError, match="is not a folder"):
        collect(tmp_path / "nowhere")
    assert moment("2026-10-01T12:00Z", "here") == NOON


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
    (hand_in,) = collect(tmp_path, deadline=datetime(2026, 10, 1, tzinfo=UTC))
    assert hand_in.is_late
