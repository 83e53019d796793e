import runpy

import pytest
import tinycss2

from tests import ROOT

SHEET = runpy.run_path(str(ROOT / "book" / "_ext" / "one_stylesheet.py"))


def used(css, names):
    return "".join(SHEET["used_rules"](tinycss2.parse_stylesheet(css, skip_whitespace=True), names))


@pytest.mark.parametrize(
    ("css", "kept"),
    [
        (".used{color:red}", ".used{color:red}"),
        (".unused{color:red}", ""),
        ("#used p>.used:hover{color:red}", "#used p>.used:hover{color:red}"),
        (".used .unused{color:red}", ""),
        (".used,.unused,h1{color:red}", ".used,h1{color:red}"),
        ("p:not(.unused){color:red}", "p:not(.unused){color:red}"),
        (":is(.used,.unused){color:red}", ":is(.used,.unused){color:red}"),
        ('[class~="unused"]{color:red}', '[class~="unused"]{color:red}'),
        ("@media print{.used{color:red}.unused{top:0}}", "@media print{.used{color:red}}"),
        ("@media print{.unused{top:0}}", ""),
        ("@font-face{font-family:A}", "@font-face{font-family:A}"),
        ("/*! a licence */.unused{top:0}/* a remark */", "/*! a licence */"),
        ('@charset "utf-8";.used{top:.5em}', ".used{top:.5em}"),
    ],
)
def test_rules_stay_that_can_match_what_a_page_holds(css, kept):
    assert used(css, {"used"}) == kept


@pytest.mark.parametrize(
    ("address", "moved"),
    [
        ("url(a.png)", "url(theme/a.png)"),
        ("url('../fonts/a.woff2')", "url(fonts/a.woff2)"),
        ('url("a.svg?v=1#b")', "url(theme/a.svg)"),
        ("url(data:image/png;base64,AA)", "url(data:image/png;base64,AA)"),
    ],
)
def test_addresses_follow_a_stylesheet_that_moves_up(address, moved, tmp_path):
    (tmp_path / "theme").mkdir()
    (tmp_path / "theme/a.css").write_text(f"p{{background:{address}}}")
    rules = SHEET["read_stylesheet"](tmp_path, "theme/a.css")
    assert "".join(SHEET["used_rules"](rules, set())) == f"p{{background:{moved}}}"


def test_files_that_nothing_names_go_and_licences_stay(tmp_path):
    for name in ["kept.css", "unused.css", "deep/unused.png", "fonts/LICENSE", "kept.js.map"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    SHEET["remove_unused"](tmp_path, {"kept.css", "kept.js.map"})
    left = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*"))
    assert left == ["fonts", "fonts/LICENSE", "kept.css"]
