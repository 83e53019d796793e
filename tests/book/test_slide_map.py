"""The slide map and the book, held together both ways: what the one names, the other has."""

import json
import re

import pytest
import yaml

from book._ext import slide_map
from book._ext.slide_map import Slide
from tests import ROOT

HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
N_SLIDES = 40


def missing(slide, kind, names, there, cure):
    """What a slide names and nothing has."""
    for name in names:
        if name not in there:
            yield f"Slide {slide.number} names the {kind} `{name}`, and there is none. {cure}"


def errata(root):
    """Where each erratum is: a list of slides, or the name of another source."""
    rows = yaml.safe_load((root / "book" / "errata.yml").read_text(encoding="utf-8"))
    where = {row["id"]: row["where"] for row in rows}
    return {name: [place] if isinstance(place, int) else place for name, place in where.items()}


def of_errata(entries, root):
    """Errata that are not on the slides on which they were found."""
    for name, place in errata(root).items():
        shown = [slide.number for slide in entries["slides"] if name in slide.errata]
        if not shown if isinstance(place, str) else shown != place:
            yield (
                f"The erratum {name} is at {place} by book/errata.yml and on the slides {shown} by "
                "book/slides.yml. Correct one of them; one of another source goes on any slide."
            )


def of_slides(entries, root):
    """What is wrong with the slides themselves: with their numbers, and with what they name."""
    slides = entries["slides"]
    if [slide.number for slide in slides] != list(range(1, N_SLIDES + 1)):
        yield f"The slides are not numbered 1 to {N_SLIDES}, in order, without a gap."
    there = {
        "section": (slide_map.sections(root / "book"), "Put `(label)=` above a chapter's heading."),
        "homework": ({path.name for path in (root / "homework").glob("*/")}, "Or say `planned`."),
        "erratum": (errata(root), "Add it to book/errata.yml."),
        "planned chapter": (entries["planned"], "Add it under `planned`, or name its sections."),
    }
    for slide in slides:
        homework = [] if slide.homework == "planned" else slide.homework
        named = [slide.sections, homework, slide.errata, slide.planned]
        for (kind, (found, cure)), names in zip(there.items(), named, strict=True):
            yield from missing(slide, kind, names, found, f"Correct book/slides.yml. Or: {cure}")
        if bool(slide.empty) == bool(slide.sections or slide.planned):
            yield (
                f"Slide {slide.number} must have either sections, or chapters that are planned, "
                "or under `empty` the reason why it has none."
            )


def of_plans(entries, root):
    """What is wrong with what is planned."""
    slides, written = entries["slides"], slide_map.chapters(root / "book")
    for stem in entries["planned"]:
        if stem in written:
            yield (
                f"The chapter {stem} is written and still planned in book/slides.yml. Delete "
                "it under `planned`, and put its sections in the place of its name on each slide."
            )
        if not any(stem in slide.planned for slide in slides):
            yield f"The chapter {stem} is planned and on no slide: name it under one's `planned`."
    open_plans = [slide for slide in slides if slide.planned or slide.homework == "planned"]
    if entries["complete"]:
        for slide in open_plans:
            names = ", ".join(slide.planned) or "its homework"
            yield (
                f"Slide {slide.number}: {names} is still planned, and book/slides.yml says that "
                "the course is complete. Write it, or set `complete: false`."
            )
    elif not open_plans:
        yield "Nothing is planned any more: set `complete: true` in book/slides.yml."


def of_chapters(entries, root):
    """What a chapter has and the map does not show, and where the two disagree."""
    book, known = root / "book", slide_map.sections(root / "book")
    patterns = [pattern for group in entries["beyond"] for pattern in group.get("sections", [])]
    for pattern in patterns:
        if not slide_map.matching([pattern], known):
            yield f"`beyond` in book/slides.yml names {pattern}, and no section matches. Delete it."
    on_slides = {label for slide in entries["slides"] for label in slide.sections}
    shown = on_slides.union(slide_map.matching(patterns, known))
    for stem in slide_map.chapters(book):
        text = slide_map.prose(book / f"{stem}.ipynb")
        top = {s.title: s.label for s in known.values() if s.stem == stem and s.depth == 2}
        for title in HEADING.findall(text):
            if title not in top:
                yield f'{stem}: the section "{title}" has no label. Put `(sec-...)=` above it.'
            elif top[title] not in shown:
                yield (
                    f'{stem}: no slide leads to the section "{title}". Name {top[title]} under a '
                    "slide of book/slides.yml, or under `beyond` with the reason."
                )
        yield from of_where(stem, text, entries["slides"], known)


