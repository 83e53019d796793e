"""Faults planted in a little book: each must turn the steps of `make test` red.

The little book has this repository's Makefile, extensions and checks, and one chapter that passes.
"""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tools import chapters

ROOT = Path(__file__).parents[1]
SETTINGS = ["Makefile", "pyproject.toml", "_config.yml", "requirements.lock"]
TOC = "format: jb-book\nroot: book/index\nparts:\n  - caption: Part\n    chapters:\n"
CELLS = {
    "import": "from dlcourse.figures.style import Figure, canvas",
    "number": "total = 1 + 1\ntotal",
    "figure": (
        "drawing, ax = canvas(height=2)\n"
        "ax.plot([0, 1], [0, 1])\n"
        'Figure(drawing, {}, "A line.", "A line that rises from the origin to the right.")'
    ),
}


class LittleBook:
    """A repository in `root` that shares the environment of this one."""

    def __init__(self, root):
        self.root = root
        for name in SETTINGS:
            shutil.copy(ROOT / name, root)
        for name in ("_ext", "_static", "_templates"):
            shutil.copytree(ROOT / "book" / name, root / "book" / name)
        shutil.copy(ROOT / "book" / "conftest.py", root / "book")
        (root / "book" / "references.bib").touch()
        (root / "tests").mkdir()
        self.write("book/index.md", "# A little book")
        self.write("_toc.yml", TOC)

    def write(self, name, text):
        (self.root / name).write_text(text + "\n")

    def add_to_contents(self, *names):
        with (self.root / "_toc.yml").open("a") as contents:
            contents.writelines(f"      - file: book/{name}\n" for name in names)

    def make(self, step, checked="book"):
        """Run a step of `make test`; its exit code and all that it prints."""
        tools = Path(sys.executable).parent
        command = ["make", step, f"BIN={tools}", f"CHECKED={checked}", "JOBS=0"]
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "MAKE"))}
        run = subprocess.run(
            command, cwd=self.root, env=inherited, capture_output=True, text=True, timeout=300
        )
        return run.returncode, run.stdout + run.stderr


@pytest.fixture
def book(tmp_path):
    return LittleBook(tmp_path)


@pytest.fixture(scope="module")
def sound_chapter(tmp_path_factory):
    """A chapter with its stored outputs, all of them right."""
    path = tmp_path_factory.mktemp("sound") / "chapter.ipynb"
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_markdown_cell("# A chapter\n\n$$ a + b $$ (eq-sum)")]
    notebook.cells += [nbformat.v4.new_code_cell(source) for source in CELLS.values()]
    nbformat.write(notebook, path)
    assert asyncio.run(chapters.refresh([path])) == []
    return path


def test_a_sound_book_passes_and_its_site_is_built_from_what_passed(book, sound_chapter):
    shutil.copy(sound_chapter, book.root / "book")
    book.add_to_contents("chapter")
    code, printed = book.make("tested-site")
    assert code != 0, "a site must not be built from a chapter that was not executed"
    assert "chapter.ipynb was not executed" in printed
    code, printed = book.make("run")
    assert code == 0, printed
    code, printed = book.make("tested-site")
    assert code == 0, printed
    page = book.root / "_build" / "tested" / "_build" / "html" / "book" / "chapter.html"
    assert "A line that rises" in page.read_text()


def wrong_output(cell):
    cell.outputs[0].data["text/plain"] = "3"


def misspelled_name(cell):
    cell.source = cell.source.replace("1 + 1", "l + 1")


def stripped(cell):
    cell.outputs, cell.execution_count = [], None


def stripped_but_counted(cell):
    cell.outputs = []


def other_figure(cell):
    html = cell.outputs[0].data["text/html"]
    assert 'd="M' in html
    cell.outputs[0].data["text/html"] = html.replace('d="M', 'd="M1', 1)


def other_data_in_the_figure(cell):
    cell.source = cell.source.replace("[0, 1], [0, 1]", "[0, 1], [0.2, 1]")


def bitmap(cell):
    source = (
        "import io\n\nfrom IPython.display import Image\nfrom matplotlib.image import imsave\n\n"
        "file = io.BytesIO()\nimsave(file, [[0, 1]], format='png')\nImage(file.getvalue())"
    )
    data = {"image/png": "AA==", "text/plain": "<IPython.core.display.Image object>"}
    cell.source = source
    cell.outputs = [nbformat.v4.new_output("execute_result", data, execution_count=1)]


