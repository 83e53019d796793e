"""Release a homework: the student's notebook, and in another folder the grader's bundle.

The notebook needs no other file. Its first cell installs the package where it is missing, its setup
cell carries the visible tests, and of the hidden ones, of solutions and of mutants nothing is left:
`release` looks for each of their lines and refuses where it finds one.
"""

import ast
import json
import re
from pathlib import Path

import numpy as np

from dlcourse.grading import secret
from dlcourse.grading.check import outcome
from dlcourse.grading.homework import Homework
from dlcourse.grading.recording import TESTS_USE, InProcess, attempt, namespace_of

INSTALL = """\
# Where the package is missing, this installs it from its wheel, which lies beside this notebook.
import importlib.util
from pathlib import Path

if importlib.util.find_spec("dlcourse") is None:
    wheels = sorted(Path.cwd().glob("dlcourse-*.whl"))
    if not wheels:
        raise ModuleNotFoundError(
            f"dlcourse is not installed, and no wheel of it, dlcourse-*.whl, lies in {Path.cwd()}. "
            "Put it there, or upload it beside this notebook, and run this cell again."
        )
    %pip install --quiet "{wheels[-1]}EXTRA"
    importlib.invalidate_caches()"""
SETUP = """\
# @title Run this cell first, and again after each restart. There is nothing to change in it.
from dlcourse.grading.check import Checks

check = Checks(
    globals(),
    homework={homework!r},
    functions={functions!r},
    grader={grader!r},
    tests=r\'\'\'
{tests}
\'\'\',
    mistakes=r\'\'\'
{mistakes}
\'\'\',
)"""
STUDENTS, PRIVATE = "students", "private"  # folders of a release
TEST = """\
@test({question!r}, points={points:g}, hint={hint!r})
{source}"""
TRIVIAL = re.compile(r"(return|else|try|pass|break|continue|import|from|#)?\W*")
SHORT = 12  # letters and signs: shorter lines say nothing, such as `p = X @ b`


class Leak(ValueError):
    """Something private is left in what students would get."""


def release(homework: Homework, folder) -> tuple[Path, Path]:
    """Write `students/<name>.ipynb` and `private/<name>.bundle.json` below `folder`.

    Only the owner can read the private folder. The course's secret is made in it; a later release
    into the same folder keeps it, so that marks stay. Raises `Leak` where something private would
    be left in the students' notebook.
    """
    notebook = to_bytes(student_notebook(homework))
    for line in leaks(homework, notebook):
        raise Leak(
            f"The line {line!r} of a solution, a hidden test or a mutant would be left in the "
            "students' notebook. Move it between the markers, or word the public text otherwise."
        )
    students, private = Path(folder, STUDENTS), Path(folder, PRIVATE)
    students.mkdir(parents=True, exist_ok=True)
    private.mkdir(mode=0o700, exist_ok=True)
    private.chmod(0o700)
    path, bundle = students / f"{homework.name}.ipynb", private / f"{homework.name}.bundle.json"
    secret.kept_in(private)
    path.write_bytes(notebook)
    secret.write_private(bundle, homework.to_bytes())
    return path, bundle


def install(homework: Homework) -> str:
    """The cell that brings the package where it is missing, never by a bare name from an index."""
    return INSTALL.replace("EXTRA", "[torch]" if homework.needs_torch else "")


