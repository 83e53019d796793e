"""The form of the chapters: what each notebook must have, whatever it teaches."""

import asyncio
import math
import re
from pathlib import Path

import bs4
import pytest
import yaml

from dlcourse.tables import Table
from tools import chapters

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
    %pip install --quiet "{wheels[-1]}[torch]"
    importlib.invalidate_caches()"""
NOTEBOOKS = {path.stem: chapters.read(path) for path in sorted(chapters.BOOK.glob("*.ipynb"))}
*PARTS, BACK_MATTER = (
    [Path(entry["file"]).name for entry in part["chapters"]]
    for part in yaml.safe_load((chapters.ROOT / "_toc.yml").read_text())["parts"]
)
# A notebook of the back matter shows results; it has no question, exercises and goals.
CHAPTERS = {stem: notebook for stem, notebook in NOTEBOOKS.items() if stem not in BACK_MATTER}
every_notebook = pytest.mark.parametrize("notebook", NOTEBOOKS.values(), ids=NOTEBOOKS)
every_chapter = pytest.mark.parametrize("notebook", CHAPTERS.values(), ids=CHAPTERS)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def prose(notebook):
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def html_outputs(notebook):
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    return [output.data["text/html"] for output in outputs if "text/html" in output.get("data", {})]


def test_the_table_of_contents_lists_every_chapter():
    assert NOTEBOOKS
    assert set(CHAPTERS) <= {stem for part in PARTS for stem in part}


@every_notebook
def test_stored_outputs_are_current(notebook):
    assert not chapters.is_stale(notebook), "outputs are stale. Refresh them: make book"


HIDDEN = {"hide-cell", "hide-input", "remove-cell"}


def visible(notebook):
    """The code cells that a reader sees open."""
    return [
        cell for cell in code_cells(notebook) if not HIDDEN & set(cell.metadata.get("tags", []))
    ]


def thinness(notebook):
    """Of the visible code cells the number, the median length (the upper one), the longest."""
    lengths = sorted(len(cell.source.splitlines()) for cell in visible(notebook))
    return len(lengths), lengths[len(lengths) // 2], lengths[-1]


@every_notebook
def test_code_stays_thin(notebook):
    n_cells, median, longest = thinness(notebook)
    assert n_cells <= 20
    assert median <= 6
    assert longest <= 20


def test_a_table_says_how_thin_the_code_is():
    """`pytest tests/book/test_chapters.py -k table -s` prints it."""
    rows = [thinness(notebook) for notebook in NOTEBOOKS.values()]
    cells, medians, longest = zip(*rows, strict=True)
    columns = {"chapter": list(NOTEBOOKS), "cells": cells, "median": medians, "longest": longest}
    print(Table(columns))
    assert max(cells) <= 20


@pytest.mark.parametrize("stem", NOTEBOOKS)
def test_the_first_code_cell_installs_the_package_where_it_is_missing(stem):
    first = code_cells(NOTEBOOKS[stem])[0]
    extra = "theorems" if stem == "theorems" else "torch"
    assert first.source == INSTALL.replace("}[torch]", f"}}[{extra}]")
    assert first.metadata.tags == ["remove-cell"]


@every_notebook
def test_a_reader_finds_parameters_to_change(notebook):
    tagged = [
        cell for cell in code_cells(notebook) if "parameters" in cell.metadata.get("tags", [])
    ]
    assert len(tagged) == 1
    assert all("#" in line for line in tagged[0].source.splitlines() if "=" in line)


@every_chapter
def test_the_title_says_what_it_is_about_and_what_it_costs(notebook):
    title = notebook.cells[0].source
    for field in ("# ", "**Question** ", "**You will be able to**", "**Cost** ", "**Where** "):
        assert field in title
    assert chapters.cost(notebook, notebook.metadata.dlcourse.seconds) in title


@every_chapter
def test_every_exercise_has_a_solution_and_every_proof_is_folded(notebook):
    text = prose(notebook)
    exercises = re.findall(
        r"^:{3,}\{exercise[^\n]*\n(?:[^\n]*\n)*?:label: (\S+)", text, re.MULTILINE
    )
    solutions = re.findall(r"^:{3,}\{solution(?:-start)?\} (\S+)", text, re.MULTILINE)
    assert 4 <= len(exercises) <= 6
    assert sorted(exercises) == sorted(solutions)
    for block in re.findall(
        r"^:{3,}\{(?:prf:proof|solution(?:-start)?)\}[^\n]*\n(.*?)\n\n", text, re.M | re.S
    ):
        assert ":class: dropdown" in block  # fmt: skip


@every_notebook
def test_every_figure_has_a_text_alternative(notebook):
    for page in html_outputs(notebook):
        soup = bs4.BeautifulSoup(page, "html.parser")
        for picture in soup.find_all(["svg", "img", "canvas"]):
            text = picture.get("aria-label") or picture.get("alt") or ""
            assert len(text.split()) >= 6, (
                f"a figure says too little to who cannot see it: {text!r}"
            )


@every_notebook
def test_directives_are_fenced_with_colons(notebook):
    assert "```{" not in prose(notebook), (
        "use :::{name}: JupyterLab and Colab typeset what is in it"
    )


@pytest.fixture
def copied_book(tmp_path, monkeypatch):
    """A repository of one chapter and a package of three modules, for the staleness tests."""
    files = {
        "dlcourse/__init__.py": "",
        "dlcourse/used.py": "from dlcourse.rooms import below\n",
        "dlcourse/rooms/__init__.py": "",
        "dlcourse/rooms/below.py": "x = 1\n",
        "dlcourse/rooms/page.js": "1;\n",
        "dlcourse/rooms/data/table.csv": "1\n",
        "dlcourse/unused.py": "y = 1\n",
        "requirements.lock": "numpy==1\n",
        "requirements-torch.lock": "torch==1\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(chapters, "ROOT", tmp_path)
    notebook = chapters.nbformat.v4.new_notebook()
    notebook.cells = [chapters.nbformat.v4.new_code_cell("from dlcourse import used\n%time 1")]
    notebook.metadata["dlcourse"] = {"sources": chapters.sources_digest(notebook), "seconds": 1}
    return tmp_path, notebook


@pytest.mark.parametrize(
    "name",
    ["dlcourse/used.py", "dlcourse/rooms/below.py", "dlcourse/rooms/page.js", "requirements.lock"]
    + ["dlcourse/rooms/data/table.csv"],
)
def test_a_change_in_what_a_chapter_uses_makes_it_stale(copied_book, name):
    root, notebook = copied_book
    assert not chapters.is_stale(notebook)
    with (root / name).open("a") as file:
        file.write("# another line\n")
    assert chapters.is_stale(notebook)


def test_a_change_in_what_a_chapter_does_not_use_leaves_it_current(copied_book):
    root, notebook = copied_book
    (root / "dlcourse" / "unused.py").write_text("y = 2\n")
    notebook.cells.append(chapters.nbformat.v4.new_markdown_cell("More prose."))
    assert not chapters.is_stale(notebook)


def test_a_change_of_its_own_code_makes_a_chapter_stale(copied_book):
    _, notebook = copied_book
    notebook.cells[0].source += "\n2"
    assert chapters.is_stale(notebook)


def test_a_chapter_that_fails_is_left_as_it_was(tmp_path):
    path = tmp_path / "broken.ipynb"
    notebook = chapters.nbformat.v4.new_notebook()
    notebook.cells = [chapters.nbformat.v4.new_code_cell("1 / 0")]
    chapters.nbformat.write(notebook, path)
    before = path.read_bytes()
    (message,) = asyncio.run(chapters.refresh([path]))
    assert "broken.ipynb was left as it was" in message
    assert "ZeroDivisionError" in message
    assert path.read_bytes() == before


def test_text_that_arrives_in_pieces_is_stored_as_one_output(tmp_path):
    path = tmp_path / "slow.ipynb"
    notebook = chapters.nbformat.v4.new_notebook()
    source = "import time\nfor i in range(3):\n    print(i, flush=True)\n    time.sleep(0.3)"
    notebook.cells = [
        chapters.nbformat.v4.new_markdown_cell("# Slow"),
        chapters.nbformat.v4.new_code_cell(source),
    ]
    chapters.nbformat.write(notebook, path)
    assert asyncio.run(chapters.refresh([path])) == []
    (output,) = chapters.read(path).cells[1].outputs
    assert output.text == "0\n1\n2\n"


def test_a_new_chapter_runs_first():
    assert chapters.seconds(chapters.nbformat.v4.new_notebook()) == math.inf
