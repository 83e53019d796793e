"""What students get: a notebook that stands alone, with nothing private in it."""

import hashlib
import json
import re
import subprocess
import sys
from dataclasses import replace

import nbformat
import pytest
from nbclient import NotebookClient

from dlcourse.grading import release
from dlcourse.grading.homework import Piece
from tests.library.grading.samples import HOMEWORK, NAMES, all_empty, homework, notebook

EVERY = pytest.mark.parametrize("name", NAMES)
SAYS_NOTHING = re.compile(r"\W*(return|else|try|pass|import)?\W*")


def executed(cells, only=()):
    """Outputs of the notebook's check cells, by question; errors anywhere fail the test."""
    cells = json.loads(release.to_bytes(cells))
    if only:
        cells["cells"] = [cell for cell in cells["cells"] if cell["id"] in only]
    ran = NotebookClient(nbformat.from_dict(cells), timeout=None).execute()
    return {
        cell.id.partition("-")[2]: cell.outputs[0]["data"]["text/plain"]
        for cell in ran.cells
        if cell.id.startswith("check-")
    }


def lines(text):
    """Lines that say something, without spaces."""
    squeezed = (re.sub(r"\s", "", line) for line in text.splitlines())
    return {line for line in squeezed if len(line) >= 12 and not SAYS_NOTHING.fullmatch(line)}


def private(name):
    """What must not leave the grader, taken from the master itself and not from the record."""
    found = set()
    for cell in json.loads((HOMEWORK / name / "master.ipynb").read_text())["cells"]:
        source, tags = "".join(cell["source"]), set(cell["metadata"].get("tags", ()))
        if "oracle" in tags:
            found |= lines(source)
        for region in re.findall(r"### BEGIN [\w ]+\n(.*?)### END", source, re.DOTALL):
            found |= lines(region)
    return found


@EVERY
def test_no_line_of_a_solution_or_hidden_test_is_left(name):
    secrets = private(name)
    assert len(secrets) > 50
    data = release.to_bytes(release.student_notebook(homework(name)))
    squeezed = re.sub(r"\s", "", "".join(c["source"] for c in json.loads(data)["cells"]))
    raw = re.sub(r"\s", "", data.decode())
    assert not [line for line in secrets if line in squeezed or line in raw]


@EVERY
def test_no_hash_of_a_private_line_is_that_of_a_released_one(name):
    def hashes(texts):
        return {hashlib.sha256(text.encode()).hexdigest() for text in texts}

    cells = release.student_notebook(homework(name))
    values = [cell["source"] for cell in cells["cells"]] + [json.dumps(cells, indent=0)]
    released = hashes(line for text in values for line in lines(text.replace("\\n", "\n")))
    assert not hashes(private(name)) & released
    assert hashes(private(name)) & hashes(
        lines("\n".join(q.solution for q in homework(name).questions))
    )


@EVERY
@pytest.mark.parametrize("kind", ["solution", "hidden test", "mutant", "oracle"])
def test_a_planted_leak_is_refused(tmp_path, name, kind):
    clean, question = homework(name), homework(name).questions[-1]
    leaked = {
        "solution": question.solution.splitlines()[-2],
        "hidden test": question.tests[-1].source.splitlines()[-1],
        "mutant": question.mistakes[0].source,
        "oracle": clean.oracle.splitlines()[-1],
    }[kind]
    for text in (leaked, f"Look: `{leaked.strip()}`."):
        spoiled = replace(clean, pieces=(*clean.pieces, Piece("markdown", text)))
        with pytest.raises(release.Leak, match="would be left"):
            release.release(spoiled, tmp_path)
    assert not list(tmp_path.iterdir())


@EVERY
def test_the_two_files_are_written_and_always_the_same(tmp_path, name):
    script = (
        "import sys\n"
        "from dlcourse.grading import master, release\n"
        "release.release(master.read(sys.argv[1]), sys.argv[2])"
    )
    for seed in ("1", "2"):
        command = [sys.executable, "-c", script, HOMEWORK / name / "master.ipynb", tmp_path / seed]
        subprocess.run(command, check=True, env={"PYTHONHASHSEED": seed, "PATH": ""})
    files = sorted(path.name for path in (tmp_path / "1").iterdir())
    assert files == [f"{name}.bundle.json", f"{name}.ipynb"]
    for file in files:
        assert (tmp_path / "1" / file).read_bytes() == (tmp_path / "2" / file).read_bytes()


@EVERY
def test_the_notebook_is_valid_stands_alone_and_shows_nothing_yet(name):
    cells = nbformat.from_dict(release.student_notebook(homework(name)))
    nbformat.validate(cells)
    assert "%pip install --quiet" in cells.cells[0].source
    assert not any(cell.outputs for cell in cells.cells if cell.cell_type == "code")


def test_the_installing_cell_is_that_of_the_chapters():
    chapter = nbformat.read(HOMEWORK.parent / "book" / "logistic_regression.ipynb", as_version=4)
    assert release.INSTALL.format(package="dlcourse[torch]") == chapter.cells[1].source
    needs_torch = replace(homework(), needs_torch=True)
    (first, *_) = release.student_notebook(needs_torch)["cells"]
    assert first["source"] == chapter.cells[1].source


@EVERY
def test_unanswered_questions_are_called_so(name):
    answers = executed(notebook(homework(name), all_empty(homework(name))))
    assert answers == {q.id: f"{q.id}: not answered yet." for q in homework(name).questions}


@EVERY
def test_solutions_pass_every_check(name):
    answers = executed(notebook(homework(name)))
    assert len(answers) == len(homework(name).questions)
    for question in homework(name).questions:
        n = sum(not test.is_hidden for test in question.tests)
        assert f"{n} of {n} visible tests pass" in answers[question.id]


def test_one_question_alone_works_after_a_restart():
    some = ("install", "checks", "setup", "check-q1", "check-q2", "answer-q4", "check-q4")
    answers = executed(notebook(homework()), only=some)
    assert "2 of 2 visible tests pass" in answers["q4"]
    assert "`log_likelihood` is not defined yet" in answers["q1"]
    assert "`gradient` is not defined yet" in answers["q2"]
