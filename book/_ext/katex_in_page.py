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
from sphinx.util import logging

log = logging.getLogger(__name__)


@functools.cache
def katex():
    """KaTeX as a function (tex, display) -> HTML; an error message starts with `error: `."""
    context = quickjs.Context()
    script = Path(sphinxcontrib.katex.__file__).with_name("katex.min.js")
    context.eval(script.read_text(encoding="utf-8"))
    # The spread flattens the string: QuickJS cannot hand over one that is still a rope.
    return context.eval("""(tex, displayMode) => {
        try { return [...katex.renderToString(tex, {displayMode, throwOnError: true})].join(""); }
        catch (e) { return "error: " + e.message; }
    }""")


def render_latex(tex, options=None):
    rendered = katex()(tex, bool((options or {}).get("displayMode")))
    if rendered.startswith("error: "):
        log.warning("cannot typeset %r: %s", tex, rendered, type="katex")
        return f"<code>{html.escape(tex)}</code>"
    return rendered


def setup(app):
    sphinxcontrib.katex.render_latex = render_latex
    app.config.katex_prerender = True
    return {"parallel_read_safe": True, "parallel_write_safe": False}
