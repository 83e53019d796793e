"""The text of every page beside the search index, for the words shown under a result.

A script, since a page opened from a folder may load scripts but fetch nothing.
"""

import json
from pathlib import Path

from docutils import nodes

SHOWN = (nodes.title, nodes.paragraph, nodes.term, nodes.literal_block)


def page_text(doctree):
    parts = [part.astext() for part in doctree.findall(lambda node: isinstance(node, SHOWN))]
    return " ".join(" ".join(parts).split())


def write_texts(app, exception):
    if exception is not None:
        return
    texts = {name: page_text(app.env.get_doctree(name)) for name in sorted(app.env.found_docs)}
    script = f"const PAGE_TEXTS = {json.dumps(texts, ensure_ascii=False)};\n"
    Path(app.outdir, "_static", "page_texts.js").write_text(script, encoding="utf-8")


def setup(app):
    app.connect("build-finished", write_texts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
