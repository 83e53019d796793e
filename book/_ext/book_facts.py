"""Facts about the book, counted from its own files while building: nothing is typed twice.

Pages write `{{ n_cells }}` and get the number; `{chapters}` is the table of chapters with
what each costs its reader.
"""

import re
from pathlib import Path

import nbformat
import yaml
from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList

BOOK = Path(__file__).parents[1]
COST = re.compile(r"\*\*Cost\*\* about (\d+) minutes to read, (\d+) s to run")
QUESTION = re.compile(r"\*\*Question\*\* (.+?)\n\n", re.DOTALL)
EQUATION = re.compile(r"\$\$[^$]+\$\$ \(eq-", re.DOTALL)
EXERCISE = re.compile(r"^:{3,}\{exercise", re.MULTILINE)


def notebooks():
    """The chapters in the order of the table of contents."""
    contents = yaml.safe_load((BOOK.parent / "_toc.yml").read_text())
    entries = [chapter["file"] for part in contents["parts"] for chapter in part["chapters"]]
    paths = [BOOK.parent / f"{entry}.ipynb" for entry in entries]
    return {path.stem: nbformat.read(path, as_version=4) for path in paths if path.exists()}


def facts():
    """Counts over all chapters, as the pages call them."""
    cells = [cell for notebook in notebooks().values() for cell in notebook.cells]
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    costs = [map(int, match) for match in COST.findall(prose)]
    minutes, seconds = (sum(column) for column in zip(*costs, strict=True)) if costs else (0, 0)
    return {
        "n_cells": sum(cell.cell_type == "code" for cell in cells),
        "n_equations": len(EQUATION.findall(prose)),
        "n_exercises": len(EXERCISE.findall(prose)),
        "reading_hours": f"{minutes / 60:.1f}",
        "run_seconds": seconds,
    }


class Chapters(Directive):
    """Table of the chapters: title, question, what it costs."""

    def run(self):
        for path in BOOK.glob("*.ipynb"):
            self.state.document.settings.env.note_dependency(str(path))
        rows = ["| chapter | question | to read | to run |", "|---|---|---|---|"]
        for stem, notebook in notebooks().items():
            title = notebook.cells[0].source
            question = QUESTION.search(title)
            if question is None:
                continue  # a page of results, no chapter
            minutes, seconds = COST.search(title).groups()
            words = " ".join(question[1].split())
            rows.append(f"| {{doc}}`{stem}` | {words} | {minutes} min | {seconds} s |")
        parent = nodes.Element()
        self.state.nested_parse(StringList(rows, source=str(BOOK)), self.content_offset, parent)
        return parent.children


def count(app, config):
    config.myst_substitutions = {**config.myst_substitutions, **facts()}


def setup(app):
    app.connect("config-inited", count)
    app.add_directive("chapters", Chapters)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
