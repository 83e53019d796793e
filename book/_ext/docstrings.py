"""Show the package's docstrings, which are written to be read in the source, as pages.

A module's legend of symbols keeps its columns; a shape such as (*runs, p) is no emphasis; a label
of the book, `eq-gd-step`, becomes a link, and so an error of the strict build when it is gone.
"""

import itertools
import re

ROLES = {"eq": "eq", "thm": "prf:ref", "lem": "prf:ref", "alg": "prf:ref"}
COLUMNS = re.compile(r"\S {3,}\S|^\S+  +\S")
NO_MARKUP = re.compile(r"(`[^`]*`)|(?<=\()\*|\|")  # (*runs, p) and |x|, but code as it is
LABEL = re.compile(r"`((eq|thm|lem|alg)-[\w-]+)`")


def linked(line):
    """The line with its labels as links, and with what is no markup in our docstrings escaped."""
    line = LABEL.sub(lambda match: f":{ROLES[match[2]]}:`{match[1]}`", line)
    if line.lstrip().startswith((">>>", "..")):
        return line
    return NO_MARKUP.sub(lambda match: match[1] or f"\\{match[0]}", line)


def with_columns(lines):
    """The lines, each paragraph that lines up columns with spaces made a literal block."""
    for has_text, paragraph in itertools.groupby(lines, key=bool):
        paragraph = list(paragraph)
        if (
            has_text
            and any(COLUMNS.search(line) for line in paragraph)
            and "==" not in paragraph[0]
        ):
            yield from ["::", "", *(f"   {line}" for line in paragraph)]
        else:
            yield from map(linked, paragraph)


def process_docstring(app, what, name, obj, options, lines):
    lines[:] = with_columns(list(lines)) if what == "module" else map(linked, lines)


def skip_member(app, what, name, obj, skip, options):
    """Leave out the fields of a named tuple: the record's own docstring says what they are."""
    return True if str(getattr(obj, "__doc__", "")).startswith("Alias for field number") else None


def setup(app):
    app.connect("autodoc-skip-member", skip_member)
    app.connect("autodoc-process-docstring", process_docstring)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
