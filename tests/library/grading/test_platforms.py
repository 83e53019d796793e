"""Exports of learning platforms, in folders and archives: each student once, nothing unpacked."""

import io
import os
import stat
import unicodedata
import warnings
import zipfile
from datetime import UTC, datetime

import pytest

from dlcourse.grading.marking import entries
from dlcourse.grading.marking.collection import COUNTS, NOTHING, Rules, collect
from dlcourse.grading.marking.roster import key, read_roster
from dlcourse.grading.marking.submission import SIZE_LIMIT_BYTES
from tests.library.grading.platform_samples import (
    CANVAS_GRADEBOOK,
    EXPORTS,
    MOODLE_WORKSHEET,
    write_archive,
    write_folder,
)
from tests.library.grading.samples import homework, submission

COUNTED = {
    "Canvas": {
        "onestudent": "onestudent_101_5002_work-1.ipynb",
        "twostudent": "twostudent_LATE_102_5003_a_77_88_b.ipynb",
        "threestudent": "threestudent_103_5004_work.ipynb",
    },
    "Brightspace": {
        "Student One": "101-7001 - Student One - Oct 1, 2026 215 PM/work.ipynb",
        "Student - Two": "102-7001 - Student - Two - 1 October, 2026 1159 PM/work.ipynb",
    },
    "Blackboard": {
        "student01": "hw 1_student01_attempt_2026-10-01-23-59-59_work.ipynb",
        "student_02": "hw 1_student_02_attempt_2026-10-01-23-59-59_x_attempt_2020-01-01-00-00-00"
        "_y.ipynb",
    },
    "Gradescope": {
        "Student One": "submission_9001/work.ipynb",
        "Student Two": "submission_9002/deep/work.ipynb",
        "Student Three": "submission_9002/deep/work.ipynb",
    },
}


def counted(hand_ins):
    rows = [h for h in hand_ins if h.status == COUNTS]
    assert len({h.student for h in rows}) == len(rows)
    return {h.student: h.file for h in rows}


def wanted(export):
    """From each student to the notebook that counts."""
    of_all = {s: f for f, (_, s) in EXPORTS[export].items() if s and f.endswith(".ipynb")}
    return COUNTED.get(export, of_all)


def ways(export, tmp_path):
    """The export as a folder and zipped, each as it is and wrapped."""
    write_folder(export, tmp_path / "plain")
    write_folder(export, tmp_path / "wrapped" / "hw1 export")
    write_folder(export, tmp_path / "twice" / "a" / "b")
    write_folder(export, tmp_path / "beside" / "hw1 export")
    (tmp_path / "beside" / "notes.txt").write_text("not a hand-in")
    write_archive(export, tmp_path / "plain.zip")
    write_archive(export, tmp_path / "below.zip", "some folder/")
    (tmp_path / "holds").mkdir()
    write_archive(export, tmp_path / "holds" / "download.zip", "download/")
    for name in ("plain", "wrapped", "twice", "beside", "plain.zip", "below.zip", "holds"):
        yield tmp_path / name


@pytest.mark.parametrize("export", EXPORTS)
def test_an_export_has_each_student_once_however_it_is_packed(tmp_path, export):
    for place in ways(export, tmp_path):
        hand_ins = collect(place)
        assert counted(hand_ins) == wanted(export), place
        students = {student for _, student in EXPORTS[export].values() if student}
        rows = {h.student for h in hand_ins if h.file != "notes.txt"}
        assert rows == students | wanted(export).keys(), place


def test_nothing_is_unpacked(tmp_path):
    write_archive("Moodle", tmp_path / "export.zip")
    for hand_in in collect(tmp_path / "export.zip"):
        hand_in.read()
    assert os.listdir(tmp_path) == ["export.zip"]


def test_times_and_lateness_are_the_platforms_where_it_writes_them(tmp_path):
    rows = {}
    for export in ("Canvas", "Moodle", "Brightspace", "Blackboard", "Gradescope"):
        write_archive(export, tmp_path / f"{export}.zip")
        rules = Rules(deadline=datetime(2026, 10, 1, 20).astimezone(UTC))
        rows |= {
            h.student + export: h
            for h in collect(tmp_path / f"{export}.zip", None, rules)
            if h.status == COUNTS
        }
    assert rows["twostudentCanvas"].is_late
    assert not rows["onestudentCanvas"].is_late
    assert {rows[name].handed_in for name in rows if name.endswith(("Canvas", "Moodle"))} == {None}
    local = datetime(2026, 10, 1, 14, 15).astimezone(UTC)
    assert rows["Student OneBrightspace"].handed_in == local
    assert rows["Student - TwoBrightspace"].is_late
    assert rows["student01Blackboard"].handed_in == datetime(2026, 10, 1, 23, 59, 59).astimezone()
    assert rows["Student OneGradescope"].handed_in.replace(microsecond=0) == datetime(
        2026, 10, 1, 10, tzinfo=UTC
    )