def of_where(stem, text, slides, known):
    """A chapter says of itself on which slides it is."""
    line = slide_map.WHERE.search(text)
    mapped = [s for s in slides if stem in {known[x].stem for x in s.sections if x in known}]
    # An agenda may be named, and has no sections.
    says = slide_map.numbers(line[1]) if line else set()
    says -= {slide.number for slide in slides if slide.empty}
    if says != {slide.number for slide in mapped}:
        yield (
            f"{stem}: its line **Where** says slides {sorted(says)}, and the map has it on "
            f"{[slide.number for slide in mapped]}. Correct the line, or the `sections` in "
            "book/slides.yml."
        )


def faults(root=ROOT):
    entries = slide_map.read_map(root / "book")
    for check in (of_slides, of_errata, of_plans, of_chapters):
        yield from check(entries, root)


def test_the_map_and_the_book_agree():
    found = list(faults())
    assert not found, "\n".join(found)


CHAPTER_TEXT = """\
# Alpha

**Where** slides 1 and 3; the rest.

(sec-alpha-one)=
## One

(sec-alpha-exercises)=
## Exercises
"""
MAP = {
    "complete": False,
    "planned": {"beta": "Beta"},
    "slides": {
        number: {"title": f"Slide {number}", "empty": "An agenda."} for number in range(1, 41)
    }
    | {
        1: {"title": "One", "sections": ["sec-alpha-one"]} | {"errata": ["E02", "S1"]},
        2: {"title": "Two", "planned": ["beta"], "homework": "planned", "errata": ["E01"]},
        3: {"title": "Three", "sections": ["sec-alpha-one"]} | {"errata": ["E02"]},
    },
    "beyond": [{"sections": ["sec-*-exercises"], "reason": "Practice."}],
}
FILES = {
    "_toc.yml": "- file: book/alpha\n",
    "book/errata.yml": "- {id: E01, where: 2}\n- {id: E02, where: [1, 3]}\n- {id: S1, where: A}",
    "homework/README.md": "",
}


@pytest.fixture
def found_with(tmp_path):
    """The faults of a little book that differs from a sound one in what is given."""

    def found_with(files=None, slides=None, text=CHAPTER_TEXT, **changes):
        entries = MAP | changes | {"slides": MAP["slides"] | (slides or {})}
        notebook = json.dumps({"cells": [{"cell_type": "markdown", "source": [text]}]})
        written = {"book/slides.yml": yaml.safe_dump(entries), "book/alpha.ipynb": notebook}
        for name, content in (FILES | written | (files or {})).items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(content)
        return list(faults(tmp_path))

    return found_with


def test_a_sound_map_has_no_fault(found_with):
    assert found_with() == []


ONE, TWO = MAP["slides"][1], MAP["slides"][2]
SLIDES = {
    "Slide 1 names the section `sec-gone`": {1: ONE | {"sections": ["sec-gone"]}},
    "Slide 2 names the homework `gone`": {2: TWO | {"homework": ["gone"]}},
    "Slide 2 names the erratum `E99`": {2: TWO | {"errata": ["E99"]}},
    "The erratum E01 is at [2] by book/errata.yml and on the slides [1, 2]": {
        1: ONE | {"errata": ["E01", "E02", "S1"]}
    },
    "The erratum S1 is at A by book/errata.yml and on the slides []": {
        1: ONE | {"errata": ["E02"]}
    },
    "Slide 2 names the planned chapter `gamma`": {2: TWO | {"planned": ["beta", "gamma"]}},
    "Slide 2 must have either sections": {2: {"title": "Two"}},
    "Slide 1 must have either sections": {1: ONE | {"empty": "An agenda."}},
    "not numbered 1 to 40": {41: ONE},
    "The chapter beta is planned and on no slide": {2: {"title": "Two", "empty": "An agenda."}},
    "alpha: its line **Where** says slides [1, 3], and the map has it on [1, 2, 3]": {
        2: TWO | {"sections": ["sec-alpha-one"]}
    },
}
TEXTS = {
    'the section "Two" has no label': CHAPTER_TEXT + "\n## Two\n",
    'no slide leads to the section "Two". Name sec-alpha-two': CHAPTER_TEXT
    + "\n(sec-alpha-two)=\n## Two\n",
    "says slides [1, 2, 3]": CHAPTER_TEXT.replace("1 and 3", "1-4"),
    "says slides []": CHAPTER_TEXT.replace("**Where**", ""),
    "sec-*-exercises, and no section matches": CHAPTER_TEXT.replace("-exercises", "-one"),
}


