"""The same homework in the forms of otter-grader and nbgrader, for `benchmarks/grading.py`."""

import copy
import json
import os
import subprocess
import sys

from pairs import ROOT

HOME = ROOT / "_build" / "bench-graders"
OTTER = """\
OK_FORMAT = False
from types import SimpleNamespace

from otter.test_files import test_case

{shared}

name = {id!r}
points = {points!r}
"""
OTTER_CASE = """

{source}


@test_case(points={points!r}, hidden={hidden!r})
def case_{name}(env):
    {name}(SimpleNamespace(**env){rng})
"""
SHARED = """\
import numpy as np
from dlcourse.grading.expectations import expect
{setup}
{oracle}"""


def otter(homework, submissions, folder, seconds):
    """CPU and wall seconds of `otter run` for each of `submissions`."""
    binaries = _environment()
    (folder / "tests").mkdir(parents=True)
    shared = SHARED.format(setup=homework.setup, oracle=homework.oracle)
    for question in homework.questions:
        text = OTTER.format(shared=shared, id=question.id, points=question.points)
        text += "".join(_otter_case(test) for test in question.tests)
        (folder / "tests" / f"{question.id}.py").write_text(text)
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PATH": f"{binaries}:{os.environ['PATH']}",
    }
    seconds(
        [binaries / "otter", "generate", "-t", "tests", "-o", "a.zip"], cwd=folder, env=environment
    )
    spent = []
    for name, data in submissions:
        (folder / f"{name}.ipynb").write_bytes(data)
        command = [binaries / "otter", "run", "-a", "a.zip", "-o", name, f"{name}.ipynb"]
        (folder / name).mkdir()
        spent.append(seconds(command, cwd=folder, env=environment))
        _expect_points(json.loads((folder / name / "results.json").read_text()), homework)
    return tuple(sum(column) / len(spent) for column in zip(*spent, strict=True))


def nbgrader(homework, submissions, folder, seconds):
    """CPU and wall seconds of `nbgrader autograde` for each of `submissions`, all in one run."""
    binaries = _environment()
    source = folder / "source" / homework.name
    source.mkdir(parents=True)
    (folder / "nbgrader_config.py").write_text(
        "c = get_config()\nc.CourseDirectory.course_id = 'c'\n"
    )
    template = json.loads(submissions[0][1])
    for cell in template["cells"]:
        _mark(cell, homework)
    (source / "hw.ipynb").write_text(json.dumps(template))
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PATH": f"{binaries}:{os.environ['PATH']}",
    }
    run = {"cwd": folder, "env": environment}
    seconds([binaries / "nbgrader", "generate_assignment", homework.name, "--force"], **run)
    released = json.loads((folder / "release" / homework.name / "hw.ipynb").read_text())
    for name, data in submissions:
        answers = {cell["id"]: cell["source"] for cell in json.loads(data)["cells"]}
        handed_in = copy.deepcopy(released)
        for cell in handed_in["cells"]:
            if cell["id"].startswith("answer-"):
                cell["source"] = answers[cell["id"]]
        home = folder / "submitted" / name / homework.name
        home.mkdir(parents=True)
        (home / "hw.ipynb").write_text(json.dumps(handed_in))
    cpu, wall = seconds([binaries / "nbgrader", "autograde", homework.name], **run)
    done = list((folder / "autograded").glob("*/*/hw.ipynb"))
    n_clean = sum(not _failed_tests(json.loads(path.read_text())) for path in done)
    if len(done) != len(submissions) or not 0 < n_clean < len(done):
        raise RuntimeError(f"nbgrader graded {len(done)}, {n_clean} of them with full marks.")
    return cpu / len(done), wall / len(done)


PEERS = {"otter": otter, "nbgrader": nbgrader}


def _environment():
    """Folder of the commands of an environment that holds both peers."""
    uv = [sys.executable, "-m", "uv"]
    if not (HOME / "bin" / "python").exists():
        subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, HOME], check=True)
    needs = ["otter-grader", "nbgrader", "numpy", "scipy", "jaxtyping"]
    command = [*uv, "pip", "install", "--quiet", "--python", HOME / "bin" / "python", *needs]
    subprocess.run(command, check=True)
    return HOME / "bin"


def _otter_case(test):
    rng = ", np.random.default_rng(0)" if "rng" in test.source.partition(":")[0] else ""
    return OTTER_CASE.format(
        source=test.source, points=test.points, hidden=test.is_hidden, name=test.name, rng=rng
    )


def _expect_points(results, homework):
    """The peer must really grade: a run in which nothing was tested costs little."""
    possible = sum(test.get("max_score", 0) for test in results["tests"])
    if not possible >= homework.points or not any(t.get("score", 0) for t in results["tests"]):
        raise RuntimeError(f"otter graded {possible} points of {homework.points}.")


def _failed_tests(notebook):
    """Test cells of an autograded notebook that ended with an error."""
    graded = (cell for cell in notebook["cells"] if cell["id"].startswith("check-"))
    return [
        cell["id"]
        for cell in graded
        if any(output["output_type"] == "error" for output in cell["outputs"])
    ]


def _mark(cell, homework):
    """Give a cell of the released notebook the metadata that nbgrader goes by."""
    kind, _, id = cell["id"].partition("-")
    if kind not in ("answer", "check") or cell["cell_type"] != "code":
        return
    question = homework.question(id)
    about = {"schema_version": 3, "grade_id": cell["id"], "task": False}
    if kind == "answer":
        about |= {"grade": False, "locked": False, "solution": True}
        cell["source"] = question.starter.replace("# YOUR CODE HERE", "### BEGIN SOLUTION") + (
            "\n    ### END SOLUTION"
        )
    else:
        about |= {"grade": True, "locked": True, "solution": False, "points": question.points}
        cell["source"] = _asserts(homework, question)
    cell["metadata"]["nbgrader"] = about


def _asserts(homework, question):
    shared = SHARED.format(setup=homework.setup, oracle=homework.oracle)
    lines = ["from types import SimpleNamespace", shared]
    for test in question.tests:
        rng = ", np.random.default_rng(0)" if "rng" in test.source.partition(":")[0] else ""
        lines += [test.source, f"{test.name}(SimpleNamespace(**globals()){rng})"]
    return "\n\n".join(["### BEGIN HIDDEN TESTS", *lines, "### END HIDDEN TESTS"])
