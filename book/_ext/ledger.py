"""A badge beside each statement that the last test run proved, and the ledger that lists them all.

The badge leads to the statement's row on the page of the directive `{ledger}`, the row to the
tests. Without a record of a run over these very sources there is no badge, and the page says so.
"""

import hashlib
import html
import re
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from sphinx.transforms.post_transforms import SphinxPostTransform

from tools import proofs, seals, statements

ROOT = Path(__file__).parents[2]
LEDGER = "book/ledger"
API = "book/api/"  # where docstrings display equations
TITLE = re.compile(r"^# (.+)$", re.MULTILINE)
LISTED = re.compile(r"^[ -]*(?:root|file): *(\S+)", re.MULTILINE)
NO_RUN = """\
:::{note}
No test run over the present sources is on record here, so no equation carries a badge, and there is
nothing to list. Run `make test`: it proves every statement, builds the site from what passed, and
says where that site is. Until a source changes, `make book` shows the badges too.
:::"""


class ledger_part(nodes.General, nodes.Element):
    """Where the summary, or the table of a page, goes once all equations have their numbers."""


class Ledger(Directive):
    """A summary, and a section with a table for each page that states something."""

    def run(self):
        env = self.state.document.settings.env
        if env.app.proved is None:
            parent = nodes.Element()
            self.state.nested_parse(StringList(NO_RUN.splitlines(), source=LEDGER), 0, parent)
            return parent.children
        parts = [ledger_part(page=None)]
        for page in stating_pages(env.app):
            section = nodes.section("", nodes.title("", title(page)), ledger_part(page=page))
            section["names"].append(nodes.fully_normalize_name(title(page)))
            self.state.document.note_implicit_target(section, section)
            parts.append(section)
        return parts


def stating_pages(app):
    """Pages that state something, in the order of the contents."""
    contents = LISTED.findall(Path(ROOT, "_toc.yml").read_text(encoding="utf-8"))
    return [page for page in contents if page in app.env.found_docs and app.stated.get(page)]


def title(page):
    (path,) = Path(ROOT, page).parent.glob(Path(page).name + ".[im]*")
    return TITLE.search(statements.prose(path))[1]


def blocks(app):
    """The blocks of sphinx-proof by label."""
    return getattr(app.env, "proof_list", {})  # there is none before the first block is read


def place(app, label):
    """Page, anchor and name of a statement, such as `(2.1)` or `Theorem 1.3`."""
    equations = app.env.get_domain("math").equations
    if label in equations:
        page, kind, anchor, form = equations[label][0], "displaymath", f"equation-{label}", "({})"
    else:
        block = blocks(app)[label]
        page, kind, anchor = block["docname"], block["countertype"], label
        form = block["realtype"].title() + " {}"
    number = app.env.toc_fignumbers.get(page, {}).get(kind, {}).get(anchor, ())
    return page, anchor, form.format(".".join(map(str, number))).strip()


def is_built(app, label):
    """Whether a page of this site states it; a test may run ahead of its page."""
    return label in app.env.get_domain("math").equations or label in blocks(app)


def link(app, from_page, label):
    """Address and name of a statement, as a page links to it."""
    page, anchor, name = place(app, label)
    return f"{app.builder.get_relative_uri(from_page, page)}#{anchor}", name


def tests_page(page):
    """Name of the page that shows the tests behind a page."""
    return f"{LEDGER}/{page.removeprefix('book/')}"


def summary(app):
    """What the top of the ledger counts."""
    labels = [s.label for page in stating_pages(app) for s in app.stated[page]]
    counted = {label: proofs.that_count(app.proved.get(label, [])) for label in labels}
    pairs = [pair for pairs in counted.values() for pair in pairs]
    tests = {proof for proof, _ in pairs}
    ways = [
        {
            "meaning": meaning,
            "n_statements": sum(way in {w for _, w in pairs} for pairs in counted.values()),
            "n_tests": len({proof for proof, w in pairs if w == way}),
        }
        for way, meaning in proofs.WAYS.items()
    ]
    return {
        "n_statements": len(labels),
        "n_checked": sum(map(bool, counted.values())),
        "n_tests": len(tests),
        "n_cases": sum(proof.passed for proof in tests),
        "ways": ways,
        "chapters": [counts(app, page) for page in stating_pages(app)],
        "survivors": reasons(app, "survivors"),
        "one_sided": reasons(app, "one_sided"),
    }


def reasons(app, part):
    """Rows of what `displays.yml` lists: address and name of a display, and texts."""
    for label, entry in seals.displays(ROOT)[part].items():
        address, name = link(app, LEDGER, label) if is_built(app, label) else ("", label)
        for what, why in entry.items() if isinstance(entry, dict) else [("", entry)]:
            yield address, name, what, why


