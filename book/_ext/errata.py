"""The errata: cards of the rows of `book/errata.yml`, and links to them from everywhere.

`{errata} 1-13` shows the rows on these slides, `{errata} sources` those of the cited sources.
The role {erratum}`E19` is a link to a card. With a record of a test run over the present sources
each card says whether its tests passed in it.
"""

from pathlib import Path

import slide_map
from docutils import nodes
from docutils.statemachine import StringList
from repository import find_repository
from sphinx.addnodes import pending_xref
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

from tools import errata_rows, proofs

ROOT = Path(__file__).parents[2]
PAGE, SLIDES = "book/errata", "book/slide_map"
logger = logging.getLogger(__name__)


class Errata(SphinxDirective):
    """Cards of the rows on a range of slides, or of the sources."""

    required_arguments = 1

    def run(self):
        self.env.note_dependency(str(errata_rows.BOOK / "errata.yml"))
        rows = errata_rows.read().values()
        return [self.card(row) for row in rows if is_in(row, self.arguments[0])]

    def card(self, row):
        """A box with a title and a list: what is printed, what is true, and how that is known."""
        domain = self.env.get_domain("std")
        domain.note_hyperlink_target(row.anchor, self.env.docname, row.anchor, f"erratum {row.id}")
        box = nodes.container("", ids=[row.anchor], classes=["erratum", row.verdict])
        text = [title(row, self.env), "", *self.lines(row)]
        self.state.nested_parse(StringList(text, source="errata.yml"), self.content_offset, box)
        box[0]["classes"].append("erratum-title")
        return box

    def lines(self, row):
        """Markdown of the list in a card, without what the row does not have."""
        entries = {
            "Printed": row.text("printed"),
            "Correct": row.text("correct"),
            "Measured": row.text("shown"),
            "Source": row.source,
            "Chapter": chapter(row.chapter, self.env),
            "No test": row.unchecked,
        }
        lines = []
        for term, text in entries.items():
            lines += [term, f": {' '.join(text.split())}", ""] if text else []
        if row.tests:
            lines.append("Tests" if len(row.tests) > 1 else "Test")
        for test in row.tests:
            lines += [f": {claim(test, self.env.app.test_results)}", "", f"  `{test}`", ""]
        return lines


def is_in(row, group):
    """Whether a row belongs to a group such as `1-13`, by its first slide, or to `sources`."""
    if group == "sources":
        return not row.slides
    first, last = map(int, group.split("-"))
    return bool(row.slides) and first <= row.slides[0] <= last


def title(row, env):
    """Id, place and verdict; the slides as links where there is a slide map."""
    is_mapped = SLIDES in env.found_docs
    slides = [f"{{ref}}`{n} <slide-{n}>`" if is_mapped else str(n) for n in row.slides]
    noun = "slide" if len(slides) == 1 else "slides"
    where = f"{noun} {', '.join(slides)}" if slides else row.where
    return f"{{ref}}`{row.id} <{row.anchor}>` *{row.verdict}* {where}"


def chapter(stem, env):
    """A link to the chapter, or its name where it is still to come."""
    if f"book/{stem}" in env.found_docs:
        return f"{{doc}}`{stem}`"
    if not stem:
        return ""
    env.note_dependency(str(slide_map.BOOK / "slides.yml"))
    return f"{slide_map.read_map()['planned'].get(stem, stem)}, planned"


def claim(test, results):
    """The claim of a test, and what became of it in the run on record."""
    repository = find_repository()
    said = proofs.Proof(test, ()).claim
    if repository:
        said = f"[{said}]({repository}/blob/HEAD/{test.partition('::')[0]})"
    return f"{said}, *{results[test]}*" if test in results else said


class Erratum(SphinxRole):
    """A link to a card, by the id of its row."""

    def run(self):
        row, words = errata_rows.read().get(self.text), f"erratum {self.text}"
        if row is None:
            place = self.get_location()
            logger.warning("there is no erratum %s in book/errata.yml", self.text, location=place)
        if row is None or PAGE not in self.env.found_docs:
            return [nodes.Text(words)], []
        target = {"refdomain": "std", "reftype": "ref", "reftarget": row.anchor}
        return [pending_xref("", nodes.inline("", words), refexplicit=True, **target)], []


def read_results(app):
    """What became of each test in the last run, where the record holds for these sources."""
    app.test_results = {proof.test: proof.result for proof in proofs.read(ROOT) or []}


def find_outdated(app, env, added, changed, removed):
    """The cards are made anew when results have changed."""
    known, env.test_results = getattr(env, "test_results", None), app.test_results
    return [PAGE] if PAGE in env.found_docs and known != app.test_results else []


def setup(app):
    app.add_directive("errata", Errata)
    app.add_role("erratum", Erratum())
    app.connect("builder-inited", read_results)
    app.connect("env-get-outdated", find_outdated)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
