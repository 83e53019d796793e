"""What the book states: its displayed equations, theorems, lemmas, definitions and algorithms.

Read from the sources of all pages, notebooks and Markdown alike, without building them. Every
statement has a label, and no label is used twice in the whole book: by the label a test says what
it proves, and a reader finds the test.
"""

import json
import re
from pathlib import Path
from typing import NamedTuple

PREFIXES = {
    "equation": "eq-",
    "theorem": "thm-",
    "lemma": "lem-",
    "definition": "def-",
    "algorithm": "alg-",
    "corollary": "cor-",
    "proposition": "prop-",
}
BLOCKS = "|".join(kind for kind in PREFIXES if kind != "equation")
# Code may hold dollars and examples of directives; a directive may be fenced with backticks.
FENCED = re.compile(r"^ {0,3}(`{3,}|~{3,})(?!\{)[^\n]*\n.*?^ {0,3}\1", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"(?<!`)(`{1,2})(?!`)(?:(?!\n\n).)+?(?<!`)\1(?!`)", re.DOTALL)
STATEMENT = re.compile(
    r"\$\$(?P<tex>.+?)\$\$[ \t]*(?:\((?P<eq>[^()\s]+)\))?"
    rf"|^[ \t]*(?::{{3,}}|`{{3,}})\{{prf:(?P<kind>{BLOCKS})\}}[ \t]*(?P<title>[^\n]*)\n"
    r"(?P<options>(?:[ \t]*:[\w-]+:[^\n]*\n)*)",
    re.DOTALL | re.MULTILINE,
)
OTHER_DISPLAY = re.compile(
    r"^[ \t]*(?:(?::{3,}|`{3,})\{math\}"
    r"|\\begin\{(?:equation|align|gather|multline|eqnarray|flalign|alignat)\*?\}|\\\[).*",
    re.MULTILINE,
)
LABEL = re.compile(r":label:[ \t]*(\S+)")


class Statement(NamedTuple):
    """`page` is the path of its source, `text` the start of an equation or a block's title."""

    page: str
    kind: str
    label: str | None
    text: str


def prose(path):
    """The Markdown of a page."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return text
    cells = (cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown")
    return "\n\n".join("".join(cell["source"]) for cell in cells)


def pages(root):
    """The Markdown of each page of the book by its path, such as `book/gradient_descent.ipynb`."""
    paths = (path.relative_to(root) for path in Path(root, "book").rglob("*"))
    sources = sorted(
        path
        for path in paths
        if path.suffix in {".md", ".ipynb"}
        and not any(p.startswith((".", "_")) for p in path.parts)
    )
    return {path.as_posix(): prose(Path(root, path)) for path in sources}


def without_code(text):
    """The Markdown of a page without the examples in it."""
    return INLINE.sub("", FENCED.sub("", text))


def stated(page, text):
    """The statements of a page in their order, those without a label included."""
    text, found = without_code(text), []
    for match in STATEMENT.finditer(text):
        if match["kind"]:
            label = LABEL.search(match["options"])
            found.append(Statement(page, match["kind"], label and label[1], match["title"].strip()))
        else:
            start = " ".join(match["tex"].split())[:50]
            found.append(Statement(page, "equation", match["eq"], start))
    for match in OTHER_DISPLAY.finditer(STATEMENT.sub("", text)):
        found.append(Statement(page, "equation", None, match[0].strip()))
    return found


def displays(text):
    """label -> LaTeX of the displayed equations of a page that have a label."""
    found = STATEMENT.finditer(without_code(text))
    return {match["eq"]: match["tex"] for match in found if match["eq"]}


def equations(root):
    """label -> LaTeX of the displayed equations of all pages."""
    return {label: tex for text in pages(root).values() for label, tex in displays(text).items()}


def read(root):
    """All statements of the book: page -> list of `Statement`."""
    return {page: stated(page, text) for page, text in pages(root).items()}


def faults_of_labels(book):
    """Sentences on what has no label, a label of another kind, or one that is taken, by page."""
    taken, faults = {}, {page: [] for page in book}
    for statement in (statement for statements in book.values() for statement in statements):
        fault = fault_of_label(statement, taken)
        if fault:
            faults[statement.page].append(f"{statement.page}: {fault}")
        taken.setdefault(statement.label, statement.page)
    return faults


def fault_of_label(statement, taken):
    """What is wrong with the label, if anything; `taken` tells where a label stands already."""
    _, kind, label, text = statement
    prefix = PREFIXES[kind]
    form = "`$$ ... $$ (eq-name)`" if kind == "equation" else f"`:label: {prefix}name`"
    if label is None:
        return f"the {kind} `{text}` has no label. Cure: write {form}, and a test that proves it."
    if not re.fullmatch(rf"{prefix}[a-z0-9-]+", label):
        return f"the {kind} has the label `{label}`. Cure: write it in lower case, {form}."
    if label in taken:
        return f"the label `{label}` is used already, on {taken[label]}. Cure: rename one of them."
    return None
