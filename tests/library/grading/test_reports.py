"""Marks and reports: complete, harmless to open, and silent about what is hidden."""

import base64
import csv
import io
import json
import os
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st

from dlcourse.grading.marking import exports, gradebooks, report
from dlcourse.grading.marking.collection import NOTHING, HandIn
from dlcourse.grading.marking.entries import Entry
from dlcourse.grading.marking.exports import Row
from dlcourse.grading.marking.results import (
    GradedQuestion,
    GradedTest,
    RanCell,
    Result,
    not_graded,
    ungraded,
)
from dlcourse.grading.marking.roster import read_roster
from dlcourse.grading.marking.similarity import Pair, Similarity
from tests.library.grading.platform_samples import CANVAS_GRADEBOOK, MOODLE_WORKSHEET
from tests.library.grading.samples import homework

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"' {{ 7 * 7 }} \u202e\x00"
ENTRY = Entry(("x.ipynb",), io.BytesIO)
PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()


def hand_in(student="anna", **more):
    return replace(HandIn(ENTRY, f"{student}.ipynb", student, NOW, digest="d"), **more)


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


@pytest.mark.parametrize("result", [None, not_graded(homework(), "d", "no fork")])
def test_what_the_machine_did_not_grade_gets_no_zero_anywhere(tmp_path, result):
    row = Row(hand_in(), result)
    (written,) = parsed([row])
    assert (written["status"], written["points"], written["q1"]) == ("not graded", "", "")
    record = exports.gradescope(row)
    assert (record["score"], record["tests"]) == (None, [])
    assert record["output"].startswith("not graded")
    report.write(homework(), [row], tmp_path)
    assert "0 graded" in (tmp_path / "class.html").read_text()
    assert "Not graded: anna" in (tmp_path / "class.html").read_text()
    for table in ("canvas.csv", "moodle.csv"):
        assert ",0" not in (tmp_path / table).read_text()
    if result:
        text = (tmp_path / "students" / "anna" / "report.html").read_text()
        assert "not graded" in text
        assert "0 of 23" not in text


def test_marks_that_nothing_vouches_for_say_so_everywhere(tmp_path):
    row = Row(hand_in(), replace(result("q2"), status="untrusted"))
    (written,) = parsed([row])
    assert (written["status"], written["points"]) == ("untrusted", "18")
    record = exports.gradescope(row)
    assert (record["score"], record["output"]) == (18, "untrusted")
    (tmp_path / "canvas.csv").write_text(CANVAS_GRADEBOOK)
    (tmp_path / "moodle.csv").write_text(MOODLE_WORKSHEET)
    canvas, _ = gradebooks.canvas_csv(
        homework(),
        [replace(row, hand_in=hand_in("Student, One"))],
        read_roster(tmp_path / "canvas.csv"),
    )
    head, *_ = lines = table(canvas)
    assert head[-1].endswith("(untrusted)")
    assert (lines[3][7], lines[3][-1]) == ("", "18")
    moodle, _ = gradebooks.moodle_csv(
        homework(),
        [replace(row, hand_in=hand_in("Student One"))],
        read_roster(tmp_path / "moodle.csv"),
    )
    assert table(moodle)[1][-1].startswith("untrusted")
    assert "untrusted" in report.student_page(homework(), row)
    assert "<td>untrusted</td>" in class_page([row])


@given(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=30))
def test_no_cell_is_a_formula_whatever_separates_the_cells(text):
    for start in ("", "=", " @", "\t-", "a;=", "a;\t +", "\r=", 'a";"=', "a;'\"=", "\uff1d"):
        row = Row(hand_in(start + text), result())
        written = exports.grades_csv(homework(), [row])
        for separator in ",;\t":
            lines = csv.reader(io.StringIO(written, newline=""), delimiter=separator)
            for cell in (cell for line in lines for cell in line):
                assert not cell.strip().startswith(tuple("=+-@\uff1d\uff0b\uff0d\uff20")), cell


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


def test_a_hint_is_given_once_a_question():
    tests = tuple(GradedTest(f"t{i}", 1, False, True, hint=f"hint {i // 2}") for i in range(4))
    graded = replace(result(), questions=(GradedQuestion("q1", "Question 1. It", tests),))
    outputs = [test["output"] for test in exports.gradescope(Row(hand_in(), graded))["tests"]]
    assert outputs == ["hint 0", "", "hint 1", ""]
    text = page(Row(hand_in(), graded)).get_text()
    assert (text.count("hint 0"), text.count("hint 1")) == (1, 1)


def page(row):
    return BeautifulSoup(report.student_page(homework(), row), "html.parser")