@pytest.mark.parametrize(("message", "slides"), SLIDES.items(), ids=SLIDES)
def test_a_fault_in_the_map_is_named(found_with, message, slides):
    assert any(message in fault for fault in found_with(slides=slides))


@pytest.mark.parametrize(("message", "text"), TEXTS.items(), ids=TEXTS)
def test_a_chapter_that_the_map_does_not_show_is_named(found_with, message, text):
    assert any(message in fault for fault in found_with(text=text))


def test_a_planned_chapter_that_has_landed_is_named(found_with):
    (fault,) = found_with(files={"book/beta.ipynb": '{"cells": []}'})
    assert "beta is written and still planned" in fault
    assert "Delete it under `planned`" in fault


def test_what_is_planned_fails_only_once_the_course_is_complete(found_with):
    (fault,) = found_with(complete=True)
    assert "Slide 2: beta is still planned" in fault
    written = {2: {"title": "Two", "empty": "An agenda.", "errata": ["E01"]}}
    (fault,) = found_with(planned={}, slides=written)
    assert "set `complete: true`" in fault
    assert found_with(planned={}, slides=written, complete=True) == []
    homework = {3: MAP["slides"][3] | {"homework": "planned"}}
    (fault,) = found_with(planned={}, slides=written | homework, complete=True)
    assert "Slide 3: its homework is still planned" in fault


@pytest.mark.parametrize(
    ("text", "found"),
    [("3 and 5", {3, 5}), ("4, 7 and 8", {4, 7, 8}), ("1-4 and 34", {1, 2, 3, 4, 34})]
    + [("1 to 3", {1, 2, 3}), ("9–10", {9, 10}), ("12", {12})],
)
def test_slides_are_read_as_they_are_written(text, found):
    assert slide_map.numbers(text) == found


def test_a_card_shows_links_and_marks_what_is_planned(tmp_path):
    known = {"sec-a": slide_map.Section("alpha", "sec-a", 2, "A")}
    cell = {"cell_type": "code", "source": ["from dlcourse.losses import sigmoid\n"]}
    cell |= {"metadata": {}, "outputs": [], "execution_count": 1}
    alpha = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 4}
    for folder in ("book", "dlcourse/chapters/alpha", "tests/chapters/alpha"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "book" / "alpha.ipynb").write_text(json.dumps(alpha))
    slide = Slide(5, "Five", sections=["sec-a"], planned=["beta"])
    shown = slide_map.card(slide, {"beta": "Beta"}, known, book=tmp_path / "book")
    assert shown == [
        *["Sections", ": {doc}`alpha`: {ref}`sec-a`", "", ": *planned:* Beta", ""],
        *["Code", ": {py:mod}`dlcourse.chapters.alpha`, {py:mod}`dlcourse.losses`", ""],
        *["Tests", ": `tests/chapters/alpha`", ""],
    ]
    assert slide_map.card(Slide(2, "Two", empty="An agenda."), {}, {}) == ["An agenda."]


@pytest.mark.parametrize("stem", slide_map.chapters())
def test_the_folders_of_a_chapter_bear_its_name(stem):
    """Code or a page of its own library room, and tests that state what the chapter states."""
    code, tests = slide_map.code_and_tests(stem)
    assert f"dlcourse.chapters.{stem}" in code
    assert tests == f"`tests/chapters/{stem}`"


def test_no_folder_of_a_chapter_is_without_one():
    stems = set(slide_map.chapters()) | set(slide_map.read_map()["planned"])
    for room in ("dlcourse/chapters", "tests/chapters"):
        folders = {path.name for path in (ROOT / room).iterdir() if path.is_dir()}
        assert folders - {"__pycache__"} <= stems
