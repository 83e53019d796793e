"""Proofs, solutions and notes with `:class: dropdown` as `details`: folded by the browser itself.

No script is needed, the keyboard and the search of the browser open them, and so does a link to
anything inside, since the label of a block stands on its content.
"""

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform

REPEATED_IDS = {"proof", "proof-content", "exercise-content", "solution-content"}


class folded(nodes.General, nodes.Element):
    """A block that its reader opens; its first child is the `summary`."""


class summary(nodes.TextElement):
    """The line that stays in sight."""


class FoldBlocks(SphinxPostTransform):
    default_priority = 900  # after the extensions have written the titles
    formats = ("html",)

    def run(self, **kwargs):
        for node in list(self.document.findall(nodes.Admonition)):
            if "dropdown" in node.get("classes", ()):
                node.parent.replace(node, fold(node))
        for node in self.document.findall(nodes.Element):
            # The same id in every proof of a page: no address, and invalid HTML.
            node["ids"] = [name for name in node["ids"] if name not in REPEATED_IDS]


def fold(block):
    """The admonition as a folded block with the same content."""
    title = take_title(block)
    content = nodes.container(ids=block["ids"], classes=["content"])
    content += block.children
    return folded("", summary("", "", *title), content, classes=block["classes"])


def take_title(block):
    """Remove the title from a block and return its parts; a proof has the word in its text."""
    if isinstance(block[0], nodes.title):
        return block.pop(0).children
    first = next(block[0].findall(nodes.Text))
    first.parent.replace(first, nodes.Text(first.removeprefix("Proof. ")))
    return [nodes.Text("Proof")]


def visit_folded(self, node):
    self.body.append(self.starttag(node, "details", CLASS="folded"))


def depart_folded(self, node):
    self.body.append("</details>\n")


def visit_summary(self, node):
    self.body.append("<summary>")


def depart_summary(self, node):
    self.body.append("</summary>\n")


def setup(app):
    app.add_node(folded, html=(visit_folded, depart_folded))
    app.add_node(summary, html=(visit_summary, depart_summary))
    app.add_post_transform(FoldBlocks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
