"""`submit-check`: the cell and the line of what goes wrong, one sentence each, and an end."""

import io
import json
import re
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from dlcourse.cli import app
from dlcourse.grading.marking import rehearsal
from dlcourse.grading.marking.progress import Progress
from dlcourse.grading.sandbox import unprotected
from dlcourse.grading.sandbox.execution import Executor, Limits, SandboxUnavailable
from tests import ROOT
from tests.library.grading.samples import NAMES, all_empty, from_cells, homework, notebook
from tests.library.grading.test_check import opened

# The line of a limit is asked for once a second, so each is longer than that.
QUICK = replace(Limits(), notebook_cpu_seconds=3.0, call_cpu_seconds=3.0, notebook_wall_seconds=9.0)
WHERE = ("in the sandbox", "without a sandbox")


@pytest.fixture(params=WHERE)
def where(request, monkeypatch):
    """The best sandbox that this machine has, and then none."""
    if request.param == WHERE[1]:
        without_sandbox(monkeypatch)
    return request.param


def without_sandbox(monkeypatch):
    def refuse(self):
        raise SandboxUnavailable("none here")

    monkeypatch.setattr(Executor, "__enter__", refuse)


def checked(tmp_path, cells, name="mine.ipynb"):
    (tmp_path / name).write_text(json.dumps(cells))
    return rehearsal.rehearse(tmp_path / name)


def with_cell(source):
    """The finished notebook with one code cell more, number 14."""
    cells = notebook(homework())
    cells["cells"].append({"cell_type": "code", "metadata": {}, "id": "more", "source": source})
    return cells


def with_answer(question, source, before=""):
    cells = notebook(homework())
    for cell in cells["cells"]:
        if cell["id"] == f"answer-{question}":
            cell["source"] = source
        if before and cell["id"] == "setup":
            cell["source"] += before
    return cells


def submit_check(path, code):
    result = CliRunner().invoke(app, ["homework", "submit-check", str(path)])
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


# ------------------------------------------------------------------------------ ready or not


@pytest.mark.parametrize("name", NAMES)
def test_a_finished_notebook_is_ready(tmp_path, name):
    (tmp_path / "mine.ipynb").write_text(json.dumps(notebook(homework(name))))
    said = submit_check(tmp_path / "mine.ipynb", code=0)
    points = sum(t.points for q in homework(name).questions for t in q.tests if not t.is_hidden)
    assert "Ready to hand in: 5 of 5 questions pass their visible tests" in said
    assert f"{points:g} of {points:g} points" in said
    assert "Problem" not in said


@pytest.mark.parametrize("name", NAMES)
def test_a_finished_notebook_is_ready_without_a_sandbox_which_is_said_once(
    tmp_path, name, monkeypatch
):
    without_sandbox(monkeypatch)
    found = checked(tmp_path, notebook(homework(name)))
    assert found.is_ready
    assert found.remarks == [rehearsal.WITHOUT_WALLS]


def test_an_untouched_notebook_is_not_called_ready(tmp_path):
    (tmp_path / "mine.ipynb").write_text(json.dumps(notebook(homework(), all_empty(homework()))))
    said = submit_check(tmp_path / "mine.ipynb", code=1)
    assert "Not ready: 0 of 5 questions pass their visible tests, 0 of 10 points." in said
    assert "q1: not answered yet." in said
    assert "Ready" not in said


def test_the_words_are_those_of_check(tmp_path):
    """Known mistakes get their hints here too, from what came back through the sandbox."""
    wrong = {q.id: q.mistakes[0].name for q in homework().questions}
    found = checked(tmp_path, notebook(homework(), wrong))
    said = {question.question: repr(question) for question in found.questions}
    for question in homework().questions:
        check = opened("logistic_regression", question.mistakes[0].source)
        assert said[question.id] == repr(check(question.id))
        assert question.mistakes[0].hint in said[question.id]


