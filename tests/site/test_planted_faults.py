"""Each check of the site finds the fault that it is there for, and no fault where there is none."""

import pytest

from . import checks
from .accessibility import Accessibility, violations
from .conftest import serving
from .test_pages import CHECKS

SOUND = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>A sound page</title>
<meta name="description" content="A page without any fault, for the checks to find none.">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<link rel="stylesheet" href="style.css">
</head>
<body>
<main id="top">
<h1>A sound page</h1>
<p>It has <a href="#top">a link</a>, <a href="other.html#there">another</a> and a formula,
<span class="math"><span class="katex"><span class="katex-html">x + y</span></span></span>.</p>
<div class="math" id="equation-a"><span class="katex-display" tabindex="0"><span class="katex"
><span class="katex-html">a very long equation, which scrolls in a box of its own because it is
wider than a telephone</span></span></span><span class="eqno">(1)</span></div>
<a class="checked" href="other.html#there">3</a>
<pre tabindex="0"><span class="k">for</span> a <span class="k">line</span> that is wider</pre>
<ul><li>One</li><li>of</li><li>many</li><li>that</li><li>look</li><li>alike</li></ul>
<img src="dot.svg" alt="A dot in the middle of a square.">
<svg role="img" aria-label="A circle with a radius of four." width="8" height="8"></svg>
</main>
<script src="script.js"></script>
</body>
</html>
"""
FILES = {
    "other.html": SOUND.replace('id="top"', 'id="there"')
    .replace('="#top"', '="#there"')
    .replace("other.html#there", "page.html#top"),
    "style.css": "div.math { display: flex } .katex-display { overflow-x: auto; flex: 1 }"
    " .katex-display { white-space: nowrap; min-width: 0 }"
    " .checked { display: inline-block; width: 24px; height: 24px }"
    " pre { width: 60px; overflow-x: auto } .pale { color: #aaa }",
    "script.js": "document.title += '';",
    "dot.svg": '<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>',
}


def on_disk(site):
    document = checks.Document(site / "page.html")
    return (
        checks.head(document) + checks.ids(document) + checks.links(site) + checks.stylesheets(site)
    )


def in_browser(site, open_page):
    with serving(site) as host:
        page = open_page(width=390)
        with checks.watch(page, host) as faults:
            page.goto(f"{host}/page.html", wait_until="load")
            return faults + [fault for check in CHECKS for fault in check(page)]


def to_axe(site, open_page, check):
    page = open_page()
    page.goto((site / "page.html").as_uri())
    return check(page)


@pytest.fixture
def write_site(tmp_path):
    """A function that writes a small site with one text replaced in the file that holds it."""

    def write_site(right="", wrong=""):
        for name, text in ({"page.html": SOUND} | FILES).items():
            (tmp_path / name).write_text(text.replace(right, wrong, 1) if right else text)
        assert not right or wrong in "".join(path.read_text() for path in tmp_path.iterdir())
        return tmp_path

    return write_site


def test_a_sound_site_has_no_fault(write_site, open_page):
    site = write_site()
    assert on_disk(site) + in_browser(site, open_page) == []
    assert to_axe(site, open_page, Accessibility()) == []


@pytest.mark.parametrize(
    ("right", "wrong", "fault"),
    [
        ('href="other.html#there"', 'href="gone.html"', "there is no such file"),
        ('href="#top"', 'href="#nowhere"', "has no such id"),
        ('href="other.html#there"', 'href="other.html#nowhere"', "has no such id"),
        ('src="dot.svg"', 'src="https://example.org/dot.svg"', "loads https://example.org"),
        ("div.math {", "p { background: url(gone.png) } div.math {", "gone.png, and there is no"),
        ("div.math {", "@import url(//example.org/a.css); div.math {", "loads //example.org"),
        ("<h1>", '<h1 id="top">', "names several elements"),
        (' lang="en"', "", "no lang"),
        ('name="description"', 'name="keywords"', "no description"),
    ],
)
def test_a_fault_in_the_files_is_found(right, wrong, fault, write_site):
    faults = on_disk(write_site(right, wrong))
    assert any(fault in found for found in faults), faults


@pytest.mark.parametrize(
    ("right", "wrong", "fault"),
    [
        ("document.title", "console.error('a planted error'); document.title", "a planted error"),
        ("document.title", "console.warn('a warning'); document.title", "Console warning"),
        ("document.title += ''", "null.planted", "Error in a script"),
        ("document.title += ''", "fetch('https://example.org/x').catch(() => 0)", "another origin"),
        ("script.js", "gone.js", "gone.js"),
        ('<span class="katex-html">x + y</span>', "x + y", "Not typeset"),
        ('<span class="katex">', '<span class="katex"><i class="katex-error">E</i>', "refused"),
        ("It has", r"It has $$x$$ and", "TeX in the text"),
        ("It has", r"It has \(x\) and", "TeX in the text"),
        ("overflow-x: auto", "overflow-x: visible", "An equation leaves its box"),
        ("<h1>", '<h1 style="width: 900px">', "The page is 9"),
        ("min-width: 0", "min-width: 500px", "out of sight"),
        ("<p>", '<div style="overflow: hidden"><p style="width: 600px">x</div><p>', "Out of sight"),
        (' alt="A dot in the middle of a square."', "", "has no alt"),
        ("A dot in the middle of a square.", "dot.svg", "is a file name"),
        ("A dot in the middle of a square.", "dot", "says too little"),
        ("A circle with a radius of four.", "", "label of a drawing says too little"),
        ('role="img" ', "", "A drawing without role"),
        ("<h1>", '<i class="fa-solid fa-planted"></i><h1>', "An icon without its drawing"),
        ("width: 24px", "width: 20px", "is 20 pixels small"),
        (".checked {", ".checked { position: absolute; left: 380px;", "badge to other.html#there"),
        ('<pre tabindex="0">', "<pre>", "The keyboard does not reach: for a line"),
    ],
)
def test_a_fault_in_the_page_is_found(right, wrong, fault, write_site, open_page):
    faults = in_browser(write_site(right, wrong), open_page)
    assert any(fault in found for found in faults), faults


@pytest.mark.parametrize(
    ("right", "wrong", "fault"),
    [
        ("<p>", '<p style="color: #aaa; background: #fff">', "axe color-contrast"),
        (' lang="en"', "", "axe html-has-lang"),
        (">a link<", "><", "axe link-name"),
        ("<li>alike", '<li style="color: #aaa">alike', "axe color-contrast"),
        ("<li>alike", '<li class="pale">alike', "axe color-contrast"),
        ("<li>alike", '<li><b style="background: #555">alike</b>', "axe color-contrast"),
        ("div.math {", "li:last-child { opacity: 0.4 } div.math {", "axe color-contrast"),
        ("div.math {", "li:last-child { background: #666 } div.math {", "axe color-contrast"),
        ("div.math {", ".k { color: #aaa } div.math {", "axe color-contrast"),
        ("div.math {", ".katex { color: #aaa } div.math {", "axe color-contrast"),
        ("div.math {", "a { color: #111; text-decoration: none } div.math {", "axe link-in-text"),
    ],
)
def test_a_fault_that_axe_knows_is_found(right, wrong, fault, write_site, open_page):
    check = Accessibility()
    assert to_axe(write_site(), open_page, check) == []  # what has passed hides no fault
    site = write_site(right, wrong)
    faults = to_axe(site, open_page, check)
    assert any(fault in found for found in faults), faults
    # What is shortened and left out changes where a fault is met, never whether.
    whole = to_axe(site, open_page, violations)
    assert {found.partition(":")[0] for found in faults} == {
        found.partition(":")[0] for found in whole
    }


def test_what_axe_leaves_open_has_not_passed(write_site, open_page):
    check = Accessibility()
    site = write_site("<li>alike</li>", '<li class="pale">a</li>')  # one letter may be ornament
    assert to_axe(site, open_page, check) == []
    site = write_site("<li>alike</li>", '<li class="pale">alike</li>')
    assert any("axe color-contrast" in fault for fault in to_axe(site, open_page, check))
