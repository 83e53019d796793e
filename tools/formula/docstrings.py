"""The formulas that docstrings show, by the name of what they explain.

The first `.. math::` of `dlcourse.optim.muon.newton_schulz` has that label, the second
`dlcourse.optim.muon.newton_schulz:2`. `.. displayed:: eq-a` shows an equation of the book.
"""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

MATH = re.compile(
    r"^(?P<in> *)\.\. math::(?P<tex>.*(?:\n(?P=in) +\S.*|\n *(?=\n(?P=in) +\S))*)", re.M
)
DISPLAYED = re.compile(r"^ *\.\. displayed::(?P<labels>.*(?:\n +eq-.*)*)$", re.M)
EXPLAINED = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def documented(root: Path) -> dict[str, str]:
    """label -> LaTeX of every displayed formula in a docstring of the package."""
    return {
        name + (f":{number}" if number > 1 else ""): match["tex"]
        for name, text in docstrings(root)
        for number, match in enumerate(MATH.finditer(text), start=1)
    }


def repeated(root: Path) -> dict[str, list[str]]:
    """name -> labels of the equations of the book that its docstring shows."""
    found = {}
    for name, text in docstrings(root):
        for match in DISPLAYED.finditer(text):
            found.setdefault(name, []).extend(match["labels"].replace(",", " ").split())
    return found


def docstrings(root: Path) -> Iterator[tuple[str, str]]:
    """Pairs of a dotted name and its docstring."""
    for path in sorted(Path(root, "dlcourse").rglob("*.py")):
        module = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for name, node in (("", tree), *_explained(tree)):
            yield f"{module}{name}", inspect.cleandoc(ast.get_docstring(node) or "")


def _explained(tree, inside=""):
    """Pairs of the name, with a dot in front, and the class or function."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, EXPLAINED):
            yield f"{inside}.{node.name}", node
            yield from _explained(node, f"{inside}.{node.name}")
