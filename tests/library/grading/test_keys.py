"""A mark stays as long as all that it depends on stays, and not a moment longer."""

import csv
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

from dlcourse.grading.homework import Homework
from dlcourse.grading.marking import dependencies
from dlcourse.grading.marking.dependencies import Package, imports
from dlcourse.grading.marking.keys import GRADER, Conditions, Keys
from dlcourse.grading.sandbox.limits import Limits
from tests.library.grading.samples import HOMEWORK, homework, submission

PLACE = Conditions("bubblewrap", ("python 3.13.0", "numpy 2.0.0"), "p")
SETTING = ("strict", Limits(), b"secret")


def key(wanted=None, setting=SETTING, place=PLACE, digest="d", data=b"import numpy"):
    return Keys(wanted or homework(), *setting).of(digest, data, place)


def with_test(wanted, id, **changes):
    questions = tuple(
        replace(q, tests=(replace(q.tests[0], **changes), *q.tests[1:])) if q.id == id else q
        for q in wanted.questions
    )
    return replace(wanted, questions=questions)


OTHER = {
    "isolation": {"setting": ("untrusted marks", *SETTING[1:])},
    "limits": {"setting": ("strict", Limits(call_cpu_seconds=9.0), b"secret")},
    "secret": {"setting": (*SETTING[:2], b"other")},
    "sandbox": {"place": replace(PLACE, sandbox="landlock")},
    "version": {"place": replace(PLACE, versions=("python 3.13.1", "numpy 2.0.0"))},
    "submission": {"digest": "e"},
    "withheld modules": {"wanted": replace(homework(), flagged=("dlcourse.nn",))},
    "torch": {"wanted": replace(homework(), needs_torch=True)},
    "oracle": {"wanted": replace(homework(), oracle=homework().oracle + "\nx = 1")},
    "setup": {"wanted": replace(homework(), setup=homework().setup + "\nx = 1")},
    "what the notebook imports": {"data": b"from dlcourse import datasets"},
    "another package that it imports": {"data": b"import numpy, scipy"},
}


@pytest.mark.parametrize("change", OTHER.values(), ids=OTHER)
def test_whatever_a_mark_depends_on_changes_all_its_keys(change):
    before, after = key(), key(**change)
    assert before == key()
    assert before.result != after.result
    for id in before.questions:
        assert before.questions[id] != after.questions[id]


def test_a_changed_test_changes_the_key_of_its_question_alone():
    before, after = key(), key(with_test(homework(), "q3", hint="Another hint."))
    assert before.result != after.result
    assert before.run == after.run
    assert {q for q in before.questions if before.questions[q] != after.questions[q]} == {"q3"}


def test_words_of_the_homework_change_no_question():
    before, after = key(), key(replace(homework(), title="Another title"))
    assert before.questions == after.questions
    assert before.result != after.result


@pytest.fixture
def package(tmp_path):
    """A package of a few rooms, one of them with data."""
    files = {
        "__init__.py": "",
        "alone.py": "import json",
        "chain/__init__.py": "from dlcourse.chain.first import f",
        "chain/first.py": "def f():\n    from dlcourse.chain import second\n",
        "chain/second.py": "import scipy.special as s\nfrom ..lazy import tool",
        "lazy/__init__.py": "",
        "lazy/tool.py": "import dlcourse as d\nd.reached.f()",
        "reached.py": 'start("dlcourse.named.program")',
        "named/__init__.py": "",
        "named/program.py": "",
        "named/data/table.csv": "1,2",
        "named/page.html": "<p>",
    }
    folder = tmp_path / "dlcourse"
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def closure_of(package, source):
    modules, foreign = Package(package).closure(imports(source))
    return modules, foreign


def test_imports_are_followed_to_their_end(package):
    modules, foreign = closure_of(package, "from dlcourse.chain import f")
    everything = set(Package(package).files)
    assert modules == everything - {"dlcourse.alone"}
    assert foreign == {"scipy"}


@pytest.mark.parametrize(
    ("source", "reached"),
    [
        ("import dlcourse.alone", {"alone"}),
        ("import dlcourse.alone as a, numpy", {"alone"}),
        ("from dlcourse import alone as a", {"alone"}),
        ("from dlcourse.alone import *", {"alone"}),
        ("def f():\n    import dlcourse\n    return dlcourse.alone.x.y", {"alone"}),
        ("import dlcourse as d\nd.alone", {"alone"}),
        ("importlib.import_module('dlcourse.alone')", {"alone"}),
        ("import dlcourse", set()),
        ("import json.decoder", set()),
    ],
)
def test_an_import_in_any_spelling_is_found(package, source, reached):
    modules, _ = closure_of(package, source)
    assert modules - {"dlcourse"} == {f"dlcourse.{name}" for name in reached}


