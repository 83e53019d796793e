"""Every page of the site as a reader sees it, from a server and from a folder."""

import pytest

from . import checks
from .conftest import SCREENSHOTS, SITE

REDIRECT = "index.html"
PAGES = [name for name in checks.pages(SITE) if name != REDIRECT]
LOOKS = [("light", 1280), ("dark", 1280), ("dark", 390), ("light", 390)]
# Contrast depends on the theme and scrolling on the width: each is met once, since axe is slow.
LOOKS_FOR_AXE = [("light", 1280), ("dark", 390)]


def load(page, address):
    """Open an address and wait for its fonts and for the theme's scripts."""
    page.goto(address, wait_until="load")
    page.evaluate("document.fonts.ready")


def look(page, theme, width):
    """Show an open page in a theme, on a screen of a width."""
    page.emulate_media(color_scheme=theme)
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_function(f"document.documentElement.dataset.theme === '{theme}'")


def test_there_are_pages(site):
    assert {REDIRECT, "book/index.html", "search.html"} <= set(checks.pages(site))


@pytest.mark.parametrize("name", PAGES)
def test_page_has_no_fault(name, host, open_page):
    page = open_page()
    faults = checks.watch(page, host)
    load(page, f"{host}/{name}")
    for theme, width in LOOKS:
        look(page, theme, width)
        shot = f"{name.removesuffix('.html').replace('/', '-')}-{theme}-{width}.jpg"
        page.screenshot(path=SCREENSHOTS / shot, full_page=True, type="jpeg", quality=80)
    page.evaluate("document.querySelectorAll('details').forEach((fold) => fold.open = true)")
    faults += checks.mathematics(page) + checks.overflow(page) + checks.figures(page)
    for theme, width in LOOKS_FOR_AXE:
        look(page, theme, width)
        page.wait_for_timeout(500)  # the theme takes its time to let the keyboard scroll boxes
        faults += [f"{theme}, {width}: {fault}" for fault in checks.accessibility(page)]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("name", PAGES)
def test_page_opens_from_a_folder(name, site, open_page):
    page = open_page()
    faults = checks.watch(page, site.as_uri())
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