def student_notebook(homework: Homework) -> dict:
    """The students' notebook, nbformat 4.5, without outputs."""
    cells = [_code("install", install(homework), hidden=True)]
    for place, piece in enumerate(homework.pieces):
        if piece.kind == "markdown":
            cells.append(_cell("markdown", f"text-{place}", piece.text))
        elif piece.kind == "setup":
            cells.append(_code("checks", checks_source(homework), hidden=True))
            cells.append(_code("setup", piece.text))
        elif piece.kind == "answer":
            cells.append(_code(f"answer-{piece.text}", homework.question(piece.text).starter))
        elif piece.kind == "tests":
            cells.append(_code(f"check-{piece.text}", f'check("{piece.text}")'))
        else:
            cells.append(_code(f"code-{place}", piece.text))
    metadata = {
        "dlcourse": {"homework": homework.name},
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def to_bytes(notebook: dict) -> bytes:
    """A notebook as Jupyter writes it."""
    return (json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode()


def checks_source(homework: Homework) -> str:
    """The cell that carries the visible tests and what typical mistakes answer to them.

    Raises `ValueError` where three single quotes in a row would end its text.
    """
    tests = "\n\n\n".join(
        TEST.format(question=q.id, points=test.points, hint=test.hint, source=test.source)
        for q in homework.questions
        for test in q.tests
        if not test.is_hidden
    )
    mistakes = {test: known for q in homework.questions for test, known in _answers(homework, q)}
    written = ",\n".join(
        f"{json.dumps(name)}: {json.dumps(known)}" for name, known in mistakes.items()
    )
    if "'''" in tests + written:
        raise ValueError("Tests and hints must not hold three single quotes in a row.")
    return SETUP.format(
        homework=homework.name,
        functions={q.id: _signatures(q) for q in homework.questions},
        grader={
            "points": homework.points,
            "torch": homework.needs_torch,
            "withheld": list(homework.flagged),
        },
        tests=tests,
        mistakes="{" + written + "}",
    )


def private_lines(homework: Homework) -> set[str]:
    """Lines, without their spaces, that no student may see; those that say nothing left out."""
    sources = [homework.oracle]
    for question in homework.questions:
        starter = {_normal(line) for line in question.starter.splitlines()}
        answers = [question.solution, *(mistake.source for mistake in question.mistakes)]
        sources += ["\n".join(_without(answer, starter)) for answer in answers]
        for test in question.tests:
            sources += [test.source, test.hint, test.claim] if test.is_hidden else []
    lines = {_normal(line) for source in sources for line in source.splitlines()}
    return {line for line in lines if len(line) >= SHORT and not TRIVIAL.fullmatch(line)}


def leaks(homework: Homework, notebook: bytes) -> list[str]:
    """Private lines that the bytes of a notebook hold, in its sources or anywhere else."""
    cells = json.loads(notebook)["cells"]
    sources = "\n".join(cell["source"] for cell in cells)
    text = _normal(sources) + _normal(notebook.decode())
    return sorted(line for line in private_lines(homework) if line in text)


def _answers(homework, question):
    """For each visible test: the known mistakes that fail it, as hint and outcomes of its calls."""
    for test in question.tests:
        if test.is_hidden:
            continue
        function = namespace_of(TESTS_USE, test.source)[test.name]
        known = []
        for mistake in question.mistakes:
            namespace = namespace_of(homework.setup, mistake.source)
            with np.errstate(all="ignore"):
                error, calls = attempt(function, InProcess(namespace))
            if error is not None:
                known.append([mistake.hint, [outcome(call) for call in calls]])
        yield f"{question.id} {test.name}", known


def _signatures(question):
    """The functions of a question with their arguments, as the starter has them."""
    heads = {
        node.name: f"{node.name}({ast.unparse(node.args)})"
        for node in ast.parse(question.starter).body
        if isinstance(node, ast.FunctionDef)
    }
    return [heads[name] for name in question.functions]


def _without(source, starter):
    return [line for line in source.splitlines() if _normal(line) not in starter]


def _normal(line):
    """Text without spaces and quotes, so that neither layout nor JSON's escapes hide a line."""
    return re.sub(r"[\s\"'\\\\]", "", line)


def _cell(kind, id, source):
    return {"cell_type": kind, "id": id, "metadata": {}, "source": source}


def _code(id, source, hidden=False):
    cell = _cell("code", id, source) | {"execution_count": None, "outputs": []}
    if hidden:
        cell["metadata"] = {"cellView": "form", "jupyter": {"source_hidden": True}}
    return cell
