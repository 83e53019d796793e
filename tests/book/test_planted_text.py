"""Text planted that comes loose from its files: each must turn `make run` red and say the cure.

A little book with a slide map, a glued number and a figure passes; then one thing is changed in
each, and one run names all of them.
"""

import shutil

import nbformat

from tests.book.little_book import ROOT, TOC, LittleBook

MAP = """\
complete: false
planned: {more: More}
slides:
  1: {title: A sum, sections: [sec-chapter-sum]}
  2: {title: More, planned: [more]}
beyond: []
""".replace("beyond", "".join(f"  {n}: {{title: x, empty: x}}\n" for n in range(3, 41)) + "beyond")
TEXT_OF_CHAPTER = """\
# A chapter

**Where** slide 1.

(sec-chapter-sum)=
## A sum

One and one are {glue:text}`total`.
"""
FIGURE = """\
from dlcourse.drawing.style import Figure, canvas


def line(share) -> Figure:
    drawing, ax = canvas()
    ax.plot([0, share])
    return Figure(drawing, {"share": [share]}, f"It holds {share:.0%} of all.", "A line.")
"""
TEST_OF_FIGURE = "def test_line():\n    assert chapter.line(0.5).data['share'] == [0.5]\n"
TIES = {  # what holds the text of a book to its files
    "tests/book/test_slide_map.py": "test_the_map_and_the_book_agree",
    "tests/book/test_numbers_in_prose.py": "test_every_number_of_the_book_is_held_by_something",
    "tests/book/test_figure_claims.py": "test_every_figure_is_held_by_its_data_and_shown",
}


def run_ties(book, **changes):
    """Run what ties the text of a small book to its slide map, its figure and its numbers."""
    for folder in ("tools", "book/api", "homework", "dlcourse/chapters/chapter"):
        (book.root / folder).mkdir(parents=True, exist_ok=True)
    for name in ("tools/chapters.py", "tools/prose_numbers.py", *TIES):
        shutil.copy(ROOT / name, book.root / name)
    written = {"text": TEXT_OF_CHAPTER, "figure": FIGURE, "code": "chapter.line(0.5)"} | changes
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [
        nbformat.v4.new_markdown_cell(written["text"]),
        nbformat.v4.new_code_cell(written["code"]),
    ]
    nbformat.write(notebook, book.root / "book" / "chapter.ipynb")
    book.write("_toc.yml", TOC + "      - file: book/chapter")
    book.write("book/slides.yml", MAP)
    book.write("book/errata.yml", "[]")
    book.write("book/typed_numbers.yml", "[]")
    book.write("dlcourse/chapters/chapter/figures.py", written["figure"])
    book.write("tests/chapters/chapter/test_figures.py", TEST_OF_FIGURE)
    return book.make("run", checked=" ".join(f"{file}::{test}" for file, test in TIES.items()))


def test_text_that_comes_loose_from_its_files_turns_the_run_red(tmp_path):
    book = LittleBook(tmp_path)
    code, printed = run_ties(book)
    assert code == 0, printed
    code, printed = run_ties(
        book,
        text=TEXT_OF_CHAPTER.replace("sec-chapter-sum", "sec-chapter-total").replace(
            "{glue:text}`total`", "2.13"
        ),
        figure=FIGURE.replace("{share:.0%}", "50 %"),
        code="total = 1 + 1",
    )
    assert code != 0
    assert "Slide 1 names the section `sec-chapter-sum`, and there is none" in printed
    assert 'book/chapter.ipynb types "2.13"' in printed
    assert 'dlcourse/chapters/chapter/figures.py types "50 %"' in printed
    assert "book/chapter.ipynb does not show the figure line" in printed
