"""The errata are complete, well formed, and agree with the book around them."""

import re
from pathlib import Path

import pytest
import yaml

from tools import errata_rows, prose_numbers

BOOK = errata_rows.BOOK
ROWS = errata_rows.read()
MAP = yaml.safe_load((BOOK / "slides.yml").read_text(encoding="utf-8"))
# Two questions were about the text in which the slides came, not about what they say. They are
# nobody's error and have no row; their numbers stay unused, so that no other number changes.
UNUSED = {"E10", "E27"}
every_row = pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)


def test_every_question_has_one_row():
    listed = re.findall(r"^- id: (\w+)", (BOOK / "errata.yml").read_text(), re.MULTILINE)
    expected = {f"E{n:02}" for n in range(1, 57)} - UNUSED | {f"S{n}" for n in range(1, 6)}
    assert sorted(listed) == sorted(expected)


@every_row
def test_a_row_is_whole(row):
    assert row.verdict in errata_rows.VERDICTS
    assert all(1 <= slide <= 40 for slide in row.slides)
    assert row.printed
    assert row.correct
    assert row.source


@every_row
def test_the_chapter_of_a_row_is_there_or_planned(row):
    if row.chapter:
        assert (BOOK / f"{row.chapter}.ipynb").exists() or row.chapter in MAP["planned"]


@every_row
def test_what_a_row_says_itself_types_no_number_that_looks_measured(row):
    text = errata_rows.PLACE.sub(r"{glue:text}`\1`", f"{row.correct}\n\n{row.shown}")
    quoted = set(re.findall(r"[\d.,]*\d", row.printed + row.source))
    typed = [found.number for found in prose_numbers.in_text("errata.yml", text, frozenset())]
    assert [number for number in typed if number not in quoted] == []


def test_the_page_shows_every_row_once():
    groups = re.findall(r"^:::\{errata\} (\S+)$", (BOOK / "errata.md").read_text(), re.MULTILINE)
    ranges = [tuple(map(int, group.split("-"))) for group in groups if group != "sources"]
    assert groups.count("sources") == 1
    assert [n for first, last in ranges for n in range(first, last + 1)] == list(range(1, 41))


def test_the_page_explains_every_verdict():
    page = (BOOK / "errata.md").read_text()
    assert re.findall(r"^(\w+)\n: ", page, re.MULTILINE) == errata_rows.VERDICTS


def test_no_row_and_no_page_speaks_of_an_unused_number():
    pages = [path for path in Path(BOOK).glob("*.*") if path.suffix in {".md", ".ipynb"}]
    for name in UNUSED:
        assert [page.name for page in pages if f"`{name}`" in page.read_text()] == []
