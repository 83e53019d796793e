"""The pages of the package: `{modules} dlcourse.linear` shows each module of a room.

Nothing is listed by hand: a package is followed by its modules, in the order of their names, and so
on downwards; `:without:` names what stands on another page. `{modules} chapters: Computing` shows
the code of the chapters of this part of the table of contents.
"""

from pathlib import Path

import yaml
from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).parents[2]
CHAPTERS = "chapters: "


def modules(name, without=(), root=ROOT):
    """The public modules of a package and the package itself, in front of them."""
    place = root.joinpath(*name.split("."))
    if name in without:
        return
    if place.with_suffix(".py").is_file():
        yield name
    elif (place / "__init__.py").is_file():
        yield name
        for path in sorted(place.iterdir()):
            if path.suffix in ("", ".py") and not path.stem.startswith("_"):
                yield from modules(f"{name}.{path.stem}", without, root)


def chapters_of(caption, root=ROOT):
    """The code of the chapters of one part, in the order of the table of contents."""
    contents = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    for part in contents["parts"]:
        if part["caption"] == caption:
            for entry in part["chapters"]:
                yield "dlcourse.chapters." + entry["file"].removeprefix("book/")


def is_reexporting(name, root=ROOT):
    """Whether a module is a package, whose members are shown where they are defined."""
    return root.joinpath(*name.split("."), "__init__.py").is_file()


class Modules(SphinxDirective):
    """Every module of the rooms that the arguments name."""

    required_arguments = 1
    final_argument_whitespace = True
    option_spec = {"without": directives.unchanged}

    def run(self):
        asked, without = self.arguments[0], self.options.get("without", "").split()
        names = chapters_of(asked.removeprefix(CHAPTERS)) if CHAPTERS in asked else asked.split()
        lines = ["```{eval-rst}"]
        for name in (module for room in names for module in modules(room, without)):
            lines += [f".. automodule:: {name}", *([] if is_reexporting(name) else [MEMBERS]), ""]
        shown = nodes.container()
        text = StringList([*lines, "```"], source="api_pages.py")
        self.state.nested_parse(text, self.content_offset, shown)
        return shown.children


MEMBERS = "   :members:"


def setup(app):
    app.add_directive("modules", Modules)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
