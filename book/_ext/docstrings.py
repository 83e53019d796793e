"""Show the package's docstrings, which are written to be read in the source, as pages.

A module's legend of symbols keeps its columns; a shape such as (*runs, p) is no emphasis; a label
of the book, `eq-gd-step`, becomes a link, and so an error of the strict build when it is gone.
"""

import re

ROLES = {"eq": "eq", "thm": "prf:ref", "lem": "prf:ref", "alg": "prf:ref"}
LABEL = re.compile(r"`((eq|thm|lem|alg)-[\w-]+)`")


def linked(line):
    line = LABEL.sub(lambda match: f":{ROLES[match[2]]}:`{match[1]}`", line)
    return (
        line if line.lstrip().startswith((">>>", "..")) else re.sub(r"(?<!\S)\(\*", r"(\\*", line)
    )


def process_docstring(app, what, name, obj, options, lines):
    if what == "module" and any(lines[1:]):
        lines[:] = [linked(lines[0]), "", "::", "", *(f"   {line}" for line in lines[1:])]
    else:
        lines[:] = [linked(line) for line in lines]


def skip_member(app, what, name, obj, skip, options):
    """Leave out the fields of a named tuple: the record's own docstring says what they are."""
    return True if str(getattr(obj, "__doc__", "")).startswith("Alias for field number") else None


def setup(app):
    app.connect("autodoc-skip-member", skip_member)
    app.connect("autodoc-process-docstring", process_docstring)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
