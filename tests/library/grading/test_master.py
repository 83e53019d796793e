"""Master notebooks: read as meant, and refused with the cell and the cure when malformed."""

import copy
import json
from dataclasses import replace

import pytest

from dlcourse.grading import authoring, finding, master
from dlcourse.grading.homework import Homework
from tests.library.grading.samples import HOMEWORK, NAMES, homework

ANSWER = """\
def double(x):
    \"\"\"Twice x.\"\"\"
    y = x
    ### BEGIN SOLUTION
    return 2 * y
    ### END SOLUTION"""
TESTS = """\
@test(points=1, hint="Twice one is two.")
def one(student):
    \"\"\"Twice one.\"\"\"
    expect(student.double(1.0), 2.0, "twice one")


### BEGIN HIDDEN TESTS
@test(points=2.5, hint="Try others.")
def others(student, rng):
    \"\"\"Twice any number.\"\"\"
    x = rng.normal()
    expect(student.double(x), from_the_oracle(x), "twice x")
### END HIDDEN TESTS"""
MUTANTS = 'mutant("half", old="2 * y", new="y / 2", hint="That is half of it.")'
CELLS = [
    ("markdown", [], "# A homework\n\nIt is worth {points} points."),
    ("code", ["instructors"], "from dlcourse.grading.authoring import expect, mutant, test"),
    ("code", ["setup"], "import numpy as np"),
    ("code", ["oracle"], "def from_the_oracle(x):\n    return x + x"),
    ("markdown", [], "## Doubling ({points} points)\n\nDouble it."),
    ("code", ["q1", "answer"], ANSWER),
    ("code", ["q1", "tests"], TESTS),
    ("code", ["q1", "mutants"], MUTANTS),
]


def written(folder, cells=CELLS, about=None):
    about = {"homework": "doubling", "number": 7} if about is None else about
    cells = [
        {"cell_type": kind, "metadata": {"tags": tags}, "source": source.splitlines(True)}
        for kind, tags, source in cells
    ]
    notebook = {"cells": cells, "metadata": {"dlcourse": about}, "nbformat": 4}
    path = folder / "master.ipynb"
    path.write_text(json.dumps(notebook))
    return path


@pytest.fixture
def small(tmp_path):
    return master.read(written(tmp_path))


def test_a_master_becomes_what_it_says(small):
    (question,) = small.questions
    assert (small.name, small.number, small.title) == ("doubling", 7, "A homework")
    assert (question.id, question.title, question.functions) == ("q1", "Doubling", ("double",))
    assert question.points == small.points == 3.5
    visible, hidden = question.tests
    assert (visible.name, visible.points, visible.is_hidden) == ("one", 1, False)
    assert (hidden.claim, hidden.hint, hidden.is_hidden) == ("Twice any number.", "Try others.", 1)
    assert hidden.source.startswith("def others(student, rng):")
    assert "@test" not in hidden.source + visible.source
    assert question.mistakes[0].source == question.solution.replace("2 * y", "y / 2")


def test_the_solution_gives_way_to_a_place_for_it(small):
    starter = small.questions[0].starter
    assert "    y = x\n    # YOUR CODE HERE\n    raise NotImplementedError" in starter
    assert "2 * y" not in starter
    assert "###" not in starter + small.questions[0].solution


def test_students_see_text_setup_answers_and_checks_in_order(small):
    kinds = [piece.kind for piece in small.pieces]
    assert kinds == ["markdown", "setup", "markdown", "answer", "tests"]
    assert "worth 3.5 points" in small.pieces[0].text
    assert "## Doubling (3.5 points)" in small.pieces[2].text


MALFORMED = {
    "no metadata": ({}, "is not a master notebook"),
    "no end": ({5: ANSWER.replace("### END SOLUTION", "")}, "and then '### END SOLUTION'"),
    "no solution": ({5: "def double(x):\n    return 2 * x"}, "it needs '### BEGIN SOLUTION'"),
    "end first": ({5: ANSWER.replace("BEGIN", "END")}, "stands without its counterpart"),
    "misspelt": ({5: ANSWER.replace("### BEGIN", "## BEGIN")}, "is no marker here"),
    "no function": ({5: "### BEGIN SOLUTION\nx = 1\n### END SOLUTION"}, "at least one function"),
    "not Python": ({5: ANSWER.replace("x):", "x:")}, "not valid Python"),
    "nothing hidden": ({6: TESTS.partition("### BEGIN")[0]}, "needs '### BEGIN HIDDEN TESTS'"),
    "all hidden": (
        {6: "### BEGIN HIDDEN TESTS\n" + TESTS.replace("### BEGIN HIDDEN TESTS\n", "")},
        "at least one visible and one hidden",
    ),
    "no docstring": ({6: TESTS.replace('"""Twice one."""', "pass")}, "with a docstring"),
    "no decorator": (
        {6: TESTS.replace("@test(points=2.5, ", "@tset(points=2.5, ")},
        "test(points=",
    ),
    "loose code": ({6: "x = 1\n" + TESTS}, "functions only"),
    "computed points": ({6: TESTS.replace("points=1", "points=one")}, "with literal values"),
    "no points": ({6: TESTS.replace("points=1", "points=0")}, "more than 0 points, got 0"),
    "visible with rng": ({6: TESTS.replace("one(student)", "one(student, rng)")}, "must take"),
    "one name twice": ({6: TESTS.replace("def others", "def one")}, "two tests are called one"),
    "stale mutant": ({7: MUTANTS.replace("2 * y", "3 * y")}, "found 0 times: '3 * y'"),
    "ambiguous mutant": ({7: MUTANTS.replace("2 * y", "y")}, "exactly once"),
    "broken mutant": ({7: MUTANTS.replace("y / 2", "y /")}, "not valid Python"),
    "mutant without hint": ({7: 'mutant("half", "2 * y", "y / 2")'}, "expected mutant("),
}


