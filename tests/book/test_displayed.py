"""`.. displayed:: eq-sum` in a docstring shows the book's equation, its number and its badge."""

import bs4

from tests.book.little_book import LittleBook

SUMS = '''\
r"""Sums."""

def total(a):
    r"""The sum of `a` and `a`.

    .. displayed:: {}

    It is even.
    """
'''
PAGE = "# Sums\n\n$$ b = a $$ (eq-name)\n\n$$\na + a = {} a\n$$ (eq-sum)"
CODE = "# Code\n\n```{eval-rst}\n.. automodule:: sums\n   :members:\n```"
TEST = """\
import pytest


@pytest.mark.proves("eq-sum", "eq-name", by="{}")
def test_the_sum_is_the_sum():
    assert 1 + 1 == 2
"""


def made(tmp_path, labels):
    book = LittleBook(tmp_path)
    book.write("sums.py", SUMS.format(labels))
    book.write("book/sums.md", PAGE.format(2))
    book.write("book/api/code.md", CODE)
    book.write("book/ledger.md", "# Ledger\n\n:::{ledger}\n:::")
    book.write("tests/test_sums.py", TEST.format("truth"))
    book.add_to_contents("sums", "api/code", "ledger")
    return book


def shown(book):
    """Rows of the page of the code: LaTeX, number with its address, badge with its address."""
    code, printed = book.make("tested-site")
    assert code == 0, printed
    text = (book.root / "_build/tested/_build/html/book/api/code.html").read_text()
    rows = bs4.BeautifulSoup(text, "html.parser").select("dd .with-badge")
    return [
        (row.annotation.text, *((a.text, a["href"]) for a in row.select("a.eqno, a.checked")))
        for row in rows
    ]


def test_a_docstring_shows_the_equation_of_the_book_with_number_and_badge(tmp_path):
    book = made(tmp_path, "eq-sum, eq-name")
    assert book.make("run", checked="tests")[0] == 0
    sums, name = shown(book)
    number = ("(2)", "../sums.html#equation-eq-sum")
    assert sums == ("a + a = 2 a", number, ("1", "../ledger.html#eq-sum"))
    assert name[:2] == ("b = a", ("(1)", "../sums.html#equation-eq-name"))

    book.write("book/sums.md", PAGE.format("(1 + 1)"))
    assert shown(book)[0] == ("a + a = (1 + 1) a", number)  # no run over this page is on record


def test_a_label_that_no_page_displays_fails_the_build_with_its_docstring(tmp_path):
    book = made(tmp_path, "eq-sum, eq-some")
    code, printed = book.make("tested-site")
    assert code != 0
    assert "sums.py:docstring of sums.total" in printed
    assert "no page displays eq-some: write `$$ ... $$ (eq-some)` on one" in printed
    assert "eq-sum" not in printed
