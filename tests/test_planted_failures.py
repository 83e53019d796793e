"""Faults planted in a little book: each must turn the steps of `make test` red.

The little book has this repository's Makefile, extensions and checks, and one chapter that passes.
"""

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest

from tools import chapters

ROOT = Path(__file__).parents[1]
SETTINGS = ["Makefile", "pyproject.toml", "_config.yml", "requirements.lock"]
TOC = """\
format: jb-book
root: book/index
parts:
  - caption: The only part
    chapters:
      - file: book/chapter
"""
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
        self.root, self.chapter = root, root / "book" / "chapter.ipynb"
        for name in SETTINGS:
            shutil.copy(ROOT / name, root)
        for name in ("_ext", "_static", "_templates"):
            if (ROOT / "book" / name).exists():
                shutil.copytree(ROOT / "book" / name, root / "book" / name)
        shutil.copy(ROOT / "book" / "conftest.py", root / "book")
        (root / "book" / "references.bib").touch()
        (root / "book" / "index.md").write_text("# A little book\n\nSee {doc}`chapter`.\n")
        (root / "_toc.yml").write_text(TOC)
        (root / "tests").mkdir()
        notebook = nbformat.v4.new_notebook()
        notebook.cells = [nbformat.v4.new_markdown_cell("# A chapter\n\n$$ a + b $$ (eq-sum)")]
        notebook.cells += [nbformat.v4.new_code_cell(source) for source in CELLS.values()]
        nbformat.write(notebook, self.chapter)

    def make(self, step, checked="book"):
        """Run a step of `make test`; its exit code and all that it prints."""
        command = ["make", step, f"BIN={ROOT / '.venv' / 'bin'}", f"CHECKED={checked}", "JOBS=1"]
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "MAKE"))}
        run = subprocess.run(
            command, cwd=self.root, env=inherited, capture_output=True, text=True, timeout=300
        )
        return run.returncode, run.stdout + run.stderr

    def plant(self, cell, change):
        """Apply `change` to one code cell of the stored chapter."""
        notebook = chapters.read(self.chapter)
        change(notebook.cells[1 + list(CELLS).index(cell)])
        nbformat.write(notebook, self.chapter)

    def write(self, name, text):
        (self.root / name).write_text(text)


@pytest.fixture(scope="module")
def sound_book(tmp_path_factory):
    book = LittleBook(tmp_path_factory.mktemp("sound"))
    assert asyncio.run(chapters.refresh([book.chapter])) == []
    return book


@pytest.fixture
def book(sound_book, tmp_path):
    """A copy of the sound book, with its stored outputs, to plant a fault in."""
    copied = LittleBook(tmp_path)
    shutil.copy(sound_book.chapter, copied.chapter)
    return copied


def test_a_sound_book_passes_and_its_site_is_built(sound_book):
    code, printed = sound_book.make("run")
    assert code == 0, printed
    code, printed = sound_book.make("tested-site")
    assert code == 0, printed
    page = sound_book.root / "_build" / "tested" / "_build" / "html" / "book" / "chapter.html"
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


@pytest.mark.parametrize(
    ("cell", "fault", "message"),
    [
        ("number", wrong_output, "Cell outputs differ"),
        ("number", misspelled_name, "NameError"),
        ("number", stripped, "has no stored run"),
        ("number", stripped_but_counted, "Unexpected output fields"),
        ("figure", other_figure, "Cell outputs differ"),
        ("figure", other_data_in_the_figure, "Cell outputs differ"),
        ("number", bitmap, "shows a bitmap"),
        ("number", not_compared, "asks not to be compared"),
        ("number", skipped, "asks not to be compared"),
    ],
)
def test_a_fault_in_a_chapter_is_caught_and_leaves_no_tested_outputs(book, cell, fault, message):
    book.plant(cell, fault)
    code, printed = book.make("run")
    assert code != 0
    assert message in printed
    assert not (book.root / "_build" / "executed" / "chapter.ipynb").exists()


def test_a_site_is_not_built_from_a_chapter_that_did_not_pass(book):
    code, printed = book.make("tested-site")
    assert code != 0
    assert "chapter.ipynb was not executed" in printed


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("See {doc}`no_such_chapter`.", "unknown document"),
        ("See {eq}`eq-no-such-equation`.", "eq-no-such-equation"),
        ("$$ \\frac{1}{ $$ (eq-broken)", "cannot typeset"),
        ("Numbers: {glue:text}`no_such_number`", "no_such_number"),
        ("{cite:p}`no-such-paper`", "no-such-paper"),
    ],
)
def test_a_fault_in_a_page_stops_the_build(book, page, message):
    executed = book.root / "_build" / "executed"
    executed.mkdir(parents=True)
    shutil.copy(book.chapter, executed)
    book.write("book/index.md", f"# A little book\n\n{page}\n")
    code, printed = book.make("tested-site")
    assert code != 0
    assert message in printed


def test_a_failing_proof_turns_the_run_red(book):
    book.write(
        "tests/test_proof.py",
        "import numpy as np\n"
        "import pytest\n\n"
        "from dlcourse import gradcheck\n\n\n"
        '@pytest.mark.proves("eq-square")\n'
        "def test_gradient_of_the_square():\n"
        "    rng = np.random.default_rng(0)\n"
        "    def square(x):\n"
        "        return np.sum(x**2), 2.002 * x  # off by a tenth of a percent\n"
        "    gradcheck.check_gradient(square, rng.normal(size=3), rng)\n",
    )
    code, printed = book.make("run", checked="tests")
    assert code != 0
    assert "analytic" in printed
    book.write(
        "tests/test_proof.py",
        (book.root / "tests/test_proof.py").read_text().replace("2.002", "2.0"),
    )
    assert book.make("run", checked="tests")[0] == 0


def test_a_misspelled_marker_turns_the_run_red(book):
    book.write(
        "tests/test_proof.py",
        'import pytest\n\n\n@pytest.mark.prooves("eq-sum")\ndef test_nothing():\n    assert True\n',
    )
    code, printed = book.make("run", checked="tests")
    assert code != 0
    assert "prooves" in printed