def counts(app, page):
    """How many displays of a page are evaluated, and how sharply."""
    labels = [s.label for s in app.stated[page] if s.kind == "equation"]
    found = [app.evaluated[label] for label in labels if label in app.evaluated]
    return {
        "title": title(page),
        "n_displays": len(labels),
        "n_evaluated": len(found),
        "n_mutants": sum(row.n_mutants for row in found),
        "n_told": sum(row.n_mutants - row.n_survivors for row in found),
        "n_bounds": sum(bool(row.sides) for row in found),
        "n_both": sum(row.sides == "both" for row in found),
    }


def of_display(app, label):
    """What the ledger says of a display beside the tests that prove it."""
    if label in app.sealed:
        return f"sealed: {app.sealed[label]['why']}"
    row = app.evaluated.get(label)
    if row is None:
        return ""
    told = f"evaluated: {row.n_mutants - row.n_survivors} of {row.n_mutants} changes noticed"
    bounds = {"both": ", its bound from both sides", "one": ", its bound from one side", "": ""}
    return told + bounds[row.sides]


def table(app, page):
    """Rows of the table of a page: each statement with the tests that prove it."""
    tests = app.builder.get_relative_uri(LEDGER, tests_page(page))
    rows = []
    for statement in app.stated[page]:
        address, name = link(app, LEDGER, statement.label)
        pairs = app.proved.get(statement.label, [])
        heading = "" if statement.kind == "equation" or "$" in statement.text else statement.text
        cells = [(f"{tests}#{proof.anchor}", proof, proofs.WAYS[way]) for proof, way in pairs]
        said = of_display(app, statement.label)
        rows.append((statement.label, address, name, heading, said, cells))
    return {"rows": rows}


class FillLedger(SphinxPostTransform):
    """Write the summary and the tables of the ledger."""

    default_priority = 800
    formats = ("html",)

    def run(self, **kwargs):
        render = self.app.builder.templates.render
        for part in list(self.document.findall(ledger_part)):
            page = part["page"]
            context = table(self.app, page) if page else summary(self.app)
            text = render("ledger_table.html" if page else "ledger_summary.html", context)
            part.replace_self(nodes.raw("", text, format="html"))


class AddBadges(SphinxPostTransform):
    """Put a badge beside each displayed equation and into the title of each block."""

    default_priority = 800  # before blocks are folded
    formats = ("html",)

    def run(self, **kwargs):
        for node in list(self.document.findall(nodes.math_block)):
            if shown := badge(self.app, self.env.docname, node.get("label")):
                row = nodes.container(classes=["with-badge"])
                node.parent.replace(node, row)  # which, unlike replace_self, copies no id
                row += [node, shown]
        for node in self.document.findall(nodes.Admonition):
            if shown := badge(self.app, self.env.docname, node.get("label")):
                node[0] += shown


def badge(app, page, label):
    """What a page shows beside a proved statement: in how many ways, and a link to them."""
    pairs = proofs.that_count((app.proved or {}).get(label, []))
    if not pairs or LEDGER not in app.env.found_docs:
        return None
    address = f"{app.builder.get_relative_uri(page, LEDGER)}#{label}"
    display = of_display(app, label)
    said = html.escape(proofs.summary(pairs) + (f". {display.capitalize()}" if display else ""))
    n_ways = len({way for _, way in pairs})
    return nodes.raw(
        "",
        f'<a class="checked" href="{address}" aria-label="{said}" title="{said}">{n_ways}</a>',
        format="html",
    )


def read_record(app):
    """What is stated, page by page, and what was proved: None without a record that holds."""
    book = statements.read(ROOT)
    app.stated = {
        path.rpartition(".")[0]: [s for s in found if s.label] for path, found in book.items()
    }
    found = proofs.read(ROOT)
    app.proved = None if found is None else proofs.by_label(found)
    app.evaluated, app.sealed = proofs.evaluations(found or []), seals.displays(ROOT)["sealed"]
    state = repr((app.proved, app.stated, app.evaluated, app.sealed))
    app.ledger_state = hashlib.sha256(state.encode()).hexdigest()


def find_outdated(app, env, added, changed, removed):
    """The ledger is read anew when the record or a statement has changed."""
    is_same = getattr(env, "ledger_state", None) == app.ledger_state
    return [] if is_same or LEDGER not in env.found_docs else [LEDGER]


def rewrite(app, env):
    """Then every page that could carry a badge is written anew."""
    if getattr(env, "ledger_state", None) == app.ledger_state:
        return []
    env.ledger_state = app.ledger_state
    return [page for page in env.found_docs if app.stated.get(page) or page.startswith(API)]


def setup(app):
    app.add_node(ledger_part)
    app.add_directive("ledger", Ledger)
    app.add_post_transform(FillLedger)
    app.add_post_transform(AddBadges)
    app.connect("builder-inited", read_record)
    app.connect("env-get-outdated", find_outdated)
    app.connect("env-updated", rewrite)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
