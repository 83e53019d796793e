"""Pages that show the tests behind a page of the book: what each claims, and its source.

The ledger leads to them; they are in no list of contents. The source is the one that the run saw,
since a record of other sources counts for nothing.
"""

import ast
import shutil
from pathlib import Path

from ledger import LEDGER, ROOT, is_built, link, stating_pages, tests_page, title
from repository import find_repository

from tools import proofs


def source(test):
    """First and last line and text of a test, named as `tests/test_x.py::Class::test_y`."""
    file, *names = test.split("::")
    text = Path(ROOT, file).read_text(encoding="utf-8")
    node = ast.parse(text)
    for name in names:
        node = next(part for part in node.body if getattr(part, "name", None) == name)
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return first, node.end_lineno, "\n".join(text.splitlines()[first - 1 : node.end_lineno])


def entry(app, page, proof):
    """What the template shows of a test; a link into the repository where that is known."""
    file, repository = proof.test.partition("::")[0], find_repository()
    first, last, text = source(proof.test)
    labels = {label for label, _ in proof.proves if is_built(app, label)}
    return {
        "proof": proof,
        "file": file,
        "address": repository and f"{repository}/blob/HEAD/{file}#L{first}-L{last}",
        "links": [link(app, page, label) for label in sorted(labels)],
        "ways": list(dict.fromkeys(proofs.WAYS[way] for _, way in proof.proves)),
        "source": app.builder.highlighter.highlight_block(text, "python"),
    }


def pages(app):
    """One page for each page that states something, if there is a record at all."""
    shutil.rmtree(Path(app.outdir, LEDGER), ignore_errors=True)  # those of an earlier build
    if app.proved is None or LEDGER not in app.env.found_docs:
        return
    for page in stating_pages(app):
        name = tests_page(page)
        labels = {statement.label for statement in app.stated[page]}
        tests = {proof for label in labels for proof, _ in app.proved.get(label, [])}
        ledger = app.builder.get_relative_uri(name, LEDGER)
        context = {
            "heading": f"The tests behind {title(page)}",
            "ledger": ledger,
            "entries": [entry(app, name, proof) for proof in sorted(tests)],
        }
        said = f"The tests that prove what {title(page)} states, with their source."
        yield (
            name,
            {
                "title": context["heading"],
                "metatags": f'<meta name="description" content="{said}" />',
                "body": app.builder.templates.render("ledger_tests.html", context),
            },
            "page.html",
        )


def setup(app):
    app.connect("html-collect-pages", pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
