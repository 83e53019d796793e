"""`dlcourse homework` as instructors and students use it, from release to marks."""

import csv
import io
import json
import shutil
import subprocess
import sys
import zipfile

import pytest
from typer.testing import CliRunner

from dlcourse.cli import app
from dlcourse.grading.marking import folder, runs
from dlcourse.grading.marking.grade import NotGraded
from dlcourse.grading.marking.runs import Setting
from dlcourse.grading.sandbox.execution import SandboxUnavailable
from dlcourse.grading.sandbox.inside import landlock
from tests.library.grading.platform_samples import CANVAS_GRADEBOOK
from tests.library.grading.samples import (
    EMPTY,
    HOMEWORK,
    all_empty,
    from_cells,
    homework,
    notebook,
    submission,
)

ROOT = HOMEWORK.parent
UNTRUSTED = "--untrusted-marks"  # where a sandbox holds it is used all the same


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch):
    monkeypatch.chdir(ROOT)


def dlcourse(*arguments, code=0):
    result = CliRunner().invoke(app, ["homework", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result.output


def squeezed(text):
    return " ".join(text.replace("│", " ").split())


def handed_in(folder):
    wanted = homework()
    folder.mkdir()
    for name, data in {
        "anna.ipynb": submission(wanted),
        "anna (1).ipynb": submission(wanted),
        "ben.ipynb": submission(wanted, {"q1": "turned sign", "q4": "up the loss"}),
        "carl.ipynb": submission(wanted, all_empty(wanted)),
        "dora.ipynb": b"",
        "emil.ipynb": submission(homework("optimizers")),
        "fritz.pdf": b"%PDF",
        "=1+1.ipynb": submission(wanted, {"q2": "divided by n"}),
        "gina.ipynb": b"{" * 20_000_000,
        "hugo.ipynb": from_cells("import os\nos._exit(0)"),
    }.items():
        (folder / name).write_bytes(data)
    ben = json.loads((folder / "ben.ipynb").read_text())
    ben["cells"][-1]["source"] += "\nprint('by ' + 'ben himself')"
    (folder / "ben.ipynb").write_text(json.dumps(ben))
    (folder / "handed_in.csv").write_text("student,handed_in\nben,2026-10-01T12:00Z\nanna,never\n")
    return folder


def lists(folder):
    """The options with the instructor's own lists."""
    folder.mkdir()
    (folder / "times.csv").write_text(
        "student,handed_in\nanna,2026-10-01T12:00Z\nben,2026-10-03T12:00Z\nbne,2026-10-03T12:00Z\n"
    )
    (folder / "class.csv").write_text("student\nanna\nben\nida\n")
    return "--times", folder / "times.csv", "--roster", folder / "class.csv"


def marks(grades):
    with (grades / "grades.csv").open(newline="") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def test_a_homework_from_release_to_marks(tmp_path):
    released = tmp_path / "released"
    output = dlcourse("release", "hw1", "-o", released)
    student = released / "students" / "logistic_regression.ipynb"
    bundle = released / "private" / "logistic_regression.bundle.json"
    for path in (student, bundle):
        assert str(path) in squeezed(output).replace(" ", "")

    mine = tmp_path / "mine.ipynb"
    shutil.copy(student, mine)
    said = dlcourse("submit-check", mine, code=1)
    assert "Not ready: 0 of 5 questions pass their visible tests" in said
    mine.write_text(json.dumps(notebook(homework(), {"q4": "start left out"})))
    said = dlcourse("submit-check", mine, code=1)
    assert "Not ready: 4 of 5 questions pass their visible tests" in said
    assert "The start is missing" in said

    grades = tmp_path / "grades"
    arguments = ("grade", bundle, handed_in(tmp_path / "in"), "-o", grades, UNTRUSTED)
    arguments += lists(tmp_path / "lists")
    output = dlcourse(*arguments, "--deadline", "2026-10-02")
    assert " graded, 0 not graded, " in output
    assert " late, 1 with several hand-ins." in output
    assert "These marks are untrusted" in output
    assert "--times has times of what is no file and no student here: bne." in squeezed(output)
    assert "Refused: fritz.pdf: Its name does not end in .ipynb" in output
    rows = marks(grades)
    points = {file: (row["status"], row["points"], row["counts"]) for file, row in rows.items()}
    assert points == {
        "anna (1).ipynb": ("duplicate", "", "no"),
        "anna.ipynb": ("untrusted", "23", "yes"),
        "ben.ipynb": ("untrusted", "15", "yes"),
        "carl.ipynb": ("untrusted", "0", "yes"),
        "dora.ipynb": ("empty", "0", "yes"),
        "emil.ipynb": ("wrong homework", "0", "yes"),
        "fritz.pdf": ("wrong file name", "", "no"),
        "handed_in.csv": ("wrong file name", "", "no"),
        "": ("nothing handed in", "", "no"),
        "'=1+1.ipynb": ("untrusted", "18", "yes"),
        "gina.ipynb": ("too large", "0", "yes"),
        "hugo.ipynb": ("untrusted", "0", "yes"),
    }
    assert (rows["ben.ipynb"]["late"], rows["anna.ipynb"]["late"]) == ("yes", "no")
    assert rows[""]["student"] == "ida"
    assert "Not on the roster." in rows["carl.ipynb"]["message"]
    assert json.loads((grades / "results.json").read_text())["out_of"] == 23
    for table in ("canvas.csv", "moodle.csv"):
        assert "ben" in (grades / table).read_text()
    home = grades / "students" / "ben"
    page = (home / "report.html").read_text()
    assert "The sign is turned" in page
    assert "by ben himself" in page
    record = json.loads((home / "results.json").read_text())
    assert (record["score"], record["extra_data"]["status"]) == (15, "untrusted")
    assert "untrusted: Graded with --untrusted-marks" in page
    assert "turned sign" in (grades / "class.html").read_text()

    before = (grades / "grades.csv").read_bytes()
    dlcourse(*arguments, "--deadline", "2026-10-02")
    assert (grades / "grades.csv").read_bytes() == before


def test_an_export_is_graded_into_the_gradebook_that_it_came_with(tmp_path):
    wanted = homework()
    (tmp_path / "gradebook.csv").write_text(CANVAS_GRADEBOOK)
    with zipfile.ZipFile(tmp_path / "submissions.zip", "w") as archive:
        archive.writestr("onestudent_101_1_work.ipynb", submission(wanted))
        archive.writestr("onestudent_101_2_scratch.ipynb", from_cells("1", homework=""))
        archive.writestr("twostudent_LATE_102_3_work-1.ipynb", submission(wanted, {"q2": EMPTY}))
    arguments = ("grade", "hw1", tmp_path / "submissions.zip", "-o", tmp_path / "out")
    dlcourse(*arguments, "--roster", tmp_path / "gradebook.csv")
    rows = {file: row["student"] for file, row in marks(tmp_path / "out").items()}
    assert rows["onestudent_101_1_work.ipynb"] == "Student, One"
    written = list(csv.reader(io.StringIO((tmp_path / "out" / "canvas.csv").read_text())))
    assert [(line[0], line[7]) for line in written[3:]] == [
        ("Student, One", "23"),
        ("Student, Two", "18"),
        ("Student, Five", "11.00"),
        ("Student, Test", ""),
    ]


def graded(tmp_path, name, setting):
    """Marks by file, but for those that depend on when the test ran."""
    submissions = tmp_path / "in"
    if not submissions.exists():
        handed_in(submissions)
    folder.grade_folder(homework(), submissions, tmp_path / name, setting)
    return marks(tmp_path / name)


def test_processes_and_a_dask_cluster_give_the_same_marks(tmp_path):
    import dask
    from distributed import LocalCluster

    patient = {f"distributed.comm.timeouts.{what}": "600s" for what in ("connect", "tcp")}
    alone = graded(tmp_path, "alone", Setting(1, isolation="untrusted marks"))
    two = graded(tmp_path, "two", Setting(2, isolation="untrusted marks"))
    assert two == alone
    with (
        dask.config.set(patient),
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster,
    ):
        setting = Setting(1, cluster.scheduler_address, isolation="untrusted marks")
        assert graded(tmp_path, "dask", setting) == alone


def test_a_hand_in_that_the_machine_failed_at_is_said_and_has_no_zero(tmp_path, monkeypatch):
    real = runs.grade

    def fails_at_ben(homework, data, *more):
        if b"ben himself" in data:
            raise NotGraded("The sandbox failed twice: no fork")
        return real(homework, data, *more)

    monkeypatch.setattr(runs, "grade", fails_at_ben)
    grades = tmp_path / "grades"
    arguments = ("grade", "hw1", handed_in(tmp_path / "in"), "-o", grades, UNTRUSTED)
    output = dlcourse(*arguments, "--workers", 1, code=1)
    assert "4 graded, 1 not graded, 5 refused" in output
    assert "Not graded: ben.ipynb: The sandbox failed twice: no fork" in output
    row = marks(grades)["ben.ipynb"]
    assert (row["status"], row["points"], row["q1"], row["counts"]) == ("not graded", "", "", "yes")
    records = json.loads((grades / "results.json").read_text())["results"]
    by_file = {record["extra_data"]["file"]: record for record in records}
    assert (by_file["ben.ipynb"]["score"], by_file["ben.ipynb"]["tests"]) == (None, [])
    assert by_file["anna (1).ipynb"]["score"] is None  # a duplicate
    assert by_file["carl.ipynb"]["score"] == 0
    page = (grades / "students" / "ben" / "report.html").read_text()
    assert "o mark yet" in page
    assert "0 of 23" not in page
    monkeypatch.undo()
    monkeypatch.chdir(ROOT)
    assert "5 graded, 0 not graded" in dlcourse(*arguments, "--workers", 2)
    assert marks(grades)["ben.ipynb"]["points"] == "15"


def test_what_can_be_written_is_written_and_the_rest_is_said(tmp_path):
    """Folders that stand where a file should be, for root may write into any that is read-only."""
    submissions, grades = tmp_path / "in", tmp_path / "grades"
    submissions.mkdir()
    for name in ("anna", "ben"):
        (submissions / f"{name}.ipynb").write_bytes(submission(homework(), note=name))
    (grades / "students" / "anna" / "report.html").mkdir(parents=True)
    (grades / "students" / "ben" / ".report.html.999999999.partial").parent.mkdir()
    (grades / "students" / "ben" / ".report.html.999999999.partial").write_text("half")
    (grades / "results.sqlite").mkdir()
    output = dlcourse("grade", "hw1", submissions, "-o", grades, UNTRUSTED, "--workers", 1, code=1)
    assert "anna/report.html cannot be written (Is a directory)" in squeezed(output)
    assert "results.sqlite cannot be written" in squeezed(output)
    assert not [*grades.rglob("*.partial")]
    assert {row["points"] for row in marks(grades).values()} == {"23"}
    assert sorted(path.name for path in (grades / "students" / "ben").iterdir()) == [
        "report.html",
        "results.json",
    ]
    (tmp_path / "file").write_text("")
    output = dlcourse("grade", "hw1", submissions, "-o", tmp_path / "file" / "in", code=2)
    assert "cannot be written" in squeezed(output)
    assert "--output" in output


def test_landlock_is_said_in_the_terminal_and_in_the_class_report(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "anna.ipynb").write_bytes(submission(homework()))
    if landlock.version() < landlock.LEAST_VERSION:
        pytest.skip("a kernel without Landlock")
    output = dlcourse("grade", "hw1", tmp_path / "in", "-o", tmp_path / "o", "--workers", 1)
    assert "Sandbox: Landlock, for bubblewrap does not hold" in output
    assert (
        "Sandbox: Landlock, for bubblewrap does not hold" in (tmp_path / "o/class.html").read_text()
    )


def test_mistakes_at_the_command_are_one_line(tmp_path, monkeypatch):
    lines = {
        ("grade", "hw9", tmp_path): "There is no homework 'hw9'",
        ("grade", "hw1", tmp_path / "no"): "is not a folder",
        ("grade", "hw1", tmp_path, "--deadline", "soon"): "the deadline: expected a moment",
        ("grade", "hw1", tmp_path, "--name-pattern", "hw1"): "does not say where the student",
        ("grade", "hw1", tmp_path, "--roster", tmp_path / "no.csv"): "No such file",
        ("grade", "hw1", tmp_path, "-o", tmp_path): "choose another folder for the output",
        ("release", tmp_path / "no.ipynb"): "is not a master notebook",
        ("submit-check", tmp_path / "no.ipynb"): "go to the folder of your notebook first",
        ("submit-check", tmp_path): "is a folder. Name the notebook in it.",
    }
    for arguments, words in lines.items():
        output = dlcourse(*arguments, code=2)
        assert words in squeezed(output)
        assert "Traceback" not in output

    def refuse(*_):
        raise SandboxUnavailable("No sandbox holds on this machine. Install bubblewrap.")

    def without(name):
        def find(*_):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

        return find

    for name, extra in (("jinja2", "grading"), ("distributed", "dask")):
        monkeypatch.setattr("dlcourse.grading.finding.locate", without(name))
        assert f"pip install 'dlcourse[{extra}]'" in squeezed(dlcourse("grade", "hw1", ".", code=2))
    monkeypatch.undo()
    monkeypatch.chdir(ROOT)

    monkeypatch.setattr(runs, "_executor", refuse)
    monkeypatch.setattr(folder, "setting", lambda *_: Setting(1))
    (tmp_path / "anna.ipynb").write_bytes(submission(homework()))
    assert "Install bubblewrap" in dlcourse("grade", "hw1", tmp_path, "-o", tmp_path / "o", code=2)


def test_help_is_quick_and_says_what_each_command_does():
    script = (
        "import sys; from dlcourse.cli import app\n"
        "slow = {'numpy', 'scipy', 'jinja2', 'yaml', 'torch'} & {*sys.modules}\n"
        "sys.exit(' '.join(slow) or 0)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)
    words = squeezed(dlcourse("--help"))
    for said in ("Make the students' notebook", "before you hand in", "Grade a folder"):
        assert said in words