def test_a_function_that_only_hidden_tests_call_is_missed(tmp_path):
    cells = notebook(homework())
    for cell in cells["cells"]:
        if cell["id"] == "checks":
            cell["source"] = cell["source"].replace("'gradient(X", "'never_called(X', 'gradient(X")
    found = checked(tmp_path, cells)
    assert found.n_passed == 5
    assert not found.is_ready
    assert found.problems == ["q2: `never_called` is not defined when the notebook has run."]


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("mine.ipynb", b"{", "not JSON"),
        ("mine.ipynb", b"[" + b" " * 11_000_000, "more than 10 MB"),
        ("mine.py", from_cells("x = 1"), "must be called something.ipynb"),
        ("mine.ipynb", b'{"cells": [{"cell_type": "code", "source": "1"}]}', "which homework"),
        ("mine.ipynb", from_cells("x = 1"), "The cell that loads the checks is missing"),
        ("mine.ipynb", from_cells("Checks(globals(), tests=open('x'))"), "checks is missing"),
        ("mine.ipynb", from_cells("Checks(globals(), tests='1')"), "checks is damaged"),
    ],
)
def test_files_that_are_no_homework_are_refused(tmp_path, name, data, words):
    (tmp_path / name).write_bytes(data)
    said = submit_check(tmp_path / name, code=1)
    assert words in said
    assert "Not ready: nothing could be graded." in said


def test_the_ending_may_be_in_capitals(tmp_path):
    assert checked(tmp_path, notebook(homework()), "MINE.IPYNB").is_ready


# ---------------------------------------------------------------------------- cell and line

GRADIENT = "def gradient(X, y, beta):\n"
LINES = {  # a notebook, and what is said of its cell or of question q2
    "exception": (with_answer("q1", "x = 1\n1 / 0"), "4 ends with ZeroDivision", (4, 2, "1 / 0")),
    "timed cell": (with_answer("q1", "%%time\nx = 1\n1 / 0"), "ZeroDivision", (4, 3, "1 / 0")),
    "syntax": (with_answer("q1", "x = 1\ndef f(:"), "4 ends with SyntaxError", (4, 2, "def f(:")),
    "helper": (
        with_answer("q1", "helper()", before="\n\ndef helper():\n    return [][1]"),
        "4 ends with IndexError",
        (3, 10, "return [][1]"),
    ),
    "program": (
        with_answer("q1", "import subprocess\nsubprocess.run(['ls'])"),
        "4 ends with ",
        (4, 2, "subprocess.run(['ls'])"),
    ),
    "network": (
        with_answer("q1", "import socket\n\nsocket.create_connection(('127.0.0.1', 9))"),
        "4 ends with ",
        (4, 3, "socket.create_connection(('127.0.0.1', 9))"),
    ),
    "file": (
        with_answer("q1", "rows = open('data.csv')"),
        "4 ends with FileNotFoundError",
        (4, 1, "rows = open('data.csv')"),
    ),
    "memory": (
        with_answer("q1", "x = 1\nbig = np.ones(10**9)"),
        "MemoryError",
        (4, 2, "big = np.ones(10**9)"),
    ),
    "question": (with_answer("q1", "name = input()"), "EOFError", (4, 1, "name = input()")),
    "withheld": (
        with_answer("q1", "# mine\nfrom dlcourse.losses import LogisticLoss"),
        "4 ends with ModuleNotFoundError",
        (4, 2, "from dlcourse.losses import LogisticLoss"),
    ),
    "endless cell": (
        with_answer("q1", "n = 0\nwhile True:\n    n = n + 1"),
        "4 was stopped. The notebook took more than 3 seconds of computing",
        (4, (2, 3), ""),
    ),
    "sleeping cell": (
        with_answer("q1", "import time\ntime.sleep(10_000)"),
        "4 was stopped. The notebook took more than 9 seconds of waiting",
        (4, 2, "time.sleep(10_000)"),
    ),
    "end of the process": (
        with_answer("q1", "import os\nos._exit(3)"),
        "4 ends the notebook. The process ended itself with status 3",
        (4, 2, "os._exit(3)"),
    ),
    "exception in a call": (
        with_answer("q2", f"{GRADIENT}    n = len(X)\n    return X @ beta / X[n]"),
        "your code raised IndexError",
        (6, 3, "return X @ beta / X[n]"),
    ),
    "refusal in a call": (
        with_answer("q2", f"{GRADIENT}    import os\n    return os.fork()"),
        "your code raised PermissionError",
        (6, 3, "return os.fork()"),
    ),
    "endless call": (
        with_answer("q2", f"{GRADIENT}    while True:\n        n = 1"),
        "`gradient` took more than 3 seconds of computing",
        (6, (2, 3), ""),
    ),
}


