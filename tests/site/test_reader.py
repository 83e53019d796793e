"""What a reader does with the site: searches, opens proofs, changes the theme, downloads, plays."""

import runpy
from types import SimpleNamespace

import pytest

from dlcourse.chapters.gradient_descent.live import MAX_PERCENT, step_size

from . import checks
from .accessibility import violations
from .conftest import PATIENCE, ROOT

BOOK = ROOT / "book"
CHAPTERS = sorted(path.stem for path in BOOK.glob("*.ipynb"))
FOLDING = [stem for stem in CHAPTERS if "dropdown" in (BOOK / f"{stem}.ipynb").read_text()]
STATING = [stem for stem in CHAPTERS if "(eq-" in (BOOK / f"{stem}.ipynb").read_text()]
LIVE_CHAPTER = "gradient_descent"


def test_the_root_leads_to_the_first_page(site, open_page):
    page = open_page()
    page.goto((site / "index.html").as_uri())
    page.wait_for_url("**/book/index.html")
    assert checks.Document(site / "index.html").lang == "en"


def test_search_works_without_a_server(site, new_visitor):
    page = new_visitor()  # whose next page has the words of the search highlighted
    with checks.watch(page, site.as_uri()) as faults:
        page.goto((site / "search.html").as_uri() + "?q=gradient")
        first = page.locator("ul.search > li").first
        first.locator("p.context .highlighted").first.wait_for()
        assert first.locator("a").inner_text().endswith("Gradient descent")
        first.locator("a").click()
        page.wait_for_url("**/book/gradient_descent.html*")
        page.locator("span.highlighted").first.wait_for(state="attached")
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_words_that_were_searched_for_can_be_read(theme, site, new_visitor):
    page = new_visitor(color_scheme=theme)
    page.goto((site / "book/glossary.html").as_uri() + "?highlight=gradient")
    page.locator("span.highlighted").first.wait_for(state="attached")
    assert violations(page) == []


def test_the_keyboard_reaches_the_search(host, new_visitor):
    page = new_visitor()
    page.goto(f"{host}/book/index.html", wait_until="load")
    page.keyboard.press("Control+k")
    page.keyboard.type("step size")
    page.keyboard.press("Enter")
    page.locator("ul.search > li").first.wait_for()
    assert "q=step+size" in page.url


def test_the_chosen_theme_is_kept(host, new_visitor):
    page = new_visitor(color_scheme="light")
    page.goto(f"{host}/book/index.html", wait_until="load")
    page.locator(".theme-switch-button:visible").first.click()
    page.goto(f"{host}/book/notation.html", wait_until="load")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


@pytest.mark.parametrize("stem", FOLDING)
def test_a_link_into_a_folded_block_opens_it(stem, site, open_page):
    page = open_page()
    address = (site / f"book/{stem}.html").as_uri()
    page.goto(address)
    fold = page.locator("details.folded", has=page.locator("[id]")).first
    name = fold.locator("[id]").first.get_attribute("id")
    assert not fold.evaluate("(fold) => fold.open")
    page.goto(f"{address}#{name}")
    assert fold.evaluate("(fold) => fold.open")


@pytest.fixture(scope="module")
def without_scripts(browser):
    """The tab of a visitor whose browser runs no script."""
    with browser.new_context(java_script_enabled=False) as context:
        context.set_default_timeout(PATIENCE)
        yield context.new_page()


@pytest.mark.parametrize("stem", FOLDING)
def test_folded_blocks_open_without_scripts(stem, site, without_scripts):
    page = without_scripts
    page.goto((site / f"book/{stem}.html").as_uri())
    fold = page.locator("details.folded").first
    assert not fold.locator(".content").is_visible()
    fold.locator("summary").focus()
    page.keyboard.press("Enter")
    assert fold.locator(".content").is_visible()


@pytest.mark.parametrize("stem", CHAPTERS)
def test_the_chapter_can_be_downloaded(stem, site):
    addresses = checks.Document(site / f"book/{stem}.html").addresses
    link = next(address for address in addresses if address.endswith(".ipynb"))
    notebook = (site / "book" / link).resolve()
    assert notebook.read_bytes() == (BOOK / f"{stem}.ipynb").read_bytes()


@pytest.mark.parametrize("stem", STATING)
def test_every_labeled_equation_is_on_the_page(stem, site):
    facts = SimpleNamespace(**runpy.run_path(str(BOOK / "_ext/book_facts.py")))
    prose = "\n".join(
        cell.source for cell in facts.notebooks()[stem].cells if cell.cell_type == "markdown"
    )
    ids = checks.Document(site / f"book/{stem}.html").ids
    on_page = [name for name in ids if name.startswith("equation-eq-")]
    assert len(on_page) == len(facts.EQUATION.findall(prose)) > 0


@pytest.mark.parametrize("stem", CHAPTERS)
def test_launch_buttons_appear_only_with_a_known_repository(stem, site):
    repository = runpy.run_path(str(BOOK / "_ext/repository.py"))["find_repository"]()
    addresses = checks.Document(site / f"book/{stem}.html").addresses
    launching = [x for x in addresses if "colab.research.google" in x or "mybinder.org" in x]
    if repository is None:
        assert launching == []
    else:
        assert len(launching) == 3  # Colab, Binder, JupyterLab
        assert all(repository.removeprefix("https://github.com/") in x for x in launching)


def test_the_live_figure_computes_the_path_of_the_package(host, open_page):
    page = open_page()
    page.goto(f"{host}/book/{LIVE_CHAPTER}.html", wait_until="load")
    figure = page.locator("figure.dl-live").first
    slider = figure.locator("input[type=range]")
    slider.focus()
    seen = []
    for key in ["ArrowRight", "ArrowLeft", "PageUp", "ArrowUp", "Home", "ArrowRight", "End"]:
        page.keyboard.press(key)
        percent = int(slider.input_value())
        path = figure.evaluate("(figure) => figure.path")
        assert path == step_size(percent_of_limit=percent).data["path"].tolist()
        assert f"{percent} percent" in slider.get_attribute("aria-valuetext")
        seen.append((percent, str(path)))
    assert seen[-1][0] == MAX_PERCENT
    assert len(set(seen)) >= 5
