"""Typeset mathematics while building: the page carries finished HTML and MathML, no script.

sphinxcontrib-katex would start Node for this; the KaTeX that it ships runs as well in QuickJS,
which is a plain Python dependency. TeX that KaTeX refuses becomes a warning, which fails a strict
build.
"""

import functools
import html
from pathlib import Path

import quickjs
import sphinxcontrib.katex
from docutils import nodes
from sphinx.util import logging

log = logging.getLogger(__name__)
ERROR = "error: "  # how a refusal of KaTeX begins; typeset HTML begins with a tag


@functools.cache
def katex():
    """KaTeX as a function (tex, display) -> HTML; a refusal starts with `ERROR`."""
    context = quickjs.Context()
    script = Path(sphinxcontrib.katex.__file__).with_name("katex.min.js")
    context.eval(script.read_text(encoding="utf-8"))
    # The spread flattens the string: QuickJS cannot hand over one that is still a rope.
    return context.eval("""(tex, displayMode) => {
        try { return [...katex.renderToString(tex, {displayMode, throwOnError: true})].join(""); }
        catch (e) { return "error: " + e.message; }
    }""")


@functools.cache
def typeset(tex, display):
    # Like Sphinx for LaTeX: a display of several lines need not name an environment.
    if display and "\\\\" in tex and "\\begin" not in tex:
        tex = rf"\begin{{aligned}}{tex}\end{{aligned}}"
    return katex()(tex, display)


def check(app, doctree):
    """Warn of what KaTeX refuses, and say where it stands."""
    for node in doctree.findall(lambda n: isinstance(n, nodes.math | nodes.math_block)):
        typeset_or_error = typeset(node.astext(), isinstance(node, nodes.math_block))
        if typeset_or_error.startswith(ERROR):
            log.warning("cannot typeset: %s", typeset_or_error, location=node, type="katex")


def render_latex(tex, options=None):
    """What sphinxcontrib-katex calls for each formula."""
    rendered = typeset(tex, bool((options or {}).get("displayMode")))
    return f"<code>{html.escape(tex)}</code>" if rendered.startswith(ERROR) else rendered


def setup(app):
    sphinxcontrib.katex.render_latex = render_latex
    app.config.katex_prerender = True
    app.connect("doctree-read", check)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
