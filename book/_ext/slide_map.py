"""The slide map: where the course takes up each slide of the lecture, from `book/slides.yml`.

`{slides} 1-12` shows these slides as cards, `{beyond-the-slides}` what no slide asks for. In a
chapter the line "**Where** slides 4, 7 and 8; ..." becomes links to the cards.
"""

import fnmatch
import json
import re
from pathlib import Path
from typing import NamedTuple

import yaml
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.addnodes import pending_xref
from sphinx.util.docutils import SphinxDirective

BOOK = Path(__file__).parents[1]
LABELS = re.compile(r"^\((sec-[\w-]+)\)=\n+(#+) (.+)$", re.MULTILINE)
WHERE = re.compile(r"^\*\*Where\*\* slides? ([^;.]+).*", re.MULTILINE)
RANGE = re.compile(r"(\d+)(?:\s*(?:-|–|to)\s*(\d+))?")
MODULE = re.compile(r"automodule:: dlcourse\.(\S+)")


class Slide(NamedTuple):
    """A slide: either `empty` gives a reason, or the other fields say where it is taken up."""

    number: int
    title: str
    sections: list = []
    modules: list = []
    tests: list = []
    homework: list | str = []
    errata: list = []
    planned: list = []
    empty: str = ""


class Section(NamedTuple):
    """A labeled section of the book; `depth` 2 is a top-level section of a chapter."""

    stem: str
    label: str
    depth: int
    title: str


def read_map(book=BOOK):
    """The file as it is, its slides as records."""
    entries = yaml.safe_load((book / "slides.yml").read_text(encoding="utf-8"))
    entries["slides"] = [Slide(number, **slide) for number, slide in entries["slides"].items()]
    return entries