def test_a_list_of_times_is_above_the_platforms_word(tmp_path):
    write_folder("Canvas", tmp_path)
    noon = datetime(2026, 10, 1, 12, tzinfo=UTC)
    times = {"twostudent": noon, "threestudent_103_5004_work.ipynb": noon.replace(hour=13)}
    rows = {h.student: h for h in collect(tmp_path, None, Rules(noon, times)) if h.status == COUNTS}
    assert not rows["twostudent"].is_late
    assert rows["threestudent"].is_late


def test_numbers_that_are_no_students_make_nobody_another(tmp_path):
    for name in ("student01_2026_10_hw.ipynb", "student02_2026_10_hw.ipynb"):
        (tmp_path / name).write_text(name)
    assert set(counted(collect(tmp_path))) == {"student01_2026_10_hw", "student02_2026_10_hw"}


def test_names_of_a_platform_hold_only_at_the_top(tmp_path):
    for student in ("student01", "student02"):
        path = tmp_path / student / "student02_LATE_2_3_x.ipynb"
        path.parent.mkdir()
        path.write_text(student)
    (tmp_path / "student01" / "submission_metadata.yml").write_text("student01: [")
    assert set(counted(collect(tmp_path))) == {"student01", "student02"}


def test_a_file_called_as_gradescopes_is_a_file_elsewhere(tmp_path):
    (tmp_path / "student01.ipynb").write_text("a")
    (tmp_path / "submission_metadata.yml").write_text("student01: {':submitters': [{':name': x}]}")
    assert set(counted(collect(tmp_path))) == {"student01"}


@pytest.mark.parametrize(
    ("export", "table"), [("Canvas", CANVAS_GRADEBOOK), ("Moodle", MOODLE_WORKSHEET)]
)
def test_the_roster_knows_the_students_of_its_platform(tmp_path, export, table):
    (tmp_path / "roster.csv").write_text(table)
    write_folder(export, tmp_path / "in")
    rules = Rules(roster=read_roster(tmp_path / "roster.csv"))
    rows = {h.student: h for h in collect(tmp_path / "in", None, rules)}
    one, five = (
        ("Student, One", "Student, Five") if export == "Canvas" else ("Student One", "Student Five")
    )
    assert rows[one].status == COUNTS
    assert rows[five].status == NOTHING
    assert "Student, Test" not in rows
    strangers = {s for s, h in rows.items() if h.message.endswith("Not on the roster.")}
    assert strangers == (
        {"threestudent", "fourstudent"} if export == "Canvas" else {"Same Name 104"}
    )


@pytest.mark.parametrize(
    "name",
    [
        "student01",
        "student01@example.edu",
        "S101",
        "Student One",
        "One Student",
        "STUDENT, ONE",
        "onestudent",
        "101",
    ],
)
def test_a_student_of_the_roster_goes_by_many_names(tmp_path, name):
    (tmp_path / "roster.csv").write_text(CANVAS_GRADEBOOK)
    roster = read_roster(tmp_path / "roster.csv")
    assert roster.find(name).student == "Student, One"


def test_a_name_that_two_share_is_neithers(tmp_path):
    (tmp_path / "roster.csv").write_text(
        "student;email\nstudent01;same@example.edu\nstudent02;same@example.edu\n"
    )
    roster = read_roster(tmp_path / "roster.csv")
    assert roster.find("same") is None
    assert roster.find("student02").student == "student02"


TWINS = "student,email,id\nSame Name,one@example.edu,{}\nSame Name,two@example.edu,{}\n"


@pytest.mark.parametrize("ids", [("7", "8"), ("", "")])
def test_what_only_bears_the_name_of_two_is_counted_for_neither(tmp_path, ids):
    (tmp_path / "roster.csv").write_text(TWINS.format(*ids))
    (tmp_path / "in").mkdir()
    for name in ("Same Name", "two@example.edu"):
        (tmp_path / "in" / f"{name}.ipynb").write_bytes(submission(homework(), note=name))
    roster = read_roster(tmp_path / "roster.csv")
    rows = collect(tmp_path / "in", homework(), Rules(roster=roster))
    one, two = roster.members
    assert [(h.student, h.file, h.status) for h in rows] == [
        ("Same Name", "Same Name.ipynb", COUNTS),
        (one.student, "", NOTHING),
        (two.student, "two@example.edu.ipynb", COUNTS),
    ]
    assert "Several on the roster" in rows[0].message
    assert roster.find(one.student) is one


def test_names_that_differ_in_their_writing_only_are_told_apart_by_it(tmp_path):
    (tmp_path / "roster.csv").write_text("student\nAnna-Maria\nAnna Maria\n")
    roster = read_roster(tmp_path / "roster.csv")
    assert [roster.find(m.student) for m in roster.members] == [*roster.members]
    assert roster.find("annamaria") is None


def test_a_roster_with_two_rows_that_nothing_tells_apart_is_refused(tmp_path):
    (tmp_path / "roster.csv").write_text("student\nSame Name\nanna\nSame Name\n")
    with pytest.raises(ValueError, match="Rows 2 and 4 of the roster .* id or an email"):
        read_roster(tmp_path / "roster.csv")