def not_compared(cell):
    cell.metadata["tags"] = ["nbval-ignore-output"]
    cell.outputs[0].data["text/plain"] = "3"


def skipped(cell):
    cell.source = "# NBVAL_SKIP\n" + cell.source


FAULTS = [
    ("number", wrong_output, "Cell outputs differ"),
    ("number", misspelled_name, "NameError"),
    ("number", stripped, "has no stored run"),
    ("number", stripped_but_counted, "Unexpected output fields"),
    ("figure", other_figure, "Cell outputs differ"),
    ("figure", other_data_in_the_figure, "Cell outputs differ"),
    ("number", bitmap, "shows a bitmap"),
    ("number", not_compared, "asks not to be compared"),
    ("number", skipped, "asks not to be compared"),
]


@pytest.fixture(scope="module")
def run_with_faults(sound_chapter, tmp_path_factory):
    """One run over a book that has one chapter for each fault: what it left and what it said."""
    book = LittleBook(tmp_path_factory.mktemp("faulty"))
    for cell, fault, _ in FAULTS:
        notebook = chapters.read(sound_chapter)
        fault(notebook.cells[1 + list(CELLS).index(cell)])
        nbformat.write(notebook, book.root / "book" / f"{fault.__name__}.ipynb")
    code, printed = book.make("run")
    assert code != 0
    # Failures stand under a line `___ book/name.ipynb::Cell 1 ___` each.
    headings = re.compile(r"^_{3,} (?:\S*/)?(\w+)\.ipynb::Cell \d+ _{3,}$", re.MULTILINE)
    _, *parts = headings.split(printed)
    return book, dict(zip(parts[::2], parts[1::2], strict=True))


@pytest.mark.parametrize(("cell", "fault", "message"), FAULTS)
def test_a_fault_in_a_chapter_is_caught_and_leaves_no_tested_outputs(
    run_with_faults, cell, fault, message
):
    book, failures = run_with_faults
    assert message in failures[fault.__name__]
    assert not (book.root / "_build" / "executed" / f"{fault.__name__}.ipynb").exists()


PAGES = {
    "unknown-page": ("See {doc}`no_such_chapter`.", "unknown document"),
    "unknown-equation": ("See {eq}`eq-no-such-equation`.", "equation not found"),
    "broken-tex": ("$$ \\frac{1}{ $$ (eq-broken)", "cannot typeset"),
    "unknown-number": ("Numbers: {glue:text}`no_such_number`", "no_such_number"),
    "unknown-paper": ("{cite:p}`no-such-paper`", "could not find bibtex key"),
    "unknown-anchor": ("See [there](index.md#no-such-heading).", "no-such-heading"),
}


@pytest.fixture(scope="module")
def build_with_faults(tmp_path_factory):
    """One build of a book that has one page for each fault: what it said of each page."""
    book = LittleBook(tmp_path_factory.mktemp("pages"))
    book.add_to_contents(*PAGES)
    for name, (text, _) in PAGES.items():
        book.write(f"book/{name}.md", f"# A page\n\n{text}")
    code, printed = book.make("tested-site")
    assert code != 0
    return printed


@pytest.mark.parametrize("name", PAGES)
def test_a_fault_in_a_page_stops_the_build(build_with_faults, name):
    lines = [line for line in build_with_faults.splitlines() if f"{name}.md" in line]
    assert any(PAGES[name][1] in line for line in lines), lines


PROOF = """\
import numpy as np
import pytest

from dlcourse import gradcheck


@pytest.mark.proves("eq-square")
def test_gradient_of_the_square():
    def square(x):
        return np.sum(x**2), FACTOR * x

    gradcheck.check_gradient(square, np.ones(3), np.random.default_rng(0))
"""


def test_a_failing_proof_turns_the_run_red(book):
    book.write("tests/test_proof.py", PROOF.replace("FACTOR", "2.002"))  # a tenth of a percent off
    code, printed = book.make("run", checked="tests")
    assert code != 0
    assert "analytic" in printed
    book.write("tests/test_proof.py", PROOF.replace("FACTOR", "2.0"))
    assert book.make("run", checked="tests")[0] == 0


def test_a_misspelled_marker_turns_the_run_red(book):
    book.write(
        "tests/test_proof.py",
        'import pytest\n\n\n@pytest.mark.prooves("eq-sum")\ndef test_nothing():\n    assert True\n',
    )
    code, printed = book.make("run", checked="tests")
    assert code != 0
    assert "prooves" in printed
