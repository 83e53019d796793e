"""`.. displayed:: eq-adam-step` in a docstring: on its page the equation that the book has there.

LaTeX, number and badge are those of the label, and the number leads to the statement; nothing is
typed twice. Several labels stand below each other: `.. displayed:: eq-a, eq-b`. A label that no
page of the site displays fails the strict build.
"""

from pathlib import Path

from docutils import nodes
from ledger import ROOT, badge, is_built, link
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from tools import statements

log = logging.getLogger(__name__)


class displayed_equation(nodes.General, nodes.Element):
    """Where an equation goes once all equations have their numbers."""


class Displayed(SphinxDirective):
    """The equations that the labels name."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self):
        shown = []
        for label in self.arguments[0].replace(",", " ").split():
            node = displayed_equation(label=label)
            self.set_source_info(node)
            shown.append(node)
            if label in self.env.app.displays:  # a change there changes this page
                self.env.note_dependency(str(Path(ROOT, self.env.app.displays[label][0])))
        return shown


class ShowEquations(SphinxPostTransform):
    """Write each equation with its number, a link, and its badge."""

    default_priority = 810  # after `AddBadges`, which has nothing to do here
    formats = ("html",)

    def run(self, **kwargs):
        for node in list(self.document.findall(displayed_equation)):
            node.replace_self(self.equation(node, node["label"]))

    def equation(self, node, label):
        if label not in self.app.displays or not is_built(self.app, label):
            said = "no page displays %s: write `$$ ... $$ (%s)` on one, or name another label"
            log.warning(said, label, label, location=node, type="displayed")
            return []
        tex = self.app.displays[label][1].strip()
        address, number = link(self.app, self.env.docname, label)
        row = nodes.container(classes=["with-badge"])
        row += nodes.math_block(tex, tex, number=None, nowrap=False)
        row += nodes.raw("", f'<a class="eqno" href="{address}">{number}</a>', format="html")
        row += badge(self.app, self.env.docname, label) or []
        return row


def read_displays(app):
    """label -> the source of its page, and LaTeX."""
    app.displays = {
        label: (source, tex)
        for source, text in statements.pages(ROOT).items()
        for label, tex in statements.displays(text).items()
    }


def setup(app):
    app.add_node(displayed_equation)
    app.add_directive("displayed", Displayed)
    app.add_post_transform(ShowEquations)
    app.connect("builder-inited", read_displays)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