@pytest.mark.parametrize(("cells", "words", "place"), LINES.values(), ids=LINES)
def test_the_cell_and_the_line_are_named(tmp_path, monkeypatch, where, cells, words, place):
    monkeypatch.setattr(rehearsal, "Limits", lambda: QUICK)
    found = checked(tmp_path, cells)
    said = "\n".join([*found.problems, *map(repr, found.questions)])
    cell, line, text = place
    lines = "|".join(map(str, line)) if isinstance(line, tuple) else line
    assert words in said
    assert re.search(rf"code cell {cell}, line ({lines}):  {re.escape(text)}", said)
    assert not found.is_ready


def test_other_arguments_than_the_questions_are_said(tmp_path):
    found = checked(tmp_path, with_answer("q2", "def gradient(X, y):\n    return X"))
    said = repr(found.questions[1])
    assert "takes 2 positional arguments but 3 were given" in said
    assert "The question asks for `gradient(X, y, beta)`" in said


def test_cells_that_fail_alike_share_one_sentence(tmp_path):
    cells = notebook(homework())
    for cell in cells["cells"]:
        if cell["id"] == "checks":
            cell["source"] = "import nothing_of_this_name\n" + cell["source"]
    cells["cells"] = [cell for cell in cells["cells"] if cell["id"] != "answer-q1"]
    found = checked(tmp_path, cells)
    about = [problem for problem in found.problems if "'check' is not defined" in problem]
    assert len(about) == 1
    assert about[0].startswith("Code cells 4, 6, 8, 10, 12, each ends with NameError")
    assert len([p for p in found.problems if "nothing_of_this_name" in p]) == 1
    assert len(found.problems) == 2


def test_a_cell_that_fails_and_costs_nothing_is_a_remark(tmp_path):
    found = checked(tmp_path, with_cell("x = 1\n1 / 0"))
    assert found.is_ready
    (remark,) = found.remarks
    assert remark.startswith("Code cell 14 ends with ZeroDivisionError: division by zero")
    assert "line 2:  1 / 0" in remark


def test_what_a_grader_leaves_out_is_remarked_on(tmp_path):
    cells = with_cell("import requests\n!ls\n%matplotlib inline\n%pip install seaborn")
    for cell in cells["cells"]:
        if cell["id"] == "checks":
            cell["source"] += "\n\nmine = 1"
            added = cell["source"].count("\n") + 1
    found = checked(tmp_path, cells)
    assert found.is_ready
    said = " ".join(found.remarks)
    assert f"Put what you added in line {added} into a cell of its own" in said
    assert "Code cell 14 uses requests: a grader has no network" in said
    assert "Code cell 14, line 2: a grader skips `!ls`" in said
    assert "Code cell 14, line 4: a grader skips `%pip install seaborn`" in said
    assert "matplotlib" not in said


def test_packages_that_a_grader_may_not_have_are_remarked_on(tmp_path):
    cell = with_cell("import pytest, numpy, scipy.stats, json, matplotlib.pyplot")
    found = checked(tmp_path, cell)
    about = [remark for remark in found.remarks if "Code cell 14 imports" in remark]
    assert len(about) == 1
    assert "pytest" in about[0]