@pytest.mark.parametrize(("changes", "message"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_master_is_refused_with_the_cure(tmp_path, changes, message):
    cells = [(*cell[:2], changes.get(i, cell[2])) for i, cell in enumerate(CELLS)]
    with pytest.raises(master.MasterError) as refusal:
        master.read(written(tmp_path, cells, about=None if changes else {}))
    assert message in str(refusal.value)
    if changes:
        assert f"Cell {min(changes) + 1} of the master" in str(refusal.value)


TAGS = {
    "two roles": (["q1", "answer", "tests"], "must name one of"),
    "unknown": (["q1", "anwser"], "must name one of"),
    "no question": (["answer"], "need the question's tag"),
    "question only": (["q1"], "need the question's tag"),
    "other question": (["q2", "answer"], r"answer for each of \['q1'\]"),
}


@pytest.mark.parametrize(("tags", "message"), TAGS.values(), ids=TAGS)
def test_wrong_tags_are_refused(tmp_path, tags, message):
    cells = copy.deepcopy(CELLS)
    cells[5] = ("code", tags, ANSWER)
    with pytest.raises(master.MasterError, match=message):
        master.read(written(tmp_path, cells))


def test_a_question_asked_twice_or_never_is_refused(tmp_path):
    with pytest.raises(master.MasterError, match="two cells tagged answer"):
        master.read(written(tmp_path, [*CELLS, CELLS[5]]))
    with pytest.raises(master.MasterError, match="needs a cell tagged answer"):
        master.read(written(tmp_path, CELLS[:5] + CELLS[6:]))
    with pytest.raises(master.MasterError, match="q1 needs a cell tagged tests"):
        master.read(written(tmp_path, CELLS[:6] + CELLS[7:]))


def test_a_file_that_is_no_notebook_is_refused(tmp_path):
    (tmp_path / "a.ipynb").write_text("{")
    with pytest.raises(master.MasterError, match=r"a\.ipynb is not a master notebook"):
        master.read(tmp_path / "a.ipynb")


def test_decorators_of_a_master_run_what_they_decorate(capsys):
    namespace = {"double": lambda x: 2 * x}
    exec("def holds(student):\n    assert student.double(2) == 4", namespace)
    authoring.test(points=1, hint="h")(namespace["holds"])
    assert capsys.readouterr().out == "holds holds, worth 1\n"
    with pytest.raises(ValueError, match="needs a name, a change and a hint"):
        authoring.mutant("a", "x", "x", "hint")


@pytest.mark.parametrize("name", NAMES)
def test_the_bundle_is_the_homework(name):
    wanted = homework(name)
    assert Homework.from_bytes(wanted.to_bytes()) == wanted
    assert len(wanted.digest) == 64


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"format": 2}', b'{"format": 1}', b"\xff"])
def test_what_is_no_bundle_is_refused(data):
    with pytest.raises(ValueError, match="not a bundle of this version"):
        Homework.from_bytes(data)


def test_the_digest_of_a_question_is_that_of_what_decides_about_it(small):
    (question,) = small.questions
    digest = small.question_digest("q1")
    for change in ({"title": "B"}, {"solution": "x = 1"}, {"starter": "y"}):
        other = replace(small, questions=(replace(question, **change),), title="C")
        assert other.question_digest("q1") == digest
        assert other.digest != small.digest
    harder = replace(question.tests[0], points=2)
    other = replace(small, questions=(replace(question, tests=(harder, *question.tests[1:])),))
    assert other.question_digest("q1") != digest
    assert replace(small, oracle="pass").question_digest("q1") != digest
    with pytest.raises(KeyError, match="q9"):
        small.question("q9")


def test_homework_is_found_by_folder_number_and_path(tmp_path, small):
    path = HOMEWORK / "optimizers" / "master.ipynb"
    wanted = homework("optimizers")
    for name in ("optimizers", "hw2", str(path)):
        assert finding.find(name, HOMEWORK) == wanted
    bundle = tmp_path / "b.bundle.json"
    bundle.write_bytes(small.to_bytes())
    assert finding.find(str(bundle)) == small
    with pytest.raises(ValueError, match=r"logistic_regression \(hw1\), optimizers \(hw2\)"):
        finding.find("hw99", HOMEWORK)


def test_every_homework_has_a_number_of_its_own():
    numbers = [homework(name).number for name in NAMES]
    assert sorted(numbers) == list(range(1, len(NAMES) + 1))
    assert [homework(name).name for name in NAMES] == NAMES
