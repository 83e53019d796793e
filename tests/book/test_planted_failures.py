"""Faults planted in a little book: each must turn the steps of `make test` red.

The little book has this repository's Makefile, extensions and checks, and one chapter that passes.
"""

import asyncio
import re
import shutil

import nbformat
import pytest

from tests.book.little_book import LittleBook
from tools import chapters

CELLS = {
    "import": "from dlcourse.drawing.style import Figure, canvas",
    "number": "total = 1 + 1\ntotal",
    "figure": (
        "drawing, ax = canvas(height=2)\n"
        "ax.plot([0, 1], [0, 1])\n"
        'Figure(drawing, {"y": [0, 1]}, "A line.", "A line that rises from the origin.")'
    ),
}


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
    assert book.neighbour.is_dir(), "a step deleted a folder beside the repository"


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


def figure_without_data(cell):
    cell.source = cell.source.replace('{"y": [0, 1]}', "{}")


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
    ("figure", figure_without_data, "needs the `data` that it draws"),
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
    "unknown-erratum": ("See {erratum}`E99`.", "there is no erratum E99"),
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