def prose(path):
    """The Markdown of a chapter or a page."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return text
    cells = json.loads(text)["cells"]
    return "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")


def chapters(book=BOOK):
    """Stems of the chapters, in the order of the table of contents."""
    contents = (book.parent / "_toc.yml").read_text(encoding="utf-8")
    stems = sorted(path.stem for path in book.glob("*.ipynb"))
    return sorted(stems, key=lambda stem: contents.find(f"book/{stem}\n"))


def sections(book=BOOK):
    """The labeled sections of the chapters by their labels."""
    found = [
        Section(stem, label, len(marks), title)
        for stem in chapters(book)
        for label, marks, title in LABELS.findall(prose(book / f"{stem}.ipynb"))
    ]
    return {section.label: section for section in found}


def modules(book=BOOK):
    """The modules of the package that the pages of its API show."""
    return MODULE.findall("\n".join(prose(path) for path in sorted((book / "api").glob("*.md"))))


def numbers(text):
    """The slides that a text such as `4, 7 and 8` or `1-4` names."""
    ranges = [(int(first), int(last or first)) for first, last in RANGE.findall(text)]
    return {number for first, last in ranges for number in range(first, last + 1)}


def matching(patterns, labels):
    """The labels that one of the patterns matches, in their own order."""
    return [x for x in labels if any(fnmatch.fnmatchcase(x, pattern) for pattern in patterns)]


def section_lines(labels, known):
    """Links to sections, one line a chapter."""
    by_chapter = {}
    for label in labels:
        by_chapter.setdefault(known[label].stem, []).append(f"{{ref}}`{label}`")
    return [f"{{doc}}`{stem}`: {', '.join(links)}" for stem, links in by_chapter.items()]


def card(slide, planned, known, tests=""):
    """What a slide's card shows below its title, as Markdown; `tests` is their folder's address."""
    if slide.empty:
        return [slide.empty]
    titles = ", ".join(planned[stem] for stem in slide.planned)
    homework = [slide.homework] if isinstance(slide.homework, str) else slide.homework
    rows = {
        "Sections": [
            *section_lines(slide.sections, known),
            f"*planned:* {titles}" if titles else "",
        ],
        "Code": [", ".join(map(module_link, slide.modules))],
        "Tests": [", ".join(link_to_test(name, tests) for name in slide.tests)],
        "Homework": [", ".join(f"*{name}*" if name == "planned" else name for name in homework)],
        "Errata": [", ".join(f"{{ref}}`{name} <{name.lower()}>`" for name in slide.errata)],
    }
    lines = []
    for term, texts in rows.items():
        texts = [f": {text}" for text in texts if text]
        lines += [term, *"\n\n".join(texts).splitlines(), ""] if texts else []
    return lines


def module_link(name):
    return f"{{py:mod}}`{name} <dlcourse.{name}>`"


def link_to_test(name, folder):
    return f"[`{name}.py`]({folder}/{name}.py)" if folder else f"`{name}.py`"


class MapDirective(SphinxDirective):
    """What both directives share: the map, and that a change of it builds the page anew."""

    def setting(self):
        for path in (BOOK / "slides.yml", *BOOK.glob("*.ipynb")):
            self.env.note_dependency(str(path))
        return read_map(), sections()

    def parsed(self, lines, parent):
        self.state.nested_parse(StringList(lines, source="slides.yml"), self.content_offset, parent)
        return parent


class Slides(MapDirective):
    """Cards of the slides in a range, each an anchor: `slide-12`."""

    required_arguments = 1

    def run(self):
        entries, known = self.setting()
        wanted = numbers(self.arguments[0])
        return [
            self.card(slide, entries["planned"], known)
            for slide in entries["slides"]
            if slide.number in wanted
        ]

    def card(self, slide, planned, known):
        name = f"slide-{slide.number}"
        domain = self.env.get_domain("std")
        domain.note_hyperlink_target(name, self.env.docname, name, f"slide {slide.number}")
        title = nodes.paragraph(
            "", "", nodes.strong("", str(slide.number)), classes=["slide-title"]
        )
        title += nodes.Text(f" {slide.title}")
        box = nodes.container("", title, ids=[name], classes=["slide"])
        theme = self.config.html_theme_options  # repository.py sets both, or the button is off
        address = "{repository_url}/blob/{repository_branch}/tests"
        tests = address.format(**theme) if theme["use_repository_button"] else ""
        return self.parsed(card(slide, planned, known, tests), box)


class BeyondTheSlides(MapDirective):
    """Sections and modules that no slide asks for, each group with its reason."""

    def run(self):
        entries, known = self.setting()
        on_slides = {label for slide in entries["slides"] for label in slide.sections}
        lines = []
        for group in entries["beyond"]:
            labels = matching(group.get("sections", []), known)
            links = section_lines([x for x in labels if x not in on_slides], known)
            names = ", ".join(map(module_link, group.get("modules", [])))
            links += [names] if names else []
            lines += [group["reason"], "", *(f"- {link}" for link in links), ""]
        return self.parsed(lines, nodes.container()).children


def link_slides(app, doctree):
    """Turn the numbers in a chapter's line **Where** into links to the cards."""
    if "book/slide_map" not in app.env.found_docs:
        return
    for paragraph in doctree.findall(nodes.paragraph):
        parts = [part for part in paragraph if part.astext()]
        if len(parts) > 1 and parts[0].astext() == "Where":
            named, stop, rest = parts[1].astext().partition(";")
            words = [linked(word) for word in re.split(r"(\d+)", named)]
            paragraph.replace(parts[1], [*words, nodes.Text(stop + rest)])


def linked(word):
    """The number of a slide as a link to its card, and any other word as it is."""
    if not word.isdigit():
        return nodes.Text(word)
    target = {"refdomain": "std", "reftype": "ref", "reftarget": f"slide-{word}"}
    return pending_xref("", nodes.inline("", word), refexplicit=True, **target)


def setup(app):
    app.add_directive("slides", Slides)
    app.add_directive("beyond-the-slides", BeyondTheSlides)
    app.connect("doctree-read", link_slides)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
