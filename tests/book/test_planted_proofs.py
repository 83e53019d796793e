"""Faults planted in the tie between statements and proofs: each turns `make run` red, and says why.

A statement whose proof did not pass carries no badge on the site that is built from that run.
"""

import json

import bs4
import pytest

from tests.book.little_book import LittleBook

PROOF = """\
import numpy as np
import pytest

from dlcourse import gradcheck


@pytest.mark.proves("eq-square", by="derivative")
def test_gradient_of_the_square():
    def square(x):
        return np.sum(x**2), FACTOR * x

    gradcheck.check_gradient(square, np.ones(3), np.random.default_rng(0))


@pytest.mark.proves("eq-sum", "thm-sum", by="independent")
@pytest.mark.parametrize("a", [1, 2, 3])
def test_the_sum_is_the_sum(a):
    assert a + a == 2 * a
"""
PAGES = {
    "right": "$$ a + a = 2 a $$ (eq-sum)\n\n:::{prf:theorem} Sum\n:label: thm-sum\n\nSo.\n:::",
    "square": "$$ f(x) = x^2 $$ (eq-square)",
}
FAULTY_PAGES = {
    "unlabeled": "$$ a = b $$\n\n:::{prf:lemma} Small lemma\n\nIt is so.\n:::",
    "environment": "\\begin{equation}\na = b\n\\end{equation}",
    "unproved": "$$ c = d $$ (eq-unproved)",
    "again": "$$ a + a = 2 a $$ (eq-sum)",
    "skipped": "$$ e = f $$ (eq-skipped)",
}
FAULTY_TESTS = """\
import pytest


@pytest.mark.proves("eq-some", by="symbolic")
def test_stray():
    assert True


@pytest.mark.proves("eq-sum")
def test_of_no_way():
    assert True


@pytest.mark.proves("eq-sum", by="eye")
def test_of_another_way():
    assert True
"""
SKIPPED = """\
import pytest


@pytest.mark.skip
@pytest.mark.proves("eq-skipped", by="truth")
def test_skipped():
    assert True
"""
MESSAGES = [
    "book/unlabeled.md: the equation `a = b` has no label. Cure: write `$$ ... $$ (eq-name)`",
    "book/unlabeled.md: the lemma `Small lemma` has no label. Cure: write `:label: lem-name`",
    "book/environment.md: the equation `\\begin{equation}` has no label. Cure",
    "book/unproved.md: no test proves the equation `eq-unproved`. Cure: mark the test that does",
    "book/right.md: the label `eq-sum` is used already, on book/again.md. Cure: rename",
    "book/skipped.md: nothing proved `eq-skipped` in this run (tests/test_skipped.py::test_skipped",
    "book/square.md: nothing proved `eq-square` in this run (tests/test_proof.py::test_gradient_of",
    "test_faulty.py::test_stray proves `eq-some`, which no page of the book states. Cure: state",
    "the nearest labels are `eq-sum`",
    'test_faulty.py::test_of_no_way proves eq-sum by None. Cure: write by=..., one of "symbolic"',
    "test_faulty.py::test_of_another_way proves eq-sum by 'eye'. Cure: write by=...",
    "analytic",  # what the derivative check says of a factor that is a tenth of a percent off
]


def add_pages(book, pages):
    for name, text in pages.items():
        book.write(f"book/{name}.md", f"# A page\n\n{text}")
    book.add_to_contents(*pages)


@pytest.fixture(scope="module")
def run_with_faults(tmp_path_factory):
    """One run over a book with all the faults: what it printed."""
    book = LittleBook(tmp_path_factory.mktemp("unproved"))
    add_pages(book, PAGES | FAULTY_PAGES)
    book.write("tests/test_proof.py", PROOF.replace("FACTOR", "2.002"))
    book.write("tests/test_faulty.py", FAULTY_TESTS)
    book.write("tests/test_skipped.py", SKIPPED)
    code, printed = book.make("run", checked="tests")
    assert code != 0
    return printed


@pytest.mark.parametrize("message", MESSAGES)
def test_a_fault_is_named_with_its_page_its_label_and_a_cure(run_with_faults, message):
    assert message in run_with_faults


def test_a_misspelled_marker_turns_the_run_red(tmp_path):
    book = LittleBook(tmp_path)
    book.write("tests/test_proof.py", PROOF.replace("proves", "prooves"))
    record = book.root / "_build" / "ledger.json"
    record.parent.mkdir()
    record.touch()
    code, printed = book.make("run", checked="tests")
    assert code != 0
    assert "prooves" in printed
    assert not record.exists()  # that of an earlier run must not stand for one that broke off


def test_a_skipped_proof_alone_turns_the_run_red(tmp_path):
    book = LittleBook(tmp_path)
    add_pages(book, {"skipped": FAULTY_PAGES["skipped"]})
    book.write("tests/test_skipped.py", SKIPPED)
    code, printed = book.make("run", checked="tests")
    assert code != 0
    assert "1 skipped" in printed
    assert " failed" not in printed


def built(book):
    """The pages of the site built from the last run, by name."""
    code, printed = book.make("tested-site")
    assert code == 0, printed
    pages = (book.root / "_build/tested/_build/html/book").glob("*.html")
    return {page.stem: bs4.BeautifulSoup(page.read_text(), "html.parser") for page in pages}


def badges(page):
    return {badge["href"]: badge["aria-label"] for badge in page.select("a.checked")}


def test_badges_stand_beside_what_passed_in_the_run_and_nowhere_else(tmp_path):
    book = LittleBook(tmp_path)
    add_pages(book, PAGES | {"ledger": ":::{ledger}\n:::"})
    book.write("tests/test_proof.py", PROOF.replace("FACTOR", "2.002"))
    assert book.make("run", checked="tests", jobs=2)[0] != 0
    pages = built(book)
    checked = "Checked in 1 way: agreement with an independent computation"
    assert badges(pages["right"]) == {"ledger.html#eq-sum": checked, "ledger.html#thm-sum": checked}
    assert badges(pages["square"]) == {}
    rows = {
        row["id"]: row.parent.get_text(" ", strip=True) for row in pages["ledger"].select("th[id]")
    }
    assert rows["eq-sum"].endswith("passed in 3 cases")
    assert rows["eq-square"].endswith("failed")
    assert "2 of 3 displayed equations" in " ".join(pages["ledger"].get_text().split())

    book.write("tests/test_proof.py", PROOF.replace("FACTOR", "2.0"))
    pages = built(book)  # the record is of other sources
    assert badges(pages["right"]) == {}
    assert "No test run over the present sources is on record" in pages["ledger"].get_text()

    assert book.make("run", checked="tests")[0] == 0
    record = json.loads((book.root / "_build/ledger.json").read_text())
    assert [proof["passed"] for proof in record["proofs"]] == [1, 3]
