"""The text of every page beside the search index, for the words shown under a result.

A script, since a page opened from a folder may load scripts but fetch nothing.
"""

import json
from pathlib import Path

from docutils import nodes

SHOWN = (nodes.title, nodes.paragraph, nodes.term, nodes.literal_block)


def is_shown(node):
    return isinstance(node, SHOWN) and not isinstance(node.parent, nodes.system_message)


def page_text(doctree):
    return " ".join(" ".join(part.astext() for part in doctree.findall(is_shown)).split())


def keep_text(app, doctree):
    """Keep the text while the page is in hand: at the end all pages would be loaded again."""
    app.env.metadata[app.env.docname]["text_shown"] = page_text(doctree)


def write_texts(app, exception):
    if exception is not None:
        return
    texts = {name: app.env.metadata[name]["text_shown"] for name in sorted(app.env.found_docs)}
    script = f"const PAGE_TEXTS = {json.dumps(texts, ensure_ascii=False)};\n"
    Path(app.outdir, "_static", "page_texts.js").write_text(script, encoding="utf-8")


def setup(app):
    app.connect("doctree-read", keep_text, priority=900)  # after all that changes the page
    app.connect("build-finished", write_texts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