def test_a_roster_without_students_is_refused(tmp_path):
    for text in ("a,b\n1,2\n", ""):
        (tmp_path / "roster.csv").write_text(text)
        with pytest.raises(ValueError, match="names no students"):
            read_roster(tmp_path / "roster.csv")
    (tmp_path / "roster.csv").write_bytes("student\nZoé\n".encode("latin-1"))
    with pytest.raises(ValueError, match="not UTF-8"):
        read_roster(tmp_path / "roster.csv")


def test_names_are_compared_without_their_writing():
    assert key("Zoé, A.") == key(unicodedata.normalize("NFD", "zoéa"))
    assert key("student01") != key("student02")


def archive(path, members, **attributes):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # two members of one name
        for name, data in members:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            for attribute, value in attributes.get(name, {}).items():
                setattr(info, attribute, value)
            file.writestr(info, data)


def test_names_that_lead_out_and_links_are_rows_and_no_more(tmp_path):
    link = {"external_attr": (stat.S_IFLNK | 0o777) << 16}
    names = [
        "/etc/student01.ipynb",
        "../student02.ipynb",
        "C:/student03.ipynb",
        "a\\..\\..\\student04.ipynb",
        "link.ipynb",
    ]
    archive(
        tmp_path / "in.zip",
        [(n, "/etc/passwd") for n in [*names, "ok.ipynb"]],
        **{"link.ipynb": link},
    )
    rows = collect(tmp_path / "in.zip")
    assert counted(rows) == {"ok": "ok.ipynb"}
    assert sum("leads out" in h.message for h in rows) == 4
    assert sum("ordinary file" in h.message for h in rows) == 1
    assert not any(".." in h.file.split("/") for h in rows)


def test_a_bomb_is_read_no_further_than_a_notebook_goes(tmp_path):
    archive(tmp_path / "in.zip", [("student01.ipynb", b"0" * 200_000_000)])
    (row,) = collect(tmp_path / "in.zip")
    assert len(row.read()) == SIZE_LIMIT_BYTES + 1


def test_archives_with_too_many_members_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(entries, "MEMBERS", 20)
    archive(tmp_path / "in.zip", [(f"s{i}.ipynb", b"") for i in range(21)])
    with pytest.raises(ValueError, match="21 members, more than 20"):
        collect(tmp_path / "in.zip")


def test_damaged_and_locked_members_are_unreadable_and_said(tmp_path):
    archive(tmp_path / "in.zip", [("student01.ipynb", b"x" * 1000), ("student02.ipynb", b"ok")])
    data = bytearray((tmp_path / "in.zip").read_bytes())
    start = data.find(b"student01.ipynb") + len("student01.ipynb")
    data[start : start + 4] = b"\xff\xff\xff\xff"
    (tmp_path / "in.zip").write_bytes(data)
    rows = {h.student: h for h in collect(tmp_path / "in.zip")}
    assert rows["student01"].status == "unreadable"
    assert rows["student02"].status == COUNTS
    archive(tmp_path / "in.zip", [("s.ipynb", b"x")])
    data = bytearray((tmp_path / "in.zip").read_bytes())
    data[data.find(b"PK\1\2") + 8] |= 1
    data[data.find(b"PK\3\4") + 6] |= 1
    (tmp_path / "in.zip").write_bytes(data)
    (row,) = collect(tmp_path / "in.zip")
    assert "password" in row.message


def test_a_students_own_archive_is_opened(tmp_path):
    inner = io.BytesIO()
    archive(inner, [("hw/work.ipynb", b"mine"), ("hw/data.csv", b"1")])
    (tmp_path / "student01.zip").write_bytes(inner.getvalue())
    (tmp_path / "student02").mkdir()
    (tmp_path / "student02" / "all.zip").write_bytes(inner.getvalue())
    (tmp_path / "student03.zip").write_bytes(b"PK\3\4 damaged")
    archive(tmp_path / "student04.zip", [(f"{i}.ipynb", b"") for i in range(101)])
    archive(tmp_path / "student05.zip", [("work.py", b"")])
    rows = {h.student: h for h in collect(tmp_path)}
    assert counted(rows.values()) == {
        "student01": "student01.zip/hw/work.ipynb",
        "student02": "student02/all.zip/hw/work.ipynb",
    }
    assert rows["student01"].read() == b"mine"
    assert "damaged" in rows["student03"].message
    assert "101 members" in rows["student04"].message
    assert "holds no notebook" in rows["student05"].message


def test_an_archive_within_an_export_is_the_students(tmp_path):
    inner = io.BytesIO()
    archive(inner, [("work.ipynb", submission(homework()))])
    archive(
        tmp_path / "in.zip",
        [
            ("onestudent_101_5001_all.zip", inner.getvalue()),
            ("twostudent_102_5002_work.ipynb", b"{}"),
        ],
    )
    assert counted(collect(tmp_path / "in.zip")) == {
        "onestudent": "onestudent_101_5001_all.zip/work.ipynb",
        "twostudent": "twostudent_102_5002_work.ipynb",
    }