def class_page(rows, **more):
    return report.class_page(homework(), rows, report.look_alikes(homework(), rows), **more)


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
    for written in (page(row), BeautifulSoup(class_page([row]), "html.parser")):
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
    text = BeautifulSoup(class_page(rows()), "html.parser")
    assert "5 students, 5 files, 3 graded" in text.get_text()
    assert "Mean 18, median 18 of 23 points." in text.get_text()
    assert "Question 2. The gradient" in text.get_text()
    assert "q2 Question 2." not in text.get_text()
    assert text.svg["role"] == "img"
    assert "1 with 20.7 to 23" in text.svg["aria-label"]
    assert "imports dlcourse.losses" in text.get_text()


def test_the_same_file_of_two_students_is_a_pair_unless_it_is_untouched():
    def pairs(*results):
        students = ("anna", "ben", "carl")
        graded = [Row(hand_in(s), r) for s, r in zip(students, results, strict=False)]
        found = report.look_alikes(homework(), graded)
        return [(p.first, p.second, p.how) for p in found.pairs], found.not_compared

    other = replace(result("q1"), submission="e")
    assert pairs(result("q2"), result("q2"), other)[0] == [("anna", "ben", "same file")]
    untouched = result(*(q.id for q in homework().questions))
    found, left_out = pairs(untouched, untouched, other)
    assert found == []
    assert left_out["ben"] == "the same file as anna, without a point"


def test_a_group_that_hands_in_one_file_is_no_pair():
    group = [Row(hand_in(s, file="submission_1/work.ipynb"), result()) for s in ("anna", "ben")]
    assert report.look_alikes(homework(), group).pairs == ()


def test_copies_are_flagged_where_the_marks_are():
    alike = Similarity((Pair("anna", "ben", 1, "same file"), Pair("ben", "carl", 0.75)), {})
    written = csv.DictReader(io.StringIO(exports.grades_csv(homework(), rows(), alike)))
    assert [row["similar_to"] for row in written] == [
        "ben (same file)",
        "anna (same file), carl (75%)",
        "ben (75%)",
        "",
        "",
    ]


def test_what_was_not_compared_is_in_the_class_report():
    text = BeautifulSoup(class_page(rows()), "html.parser").get_text()
    assert "dora: nothing that ran (empty)" in text


def test_a_failed_cell_is_said_at_the_top():
    cells = (RanCell("x = 1"), RanCell("y = 1 / 0", error="ZeroDivisionError: division by zero"))
    text = page(Row(hand_in(), result("q2", cells=cells))).get_text()
    said = "code cell of yours failed: ZeroDivisionError: division by zero"
    assert 0 < text.index(said) < text.index("Question 1.")


def test_backticks_are_code_and_nothing_more():
    assert report.prose("`a` and `<b>`") == "<code>a</code> and <code>&lt;b&gt;</code>"
    assert report.prose("a ` b") == "a ` b"
    assert report.prose("`a` ` <i>") == "<code>a</code> ` &lt;i&gt;"
    graded = result("q2", text="write `X @ beta`")
    row = Row(hand_in(), graded)
    for written in (page(row), BeautifulSoup(class_page([row]), "html.parser")):
        assert "X @ beta" in [code.get_text() for code in written.find_all("code")]


def table(text, delimiter=","):
    return list(csv.reader(io.StringIO(text), delimiter=delimiter))


def lms_rows():
    """Marks of the sample gradebooks' students, as their roster calls them."""
    return {
        "Canvas": [
            Row(hand_in("Student, One", platform="Canvas", number="101"), result()),
            Row(hand_in("Student, Two", platform="Canvas", number="102"), result("q3")),
            Row(hand_in("Student, Five", status=NOTHING, entry=None), None),
            Row(hand_in("stranger", platform="Canvas", number="999"), result()),
        ],
        "Moodle": [
            Row(hand_in("Student One", platform="Moodle", number="101"), result()),
            Row(hand_in("Student Two", platform="Moodle", number="102"), result("q3")),
            Row(hand_in("Same Name", platform="Moodle", number="103"), result()),
            Row(hand_in("Student Five", status=NOTHING, entry=None), None),
        ],
    }


@pytest.mark.parametrize("separator", [",", ";"])
def test_a_gradebook_of_canvas_comes_back_with_the_marks(tmp_path, separator):
    given = table(CANVAS_GRADEBOOK)
    with (tmp_path / "roster.csv").open("w", newline="") as file:
        csv.writer(file, delimiter=separator).writerows(given)
    roster = read_roster(tmp_path / "roster.csv")
    text, note = gradebooks.canvas_csv(homework(), lms_rows()["Canvas"], roster)
    written = table(text, separator)
    assert written[3][7] == "23"
    assert written[4][7] == "18"
    for row in written, given:
        row[3][7] = row[4][7] = ""
    assert written == given
    assert note == ""


