"""Marks and reports: complete, harmless to open, and silent about what is hidden."""

import base64
import csv
import io
import json
import os
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st

from dlcourse.grading.marking import exports, report
from dlcourse.grading.marking.collection import HandIn
from dlcourse.grading.marking.exports import Row
from dlcourse.grading.marking.results import (
    GradedQuestion,
    GradedTest,
    RanCell,
    Result,
    not_graded,
    ungraded,
)
from tests.library.grading.samples import homework

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"' {{ 7 * 7 }} \u202e\x00"
PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()


def hand_in(student="anna", **more):
    return replace(HandIn(Path("x"), f"{student}.ipynb", student, NOW, digest="d"), **more)


def result(*wrong, text="fine", flags=(), cells=()):
    """A result whose questions in `wrong` failed."""
    questions = []
    for question in homework().questions:
        is_passed = question.id not in wrong
        told = {} if is_passed else {"hint": f"hint {text}", "mistake": f"mistake {text}"}
        questions.append(
            GradedQuestion(
                question.id,
                question.title,
                tuple(
                    GradedTest(
                        test.name,
                        test.points,
                        is_passed,
                        test.is_hidden,
                        claim="" if test.is_hidden else test.claim,
                        lines=() if test.is_hidden or is_passed else (f"got {text}",),
                        **told,
                    )
                    for test in question.tests
                ),
            )
        )
    return Result("logistic_regression", "d", "ok", "", tuple(questions), cells, flags)


def rows():
    return [
        Row(hand_in("anna"), result()),
        Row(hand_in("ben", is_late=True), result("q2", "q3", flags=("dlcourse.losses",))),
        Row(hand_in("carl"), result("q3")),
        Row(hand_in("dora"), ungraded(homework(), "d", "empty", "The file is empty.")),
        Row(hand_in("emil", status="wrong file name", message="No notebook."), None),
    ]


def parsed(rows):
    return list(csv.DictReader(io.StringIO(exports.grades_csv(homework(), rows))))


def test_the_table_of_grades_has_a_row_for_everything_handed_in():
    anna, ben, carl, dora, emil = parsed(rows())
    assert (anna["points"], anna["out_of"], anna["q2"], anna["late"]) == ("23", "23", "5", "no")
    assert (ben["points"], ben["q2"], ben["late"]) == ("13", "0", "yes")
    assert ben["flags"] == "dlcourse.losses"
    assert carl["points"] == "18"
    assert (dora["status"], dora["points"]) == ("empty", "0")
    assert (emil["status"], emil["points"], emil["counts"]) == ("wrong file name", "", "no")
    assert anna["handed_in"] == "2026-10-01T12:00:00Z"


def test_what_the_machine_did_not_grade_gets_no_zero():
    (row,) = parsed([Row(hand_in(), not_graded(homework(), "d", "no fork"))])
    assert (row["status"], row["points"], row["q1"]) == ("not graded", "", "")


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\x00"), max_size=30))
def test_no_cell_is_a_formula(text):
    for name in (text, "=" + text, " @" + text, "\t-" + text):
        row = Row(hand_in(name), result())
        lines = csv.reader(io.StringIO(exports.grades_csv(homework(), [row]), newline=""))
        for cell in list(lines)[1]:
            assert not cell.lstrip(" ").startswith(tuple("=+-@\t\r\n"))


def test_gradescope_gets_its_fields():
    record = exports.gradescope(rows()[1])
    assert record["score"] == 13
    assert {test["visibility"] for test in record["tests"]} == {"visible"}
    assert sum(test["score"] for test in record["tests"]) == 13
    assert sum(test["max_score"] for test in record["tests"]) == 23
    failed = [test for test in record["tests"] if test["status"] == "failed"]
    assert {test["output_format"] for test in failed} == {"text"}
    assert failed[0]["number"] == "2.1"
    assert failed[0]["output"] == "got fine\nhint fine"
    allowed = {"score", "output", "output_format", "visibility", "stdout_visibility", "tests"}
    assert set(record) == allowed | {"extra_data"}


def page(row):
    return BeautifulSoup(report.student_page(homework(), row), "html.parser")


def is_harmless(page):
    tags = {tag.name for tag in page.find_all()}
    handlers = [name for tag in page.find_all() for name in tag.attrs if name.startswith("on")]
    sources = [tag.get("src", "") for tag in page.find_all()]
    policy = page.find("meta", attrs={"http-equiv": "Content-Security-Policy"})["content"]
    return (
        not tags & {"script", "iframe", "object", "embed", "form", "link", "base"}
        and not handlers
        and all(source.startswith("data:image/png;base64,") for source in sources if source)
        and "default-src 'none'" in policy
    )


