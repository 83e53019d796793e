"""What students get: a notebook that stands alone, with nothing private in it."""

import hashlib
import json
import re
import stat
import subprocess
import sys
from dataclasses import replace

import nbformat
import pytest
from nbclient import NotebookClient

from dlcourse.grading import finding, release
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
    student, bundle = f"students/{name}.ipynb", f"private/{name}.bundle.json"
    found = {p.relative_to(tmp_path / "1").as_posix() for p in (tmp_path / "1").rglob("*.*")}
    assert found == {student, bundle, "private/course.secret"}
    for file in (student, bundle):
        assert (tmp_path / "1" / file).read_bytes() == (tmp_path / "2" / file).read_bytes()
    secrets = {(tmp_path / seed / "private/course.secret").read_bytes() for seed in "12"}
    assert len(secrets) == 2


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_private_is_the_owners_alone_and_the_secret_stays(tmp_path):
    tmp_path.chmod(0o755)
    _, bundle = release.release(homework(), tmp_path)
    kept = bundle.with_name("course.secret")
    before = kept.read_bytes()
    assert before not in bundle.read_bytes()
    for path in (bundle, kept):
        path.chmod(0o644)  # by a copy, for instance
    bundle.parent.chmod(0o755)
    release.release(homework("optimizers"), tmp_path)
    release.release(homework(), tmp_path)
    assert (mode(bundle.parent), mode(bundle), mode(kept)) == (0o700, 0o600, 0o600)
    assert kept.read_bytes() == before
    assert finding.secret_of(bundle) == bytes.fromhex(before.decode())
    assert len({path.parent for path in tmp_path.rglob("*.*")}) == 2
    assert not any(path.name.endswith("partial") for path in tmp_path.rglob("*"))


def test_a_bundle_without_its_secret_and_a_master_have_none(tmp_path):
    _, bundle = release.release(homework(), tmp_path)
    bundle.with_name("course.secret").unlink()
    assert finding.secret_of(bundle) == b""
    assert finding.secret_of(HOMEWORK / "logistic_regression" / "master.ipynb") == b""


def test_a_damaged_secret_is_not_replaced_in_silence(tmp_path):
    _, bundle = release.release(homework(), tmp_path)
    for text in ("", "abc", "g" * 64, "a" * 62):
        bundle.with_name("course.secret").write_text(text)
        with pytest.raises(ValueError, match=r"course\.secret is not the secret.*Restore it"):
            release.release(homework(), tmp_path)


def test_of_two_who_make_the_secret_at_once_both_read_the_same(tmp_path):
    script = "import sys; from dlcourse.grading import secret; print(secret.kept_in(sys.argv[1]))"
    command = [sys.executable, "-c", script, tmp_path]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(4)]
    assert len({process.communicate()[0] for process in both}) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["course.secret"]


@EVERY
def test_the_notebook_is_valid_stands_alone_and_shows_nothing_yet(name):
    cells = nbformat.from_dict(release.student_notebook(homework(name)))
    nbformat.validate(cells)
    assert "%pip install --quiet" in cells.cells[0].source
    assert not any(cell.outputs for cell in cells.cells if cell.cell_type == "code")


def test_the_installing_cell_is_that_of_the_chapters():
    chapter = nbformat.read(HOMEWORK.parent / "book" / "logistic_regression.ipynb", as_version=4)
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
