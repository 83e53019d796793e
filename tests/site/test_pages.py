"""Every page of the site as a reader sees it, from a server and from a folder."""

import contextlib
from pathlib import Path

import pytest
from playwright.sync_api import TimeoutError

from . import checks
from .accessibility import Accessibility, violations
from .conftest import SCREENSHOTS, SITE

REDIRECT = "index.html"
PAGES = sorted(  # the longest first, or the last one would be waited for
    (name for name in checks.pages(SITE) if name != REDIRECT),
    key=lambda name: -(SITE / name).stat().st_size,
)
# Contrast depends on the theme and scrolling on the width: each is met once.
LOOKS = [("light", 1280), ("dark", 390)]
CHECKS = [checks.mathematics, checks.overflow, checks.figures, checks.badges, checks.keyboard]


def load(page, address):
    """Open an address and wait for its fonts and for the theme's scripts."""
    page.goto(address, wait_until="load")
    page.evaluate("document.fonts.ready")


def look(page, theme, width):
    """Show an open page in a theme, on a screen of a width."""
    page.emulate_media(color_scheme=theme)
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_function(f"document.documentElement.dataset.theme === '{theme}'")


def settle(page):
    """Wait for the theme, which takes its time to let the keyboard scroll boxes."""
    with contextlib.suppress(TimeoutError):
        settled = f"() => ({checks.UNREACHED})().length === 0"
        page.wait_for_function(settled)  # what never settles is a fault that a check names


def shoot(page, name, theme, width):
    shot = f"{name.removesuffix('.html').replace('/', '-')}-{theme}-{width}.jpg"
    page.screenshot(path=Path(SCREENSHOTS, shot), full_page=True, type="jpeg", quality=80)


@pytest.fixture(scope="session")
def accessibility():
    """One for all pages of a test process: what has passed on one is not measured on the next."""
    return Accessibility()


def test_there_are_pages(site):
    assert {REDIRECT, "book/index.html", "search.html"} <= set(checks.pages(site))


@pytest.mark.parametrize("name", PAGES)
def test_page_has_no_fault(name, host, open_page, accessibility):
    """All checks in one visit, for what takes long is to lay a page out; each names its faults."""
    page = open_page(*LOOKS[0])
    with checks.watch(page, host) as faults:
        load(page, f"{host}/{name}")
        if SCREENSHOTS:
            for theme, width in LOOKS:
                look(page, theme, width)
                shoot(page, name, theme, width)
        page.evaluate("document.querySelectorAll('details').forEach((fold) => fold.open = true)")
        # axe comes last, since it shortens the page; and a look that stays costs nothing.
        for checking, looks in ((CHECKS, LOOKS), ([accessibility], LOOKS[::-1])):
            for theme, width in looks:
                look(page, theme, width)
                settle(page)
                for check in checking:
                    found = check(page)
                    faults += [f"{check.__name__}, {theme}, {width}: {fault}" for fault in found]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(("theme", "width"), LOOKS)
def test_what_is_shortened_for_axe_has_no_fault_of_its_own(theme, width, host, open_page):
    """The markup of formulas and code, whole, on the page that shows every symbol of the book."""
    page = open_page()
    load(page, f"{host}/book/notation.html")
    look(page, theme, width)
    settle(page)
    assert page.evaluate("document.querySelectorAll('.katex').length") > 100
    assert violations(page) == []


@pytest.mark.parametrize("name", PAGES)
def test_page_opens_from_a_folder(name, site, open_page):
    page = open_page()
    with checks.watch(page, site.as_uri()) as faults:
        load(page, (site / name).as_uri())
        faults += checks.mathematics(page)
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("name", PAGES)
def test_page_says_what_it_is(name, site):
    document = checks.Document(site / name)
    faults = checks.head(document) + checks.ids(document)
    assert not faults, "\n".join(faults)


def test_every_link_leads_somewhere(site):
    faults = checks.links(site) + checks.stylesheets(site)
    assert not faults, "\n".join(faults)
