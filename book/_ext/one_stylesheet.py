"""One stylesheet for all pages, without the rules and the icons that no page uses.

The theme and its extensions bring fifteen stylesheets and three fonts of icons, 1.3 MB, before a
page can be drawn; the pages use a tenth. After the build `_static/book.css` holds what they use,
icons included, and files that nothing refers to are removed. Rules that are not the book's own lie
in a layer, where the book's win over them without being more specific.
"""

import base64
import io
import logging
import posixpath
import re
from pathlib import Path

import tinycss2
from fontTools import subset
from fontTools.ttLib import TTFont

THEME = ["basic.css", "styles/pydata-sphinx-theme.css"]  # which the theme's own template links
REPLACED = {  # by course.css
    "exercise.css",
    "katex-math.css",
    "proof.css",
    "sphinx-thebe.css",
    "togglebutton.css",
}
BUNDLE = "book.css"
PUT_TOGETHER = {"bs-tooltip-auto"}  # by a script from parts, so that no file holds the whole name
CLASS_OR_ID = re.compile(r'\b(?:class|id)="([^"]*)"')
WORD = re.compile(r"[\w-]+")
REFERENCE = re.compile(r'\b(?:src|href)="([^"?#]*)')
FILE_NAME = re.compile(r"[\w-][\w.-]*\.\w+")
URL = re.compile(r"""url\((['"]?)(?!data:|#)([^'")?#]+)[^'")]*\1\)""")
ICON = re.compile("[\ue000-\uf8ff]")
ICON_FONT = re.compile(r"url\((vendor/fontawesome/[\w/-]+)\.woff2\)[^;}]*")


def read(files):
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def names_needed(selector):
    """Classes and ids without which a selector matches nothing; those in :not(.x) are no need."""
    for before, token in zip([None, *selector], selector, strict=False):
        if token.type == "hash" or token.type == "ident" and before == ".":
            yield token.value


def split_selectors(prelude):
    selectors = [[]]
    for token in prelude:
        if token == ",":
            selectors.append([])
        else:
            selectors[-1].append(token)
    return selectors


def used_rules(rules, names):
    """The rules as text, without selectors that match nothing; notices of licences stay."""
    for rule in rules:
        if rule.type == "comment" and rule.value.startswith("!"):
            yield rule.serialize()
        elif rule.type == "qualified-rule":
            selectors = split_selectors(rule.prelude)
            used = [s for s in selectors if names.issuperset(names_needed(s))]
            if used:
                prelude = ",".join(tinycss2.serialize(selector).strip() for selector in used)
                yield f"{prelude}{{{tinycss2.serialize(rule.content).strip()}}}"
        elif rule.type == "at-rule" and rule.lower_at_keyword in {"media", "supports"}:
            inside = tinycss2.parse_rule_list(rule.content, True, True)
            inside = "".join(used_rules(inside, names))
            if inside:
                yield f"@{rule.at_keyword}{tinycss2.serialize(rule.prelude)}{{{inside}}}"
        elif rule.type == "at-rule" and rule.lower_at_keyword != "charset":
            yield rule.serialize()


def read_stylesheet(static, file):
    """Rules of a stylesheet, its addresses relative to `static` instead of its own folder."""
    folder = posixpath.dirname(file)
    css = (static / file).read_text(encoding="utf-8")
    css = URL.sub(lambda m: f"url({posixpath.normpath(posixpath.join(folder, m[2]))})", css)
    return tinycss2.parse_stylesheet(css, skip_whitespace=True)


def inline_icons(css, static):
    """Put the icon fonts, cut down to the icons in use, into the stylesheet."""
    icons = {ord(icon) for icon in ICON.findall(css)}

    def inlined(match):
        font = TTFont(static / f"{match[1]}.ttf", recalcTimestamp=False)
        cutter = subset.Subsetter()
        cutter.populate(unicodes=icons)
        cutter.subset(font)
        font.flavor, file = "woff", io.BytesIO()
        font.save(file)
        return f"url(data:font/woff;base64,{base64.b64encode(file.getvalue()).decode()})"

    return ICON_FONT.sub(inlined, css)


def stylesheets(app):
    """Files of the theme and of extensions, and those of the book, in the order of the cascade."""
    own = [file for file, _ in app.config.html_css_files]
    sheets = sorted(app.builder.globalcontext["css_files"], key=lambda sheet: sheet.priority)
    files = [sheet.filename.removeprefix("_static/") for sheet in sheets]
    return [*THEME, *(file for file in files if file not in REPLACED and file not in own)], own


def bundle(app, exception):
    if exception is not None or not hasattr(app.builder, "globalcontext"):
        return  # the build failed, or nothing was out of date and the last bundle stands
    out, static = Path(app.outdir), Path(app.outdir, "_static")
    pages = read(page for page in out.rglob("*.html") if static not in page.parents)
    named = {posixpath.basename(address) for address in REFERENCE.findall(pages)}
    scripts = read(script for script in static.rglob("*.js") if script.name in named)
    names = set(WORD.findall(scripts)) | PUT_TOGETHER
    names.update(name for value in CLASS_OR_ID.findall(pages) for name in value.split())

    def used(files):
        rules = (
            rule for file in files for rule in used_rules(read_stylesheet(static, file), names)
        )
        return inline_icons("\n".join(rules), static)

    theirs, own = map(used, stylesheets(app))
    css = f"@layer theme {{\n{theirs}\n}}\n{own}\n"
    (static / BUNDLE).write_text(css, encoding="utf-8")
    remove_unused(static, named | set(FILE_NAME.findall(scripts + css)))


def remove_unused(static, named):
    """Files that no page, script or style names; licences stay with what they license."""
    for path in sorted(static.rglob("*"), reverse=True):  # what is in a folder before the folder
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
        elif path.is_file() and "LICENSE" not in path.name:
            if path.name not in named or path.suffix == ".map":
                path.unlink()


def setup(app):
    logging.getLogger("fontTools").setLevel(logging.WARNING)  # it reports each table that it cuts
    app.connect("build-finished", bundle, priority=900)  # sphinx-proof copies its style at 500
    return {"parallel_read_safe": True, "parallel_write_safe": True}