def test_everything_of_a_student_is_escaped():
    cells = (RanCell(EVIL, EVIL, EVIL, EVIL, (PIXEL,)),)
    row = Row(hand_in(EVIL, file=EVIL, message=EVIL), result("q1", text=EVIL, cells=cells))
    class_page = BeautifulSoup(report.class_page(homework(), [row]), "html.parser")
    for written in (page(row), class_page):
        assert is_harmless(written)
        assert "<script>alert(1)</script>" in written.get_text()
        assert "{{ 7 * 7 }}" in written.get_text()
        assert not set(str(written)) & {"\u202e", "\x00"}
    assert len(page(row).find_all("img")) == 1


def test_the_test_for_harmlessness_sees_harm():
    raw = BeautifulSoup(
        report.student_page(homework(), rows()[0]).replace("<h1>", f"{EVIL}<h1>"), "html.parser"
    )
    assert not is_harmless(raw)


def test_a_student_reads_points_hints_code_and_output():
    cells = (RanCell("x = 1", "printed", "warned", "ValueError: no", (PIXEL,)),)
    text = page(Row(hand_in("ben", is_late=True), result("q2", cells=cells))).get_text()
    for words in ("18 of 23 points", "late", "Hint: hint fine", "got fine", "x = 1", "printed"):
        assert words in text
    for words in ("warned", "ValueError: no", "hidden: agrees with the loss"):
        assert words in text
    assert "mistake fine" not in text


def test_no_report_shows_anything_hidden():
    hidden = [t for q in homework().questions for t in q.tests if t.is_hidden]
    everything = result(*(q.id for q in homework().questions))
    text = report.student_page(homework(), Row(hand_in(), everything))
    text += json.dumps(exports.gradescope(Row(hand_in(), everything)))
    for test in hidden:
        assert test.claim not in text
        for line in test.source.splitlines()[2:]:
            assert line.strip() not in text


def test_the_class_report_counts():
    graded = [row for row in rows() if row.result and row.result.status == "ok"]
    shares = report.question_shares(homework(), graded)
    assert [(question.id, round(share, 3)) for question, share, _ in shares[:2]] == [
        ("q3", 0.333),
        ("q2", 0.667),
    ]
    assert report.common_mistakes(graded) == [
        ("q3", "mistake fine", 2, "hint fine"),
        ("q2", "mistake fine", 1, "hint fine"),
    ]
    counts = [count for _, count in report.bars([23, 13, 18, 0], 23)]
    assert counts == [1, 0, 0, 0, 0, 1, 0, 1, 0, 1]
    text = BeautifulSoup(report.class_page(homework(), rows()), "html.parser")
    assert "5 files, 3 graded" in text.get_text()
    assert text.svg["role"] == "img"
    assert "1 with 20.7 to 23" in text.svg["aria-label"]
    assert "imports dlcourse.losses" in text.get_text()


def test_the_same_file_of_two_students_is_a_pair_unless_it_is_untouched():
    def pairs(*results):
        students = ("anna", "ben", "carl")
        graded = [Row(hand_in(s), r) for s, r in zip(students, results, strict=False)]
        return [(p.first, p.second, p.is_same_file) for p in report.look_alikes(homework(), graded)]

    other = replace(result("q1"), submission="e")
    assert pairs(result("q2"), result("q2"), other) == [("anna", "ben", True)]
    untouched = result(*(q.id for q in homework().questions))
    assert pairs(untouched, untouched, other) == []


def test_a_class_without_a_graded_notebook_gets_its_report():
    text = BeautifulSoup(report.class_page(homework(), rows()[3:]), "html.parser").get_text()
    assert "2 files, 0 graded" in text
    assert "The file is empty." in text


@given(st.lists(st.text(min_size=1, max_size=20), unique=True, min_size=2, max_size=5))
def test_each_student_has_a_page_of_a_plain_name(students):
    names = [report.page_name(student) for student in students]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", name) for name in names)


@pytest.mark.parametrize("student", ["../../etc/passwd", "..", "/", "a/b", "con", "-"])
def test_no_name_leads_out_of_the_folder(tmp_path, student):
    report.write(homework(), [Row(hand_in(student), result())], tmp_path / "grades")
    assert [path.name for path in tmp_path.iterdir()] == ["grades"]
    (home,) = (tmp_path / "grades" / "students").iterdir()
    assert sorted(os.listdir(home)) == ["report.html", "results.json"]


def test_no_plain_name_is_the_page_of_another_student():
    page = report.page_name("Ada Lovelace")
    assert report.page_name(page) != page
    assert report.page_name("ada") == "ada"