@pytest.mark.parametrize(
    ("titles", "place"),
    [
        (["Homework 1 (1)", "Homework 10 (2)"], 4),
        (["Other (1)", "Logistic regression (2)"], 5),
        (["Week 1 (1)"], 4),
        (["Week 1 (1)", "Week 2 (2)"], None),
        (["HW1 (1)", "Homework 1 late (2)"], None),
    ],
)
def test_the_column_of_the_assignment_is_found_or_a_new_one_made(tmp_path, titles, place):
    lines = [
        ["Student", "ID", "SIS Login ID", "Section", *titles, "Final Score"],
        ["    Points Possible", "", "", "", *["23"] * len(titles), "(read only)"],
        ["Student, One", "101", "student01", "A", *["1"] * len(titles), "50"],
    ]
    with (tmp_path / "roster.csv").open("w", newline="") as file:
        csv.writer(file).writerows(lines)
    text, note = gradebooks.canvas_csv(
        homework(), lms_rows()["Canvas"], read_roster(tmp_path / "roster.csv")
    )
    head, _, one = table(text)
    place = len(head) - 1 if place is None else place
    assert one[place] == "23"
    assert [cell for i, cell in enumerate(one) if i != place][: len(lines[2])] == [
        cell for i, cell in enumerate(lines[2]) if i != place
    ]
    assert ("a new one" in note) == (place >= len(lines[0]))
    assert head[place] == (homework().title if note else titles[place - 4])


def test_a_worksheet_of_moodle_comes_back_with_the_marks(tmp_path):
    (tmp_path / "roster.csv").write_text(MOODLE_WORKSHEET)
    roster = read_roster(tmp_path / "roster.csv")
    text, note = gradebooks.moodle_csv(homework(), lms_rows()["Moodle"], roster)
    given, written = table(MOODLE_WORKSHEET), table(text)
    assert [line[4] for line in written[1:]] == ["23", "18", "", ""]
    for lines in given, written:
        for line in lines:
            line[4] = ""
    assert written == given
    assert "Same Name is locked" in note


def test_another_maximum_than_the_homeworks_is_said(tmp_path):
    (tmp_path / "roster.csv").write_text(MOODLE_WORKSHEET.replace("23.00", "100.00"))
    (tmp_path / "canvas.csv").write_text(CANVAS_GRADEBOOK.replace("23.00", "100.00"))
    _, moodle = gradebooks.moodle_csv(
        homework(), lms_rows()["Moodle"], read_roster(tmp_path / "roster.csv")
    )
    assert "moodle.csv: the assignment is out of 100.00 there" in moodle
    _, canvas = gradebooks.canvas_csv(
        homework(), lms_rows()["Canvas"], read_roster(tmp_path / "canvas.csv")
    )
    assert "out of 100.00 there, this homework out of 23" in canvas


def test_without_a_gradebook_tables_have_the_platforms_columns():
    canvas, _ = gradebooks.canvas_csv(homework(), lms_rows()["Canvas"], None)
    head, possible, *students = table(canvas)
    assert head == ["Student", "ID", "SIS Login ID", "Section", homework().title]
    assert possible == ["    Points Possible", "", "", "", "23"]
    assert students[1] == ["Student, One", "101", "", "", "23"]
    moodle, _ = gradebooks.moodle_csv(homework(), lms_rows()["Moodle"], None)
    head, *students = table(moodle)
    assert head == table(MOODLE_WORKSHEET)[0]
    assert students[1][:2] == ["", "Student Five"]
    assert students[2][:5] == ["Participant 101", "Student One", "", "", "23"]
    plain, _ = gradebooks.canvas_csv(homework(), [Row(hand_in("=1"), result())], None)
    assert table(plain)[2][0] == "'=1"


def test_every_file_of_a_run_is_written(tmp_path):
    report.write(homework(), rows(), tmp_path)
    written = {path.name for path in tmp_path.iterdir()}
    tables = {"grades.csv", "canvas.csv", "moodle.csv"}
    assert written == tables | {"results.json", "class.html", "students"}


def test_notes_stand_at_the_top_of_the_class_report():
    text = class_page(rows(), notes=("The sandbox is `Landlock`.",))
    assert text.index("<code>Landlock</code>") < text.index("Distribution")


def test_a_class_without_a_graded_notebook_gets_its_report():
    text = BeautifulSoup(class_page(rows()[3:]), "html.parser").get_text()
    assert "2 students, 2 files, 0 graded" in text
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
