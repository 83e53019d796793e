"""Pages lighter, quieter and accessible: what the theme lacks is set before a page is written.

Nothing is edited after the build. The frame of a page is in `book/_templates`, its content is
mended in the document tree, and what remains are a few strings that extensions write themselves.
"""

import textwrap

from docutils import nodes

# Kernels in the page need a network; folding needs no script (folded_blocks.py).
UNUSED_SCRIPTS = ("sphinx-thebe.js", "togglebutton.js")
TABS_SCRIPT = "design-tabs.js"
MENDED = {
    # A label that hides the text which is there, "Show code cell source".
    '<summary aria-label="Toggle hidden content">': "<summary>",
    # Roles that ARIA has withdrawn, or that their children do not fit.
    '<div role="list" class="citation-list">': '<div class="citation-list">',
    ' role="doc-biblioentry"': "",
    # The theme lets the keyboard scroll boxes of this class, and no other box of mathematics.
    '<span class="katex-display">': '<span class="katex-display pst-scrollable-table-container">',
}
DESCRIPTIONS = {
    "genindex": "Index of the terms that the course explains and of the functions of its package.",
    "search": "Search the chapters, the glossary and the package of the course.",
}


def needed_scripts(context):
    """Scripts that the page uses, each once, after its content; inline ones only set up others."""
    kept = {}
    for script in context["script_files"]:
        name = script.filename or ""
        has_tabs = "sd-tab-set" in context.get("body", "")
        if name and not name.endswith(UNUSED_SCRIPTS) and (has_tabs or TABS_SCRIPT not in name):
            script.attributes["defer"] = "defer"
            kept[name] = script
    return list(kept.values())


def with_label(toctree):
    """The list of pages in the sidebar, whose arrows would have no name."""
    label = '<summary aria-label="Show or hide the pages below">'
    return lambda *args, **options: str(toctree(*args, **options)).replace("<summary>", label)


def first_words(doctree):
    """Start of the first paragraph that says something, without its bold lead: **Question** ..."""
    for paragraph in doctree.findall(nodes.paragraph):
        said = [part.astext() for part in paragraph if not isinstance(part, nodes.strong)]
        text = " ".join("".join(said).split())
        if len(text) > 40:
            return textwrap.shorten(text, 155, placeholder=" …")
    return ""


def polish(app, pagename, templatename, context, doctree):
    context["script_files"] = needed_scripts(context)
    context["generate_toctree_html"] = with_label(context["generate_toctree_html"])
    for found, mended in MENDED.items():
        context["body"] = context.get("body", "").replace(found, mended)
    if 'name="description"' not in context.get("metatags", ""):
        context["description"] = first_words(doctree) if doctree else DESCRIPTIONS.get(pagename)


def drop_kernel_settings(app, doctree, docname):
    """The scripts that tell a page about kernels in the page, which it does not start."""
    for raw in list(doctree.findall(nodes.raw)):
        if "x-thebe-config" in raw.astext() or "<script>kernelName" in raw.astext():
            raw.parent.remove(raw)


def choose_colors_of_code(app, config):
    """Calmer than the theme's own, and still with the contrast that small type needs."""
    config.html_theme_options |= {
        "pygments_light_style": "github-light-high-contrast",
        "pygments_dark_style": "github-dark",
    }


def root_page(app):
    """A page at the top of the folder that leads to the first one and is a whole page itself."""
    yield "index", {"script_files": []}, "redirect.html"


def setup(app):
    app.connect("config-inited", choose_colors_of_code)
    app.connect("doctree-resolved", drop_kernel_settings, priority=900)  # after they are put in
    app.connect("html-page-context", polish, priority=900)  # after all who add scripts
    app.connect("html-collect-pages", root_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