# ---------------------------------------------------------------------- progress, and the end


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
def test_what_goes_on_is_shown_until_it_ends(kind, monkeypatch):
    monkeypatch.setattr("dlcourse.grading.marking.progress.IN_TERMINAL_SECONDS", 0.01)
    monkeypatch.setattr("dlcourse.grading.marking.progress.ELSEWHERE_SECONDS", 0.01)
    stream = kind()
    with Progress(stream) as tell:
        for now in ("code cell 1 of 2", "code cell 2 of 2"):
            tell(now)
            while f"{now}, " not in stream.getvalue():
                time.sleep(0.01)
    shown = stream.getvalue()
    assert shown.endswith("\r" if kind is Terminal else "s\n")
    assert ("\n" in shown) == (kind is io.StringIO)


def test_every_cell_and_every_second_is_told(tmp_path, monkeypatch, where):
    monkeypatch.setattr(rehearsal, "Limits", lambda: QUICK)
    heard = []
    (tmp_path / "mine.ipynb").write_text(json.dumps(with_cell("while True:\n    pass")))
    rehearsal.rehearse(tmp_path / "mine.ipynb", heard.append)
    assert heard[0] == "starting the sandbox"
    assert {f"code cell {number} of 14" for number in range(1, 15)} <= {*heard}
    assert re.search(r"code cell 14 of 14, at line [12] of cell 14", "\n".join(heard))
    assert "the visible tests" in heard


def test_a_notebook_that_lives_on_wakes_is_ended(tmp_path, monkeypatch, where):
    """Handlers that swallow everything, and a signal that the notebook has taken for itself."""
    monkeypatch.setattr(rehearsal, "Limits", lambda: QUICK)
    stubborn = (
        "import signal, time\nsignal.signal(signal.SIGURG, signal.SIG_IGN)\nwhile True:\n"
        "    try: time.sleep(0.001); sum(range(1000))\n    except BaseException: pass"
    )
    found = checked(tmp_path, with_cell(stubborn))
    assert any("Code cell 14 was stopped" in remark for remark in found.remarks)
    assert found.is_ready


# -------------------------------------------------------------------------- without a sandbox


def test_own_files_are_out_of_reach_without_a_sandbox_too(tmp_path, monkeypatch):
    without_sandbox(monkeypatch)
    (tmp_path / "data.csv").write_text("1")
    found = checked(tmp_path, with_answer("q1", f"open({str(tmp_path / 'data.csv')!r})"))
    assert any("Code cell 4 ends with FileNotFoundError" in problem for problem in found.problems)


def test_nothing_is_left_behind_without_a_sandbox(tmp_path, monkeypatch):
    without_sandbox(monkeypatch)
    started = []

    class Kept(unprotected.Process):
        def __init__(self, settings):
            super().__init__(settings)
            started.append(self)

    monkeypatch.setattr(unprotected, "Process", Kept)
    wild = "import os\nopen('left', 'w').write('1')\nos._exit(0)"
    checked(tmp_path, with_cell(wild))
    assert len(started) > 1
    assert all(process.popen.poll() is not None for process in started)
    assert not any(process.folder.exists() for process in started)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.ipynb"]


UNIX_ONLY = """
import os, signal, select, sys
for name in ("resource", "fcntl", "pwd", "grp", "termios"):
    sys.modules[name] = None
for room, names in (
    (os, "fork getuid setresuid WIFSIGNALED WTERMSIG pidfd_open sched_getaffinity sysconf"),
    (signal, "SIGALRM SIGURG setitimer pidfd_send_signal siginterrupt"),
    (select, "poll epoll"),
):
    for name in names.split():
        if hasattr(room, name):
            delattr(room, name)
sys.platform = "win32"
"""


def test_it_runs_where_there_is_nothing_of_unix(tmp_path):
    """As on Windows, as far as that can be played here: modules, calls and signals are gone."""
    (tmp_path / "mine.ipynb").write_text(json.dumps(with_answer("q1", "x = 1\n1 / 0")))
    script = (
        f"import subprocess, tempfile, numpy\n{UNIX_ONLY}\n"
        "from dlcourse.grading.marking.rehearsal import rehearse\n"
        f"found = rehearse({str(tmp_path / 'mine.ipynb')!r})\n"
        "print(found.n_passed, found.problems, found.remarks)"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("4 ['Code cell 4 ends with ZeroDivisionError")
    assert "has no sandbox" in run.stdout
