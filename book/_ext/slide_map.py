"""The slide map: where the course takes up each slide of the lecture, from `book/slides.yml`.

`{slides} 1-12` shows these slides as cards, `{beyond-the-slides}` what no slide asks for. In a
chapter the line "**Where** slides 4, 7 and 8; ..." becomes links to the cards, and names the code
and the tests of the chapter. Both follow from its stem: `dlcourse/chapters/<stem>`, the rooms of
the library that the notebook imports, and `tests/chapters/<stem>`.
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

from tools import chapters as notebooks

BOOK = Path(__file__).parents[1]
LABELS = re.compile(r"^\((sec-[\w-]+)\)=\n+(#+) (.+)$", re.MULTILINE)
WHERE = re.compile(r"^\*\*Where\*\* slides? ([^;.]+).*", re.MULTILINE)
WHERE_LINE = re.compile(r'("\*\*Where\*\* [^\n]*)\.((?:\\n)?")')
RANGE = re.compile(r"(\d+)(?:\s*(?:-|–|to)\s*(\d+))?")
PLUMBING = {"dlcourse.notebook", "dlcourse.tables", "dlcourse.chapters"}  # of every chapter


class Slide(NamedTuple):
    """A slide: either `empty` gives a reason, or the other fields say where it is taken up."""

    number: int
    title: str
    sections: list = []
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


def rooms(stem, book=BOOK):
    """The rooms of the library that the notebook of a chapter imports."""
    code = notebooks.code(notebooks.read(book / f"{stem}.ipynb"))
    names = [name.split(".") for name in notebooks.imported_names(code)]
    found = {".".join(parts[:2]) for parts in names if parts[0] == "dlcourse"}
    there = {name for name in found if any(notebooks.files_of(name)) and name != "dlcourse"}
    return sorted(there - PLUMBING)


def code_and_tests(stem, tests="", book=BOOK):
    """Links to what a chapter runs and to what tests it; `tests` is the address of their folder."""
    own = [f"dlcourse.chapters.{stem}"] if has_code(stem, book) else []
    code = ", ".join(f"{{py:mod}}`{name}`" for name in [*own, *rooms(stem, book)])
    folder = f"tests/chapters/{stem}"
    if not (book.parent / folder).is_dir():
        return code, ""
    return code, f"[`{folder}`]({tests}/chapters/{stem})" if tests else f"`{folder}`"


def has_code(stem, book=BOOK):
    return (book.parent / "dlcourse" / "chapters" / stem).is_dir()


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


def card(slide, planned, known, tests="", book=BOOK):
    """What a slide's card shows below its title, as Markdown; `tests` is their folder's address."""
    if slide.empty:
        return [slide.empty]
    titles = ", ".join(planned[stem] for stem in slide.planned)
    stems = dict.fromkeys(known[label].stem for label in slide.sections)
    pairs = [code_and_tests(stem, tests, book) for stem in stems]
    homework = [slide.homework] if isinstance(slide.homework, str) else slide.homework
    rows = {
        "Sections": [
            *section_lines(slide.sections, known),
            f"*planned:* {titles}" if titles else "",
        ],
        "Code": [code for code, _ in pairs],
        "Tests": [test for _, test in pairs],
        "Homework": [", ".join(f"*{name}*" if name == "planned" else name for name in homework)],
        "Errata": [", ".join(f"{{ref}}`{name} <{name.lower()}>`" for name in slide.errata)],
    }
    lines = []
    for term, texts in rows.items():
        texts = [f": {text}" for text in texts if text]
        lines += [term, *"\n\n".join(texts).splitlines(), ""] if texts else []
    return lines


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
        return self.parsed(card(slide, planned, known, address_of_tests(self.config)), box)


class BeyondTheSlides(MapDirective):
    """Sections that no slide asks for, each group with its reason."""

    def run(self):
        entries, known = self.setting()
        on_slides = {label for slide in entries["slides"] for label in slide.sections}
        lines = []
        for group in entries["beyond"]:
            labels = matching(group.get("sections", []), known)
            links = section_lines([x for x in labels if x not in on_slides], known)
            lines += [group["reason"], "", *(f"- {link}" for link in links), ""]
        return self.parsed(lines, nodes.container()).children


def address_of_tests(config):
    """Where the folder of the tests can be read; empty if the book knows no repository."""
    theme = config.html_theme_options  # repository.py sets all three
    address = "{repository_url}/blob/{repository_branch}/tests"
    return address.format(**theme) if theme.get("use_repository_button") else ""


def complete_where(app, docname, source):
    """Add to a chapter's line **Where** the code and the tests that follow from its stem."""
    stem, text = docname.removeprefix("book/"), source[0]
    if not (BOOK / f"{stem}.ipynb").exists():
        return
    code, tests = code_and_tests(stem, address_of_tests(app.config))
    added = f"; code {code}" + (f"; tests {tests}" if tests else "")
    # The source is the JSON of the notebook.
    escaped = json.dumps(added, ensure_ascii=False)[1:-1]
    source[0] = WHERE_LINE.sub(lambda line: f"{line[1]}{escaped}.{line[2]}", text, count=1)


def link_slides(app, doctree):
    """Turn the numbers in a chapter's line **Where** into links to the cards."""
    if "book/slide_map" not in app.env.found_docs:
        return
    for paragraph in doctree.findall(nodes.paragraph):
        parts = [part for part in paragraph if part.astext()]
        if len(parts) > 1 and parts[0].astext() == "Where" and "slide" in parts[1].astext():
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
    app.connect("source-read", complete_where)
    app.connect("doctree-read", link_slides)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
