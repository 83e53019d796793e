"""Every statement on the tested site carries a badge, and the badge leads to what proved it."""

import functools

import bs4
import pytest

from tools import proofs, statements

from .conftest import ROOT

BOOK = {page.rpartition(".")[0]: found for page, found in statements.read(ROOT).items()}
STATING = [page for page, found in BOOK.items() if found]
every_stating_page = pytest.mark.parametrize("name", STATING)


@functools.cache  # three tests read each page
def read(path):
    return bs4.BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def address(page):
    return f"{page}.html"


@every_stating_page
def test_each_statement_has_one_badge_beside_it(name, site):
    page = read(site / address(name))
    found = [badge["href"].partition("#")[2] for badge in page.select("a.checked")]
    assert sorted(found) == sorted(statement.label for statement in BOOK[name])
    for label, badge in zip(found, page.select("a.checked"), strict=True):
        if label.startswith("eq-"):
            assert badge.find_previous_sibling("div")["id"] == f"equation-{label}"
        else:
            assert badge.find_parent(class_="admonition")["id"] == label


@every_stating_page
def test_no_display_goes_without_its_number(name, site):
    displays = read(site / address(name)).select("div.math")
    assert [display for display in displays if not display.select(".eqno")] == []


@every_stating_page
def test_a_badge_says_how_many_ways_and_which(name, site):
    for badge in read(site / address(name)).select("a.checked"):
        count, _, ways = badge["aria-label"].partition(": ")
        ways, _, evaluated = ways.partition(". ")
        is_display = badge["href"].partition("#eq-")[1] != ""
        assert evaluated.startswith(("Evaluated: ", "Sealed: ") if is_display else "")
        assert bool(evaluated) == is_display
        n_ways = len(ways.split("; "))
        assert set(ways.split("; ")) <= set(proofs.WAYS.values())
        assert count == f"Checked in {n_ways} way" + "s" * (n_ways > 1)
        assert badge.text == str(n_ways)


@every_stating_page
def test_the_keyboard_goes_from_a_badge_to_the_ledger_and_on_to_the_test(name, host, open_page):
    page = open_page()
    page.goto(f"{host}/{address(name)}", wait_until="load")
    badge = page.locator("a.checked").first
    label = badge.get_attribute("href").partition("#")[2]
    badge.focus()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/book/ledger.html#{label}")
    row = page.locator(f"tr:has([id='{label}'])")
    assert row.locator("td").last.inner_text().startswith("passed")
    claim = row.locator("td a").first
    said = claim.inner_text()
    claim.click()
    page.wait_for_url("**/book/ledger/**")
    shown = page.locator(":target")
    assert shown.locator("h2").inner_text().startswith(said)
    assert f'"{label}"' in shown.locator("pre").inner_text()


def test_the_ledger_lists_every_statement_and_stays_light(site):
    path = site / "book/ledger.html"
    listed = [row["id"] for row in read(path).select(".proofs th[id]")]
    assert sorted(listed) == sorted(s.label for page in STATING for s in BOOK[page])
    assert path.stat().st_size <= 400_000
