"""Faults planted between the errata and their tests: each turns `make run` red, and says why."""

import shutil

import bs4
import pytest

from tests.book.little_book import ROOT, LittleBook

ROWS = """\
- {id: E01, where: 3, printed: "$1 + 1 = <wrong>$", verdict: wrong, correct: "It is <sum>.",
   source: Algebra., tests: [tests/test_sums.py::test_one_and_one], numbers: {wrong: "3", sum: "2"}}
- {id: E02, where: A source, printed: Opinion., verdict: stale, correct: Fact., source: News.,
   unchecked: It is news.}
"""
FAULTY_ROWS = """\
- {id: E03, where: 3, printed: a, verdict: wrong, correct: b, source: c,
   tests: [tests/test_sums.py::test_two_and_two]}
- {id: E04, where: 3, printed: a, verdict: wrong, correct: b, source: c,
   tests: [tests/test_sums.py::test_one_and_one]}
- {id: E05, where: 3, printed: a, verdict: wrong, correct: "<x>, <y>", source: c,
   numbers: {x: "1"}}
"""
TESTS = """\
import pytest


@pytest.fixture
def printed():
    class Printed:
        def agrees(self, **found):
            assert found["sum"] == 2

        differs = agrees

    return Printed()


@pytest.mark.erratum("E01")
def test_one_and_one(printed):
    printed.agrees(sum=1 + 1, wrong=3)
"""
FAULTY_TESTS = """\
import pytest


@pytest.mark.erratum("E02")
def test_of_a_row_that_does_not_name_it():
    assert True


@pytest.mark.erratum("E99")
def test_of_no_row():
    assert True


@pytest.mark.erratum("E01")
def test_of_what_is_printed():
    assert 1 + 1 == 3
"""
MESSAGES = [
    "erratum E03 names tests/test_sums.py::test_two_and_two, and there is no such test. Cure: "
    'write it and mark it @pytest.mark.erratum("E03"), or correct the row.',
    "erratum E04 names tests/test_sums.py::test_one_and_one, which does not name it. Cure: mark",
    "test_faulty.py::test_of_a_row_that_does_not_name_it is marked "
    '@pytest.mark.erratum("E02"), whose row does not name it. Cure: add it to the row',
    'test_of_no_row is marked @pytest.mark.erratum("E99"), and there is no such row. Cure: add',
    "FAILED tests/test_faulty.py::test_of_what_is_printed",
    "erratum E05 must have `tests`, or `unchecked` with the reason",
    "no test of erratum E05 compares its number `x`. Cure: `printed.agrees(x=...)`",
    "erratum E05 has numbers ['x'] and places for ['x', 'y']. Cure: a place `<name>` for each",
]
PAGE = ":::{errata} 1-40\n:::\n\n:::{errata} sources\n:::\n\nBack to {erratum}`E01`."


def errata_book(parent, rows, **tests):
    """A little book with these rows, their page, and test modules."""
    book = LittleBook(parent)
    shutil.copy(ROOT / "tests/book/test_errata.py", book.root / "tests/book")
    book.write("book/errata.yml", rows)
    book.write("book/errata.md", f"# Errata\n\n{PAGE}")
    book.add_to_contents("errata")
    for name, text in tests.items():
        book.write(f"tests/test_{name}.py", text)
    return book


@pytest.fixture(scope="module")
def run_with_faults(tmp_path_factory):
    """One run over a book with all the faults: what it printed."""
    rows = ROWS + FAULTY_ROWS
    root = tmp_path_factory.mktemp("errata")
    code, printed = errata_book(root, rows, sums=TESTS, faulty=FAULTY_TESTS).make(
        "run", checked="tests"
    )
    assert code != 0
    return printed


@pytest.mark.parametrize("message", MESSAGES)
def test_a_fault_is_named_with_its_row_its_test_and_a_cure(run_with_faults, message):
    assert message in run_with_faults


def test_sound_errata_pass_and_their_page_says_so(tmp_path):
    book = errata_book(tmp_path, ROWS, sums=TESTS)
    code, printed = book.make("run", checked="tests")
    assert code == 0, printed
    code, printed = book.make("tested-site")
    assert code == 0, printed
    site = book.root / "_build/tested/_build/html/book/errata.html"
    page = bs4.BeautifulSoup(site.read_text(), "html.parser")
    first, second = (card.get_text(" ", strip=True) for card in page.select(".erratum"))
    assert [card["id"] for card in page.select(".erratum")] == ["e01", "e02"]
    assert "One and one, passed tests/test_sums.py::test_one_and_one" in first
    assert "It is 2." in first
    assert "No test It is news." in second
    assert page.select('a[href="#e01"].reference')[-1].get_text() == "erratum E01"