@pytest.mark.parametrize(
    ("changed", "matters"),
    [("second.py", True), ("program.py", True), ("table.csv", True), ("page.html", False)],
)
def test_a_change_anywhere_in_the_closure_changes_its_digest(package, changed, matters):
    def digest():
        fresh = Package(package)
        return fresh.digest(fresh.closure(["dlcourse.chain"])[0])

    before = digest()
    (path,) = package.rglob(changed)
    path.write_text(path.read_text() + "\n")
    assert (digest() != before) == matters
    (package / "alone.py").write_text("x = 1")
    assert (digest() != before) == matters


def test_a_notebook_that_names_a_module_in_any_spelling_depends_on_it():
    names = dependencies.package()
    for text in (
        b'{"source": ["from dlcourse.datasets import x\\n"]}',
        b"from dlcourse import (\\n    datasets as d)",
        b"importlib.import_module('dlcourse' + '.' + 'datasets')",
        b"__import__('dlcourse').datasets",
    ):
        assert "dlcourse.datasets" in names.named_in(dependencies.words(text))
    assert "dlcourse.datasets" not in names.named_in(dependencies.words(b"import dlcourse"))


def test_the_graders_own_closure_holds_what_decides_and_no_report():
    modules, foreign = dependencies.package().closure(GRADER)
    rooms = {module.removeprefix("dlcourse.grading.") for module in modules}
    decide = {"expectations", "marking.grade", "marking.submission", "recording"}
    inside = {"sandbox.inside.cells", "sandbox.inside.magics", "sandbox.inside.seccomp"}
    assert decide | inside <= rooms
    assert not {"marking.report", "marking.exports", "marking.summary"} & rooms
    assert "numpy" in foreign


def test_every_module_that_a_masters_tests_import_is_in_the_key():
    """Against what Python itself loads when it runs them."""
    script = (
        "import sys\n"
        "from dlcourse.grading.recording import TESTS_USE, namespace_of\n"
        "before = {*sys.modules}\n"
        "namespace_of(TESTS_USE, *sys.argv[1:])\n"
        "print(*({*sys.modules} - before))"
    )
    for name in ("logistic_regression", "optimizers"):
        wanted = homework(name)
        command = [sys.executable, "-c", script, wanted.setup, wanted.oracle]
        ran = subprocess.run(
            command, check=True, capture_output=True, text=True, cwd=HOMEWORK.parent
        )
        loaded = {module for module in ran.stdout.split() if module.startswith("dlcourse")}
        sources = imports(wanted.setup) | imports(wanted.oracle)
        assert len(loaded) > 10
        assert loaded <= dependencies.package().closure(sources)[0]


# ------------------------------------------------------------------- from one run to the next


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A copy of the package that may be changed, a homework and a hand-in."""
    folder = tmp_path_factory.mktemp("course")
    shutil.copytree(
        HOMEWORK.parent / "dlcourse", folder / "dlcourse", ignore=shutil.ignore_patterns("*.pyc")
    )
    master = "homework/logistic_regression/master.ipynb"
    (folder / master).parent.mkdir(parents=True)
    shutil.copy(HOMEWORK.parent / master, folder / master)
    (folder / "in").mkdir()
    (folder / "in" / "anna.ipynb").write_bytes(submission(homework()))
    return folder


def graded(course, *options):
    """The row of the one hand-in after a run."""
    program = "from dlcourse.cli import app; app()"
    command = [sys.executable, "-c", program, "homework", "grade", "hw1", "in", *options]
    environment = {**os.environ, "PYTHONPATH": str(course)}
    ran = subprocess.run(command, cwd=course, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    with (course / "grades" / "grades.csv").open() as file:
        (row,) = csv.DictReader(file)
    return row, ran.stdout


def test_a_strict_run_keeps_no_untrusted_mark_and_a_mended_oracle_no_old_one(course):
    losses = course / "dlcourse" / "losses.py"
    right = losses.read_text()
    assert right.count("sigmoid(") > 0
    losses.write_text(
        right + "\n\n_value = LogisticLoss.__call__\n"
        "LogisticLoss.__call__ = lambda *a: tuple(2 * x for x in _value(*a))\n"
    )
    row, said = graded(course, "--untrusted-marks")
    wrong = row["points"]
    assert row["status"] == "untrusted"
    assert "could be forged" in said
    row, said = graded(course)
    assert (row["status"], row["points"]) == ("ok", wrong)
    assert int(wrong) < 23
    losses.write_text(right)
    row, _ = graded(course)
    assert (row["status"], row["points"]) == ("ok", "23")
    row, said = graded(course, "--untrusted-marks")
    assert row["status"] == "untrusted"


def test_a_bundle_says_which_modules_are_withheld():
    wanted = replace(homework(), flagged=("dlcourse.losses",))
    again = Homework.from_bytes(wanted.to_bytes())
    assert again == wanted
    assert again.question_digest("q1") != homework().question_digest("q1")
