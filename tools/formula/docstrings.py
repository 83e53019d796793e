"""The formulas that docstrings show: `.. math::` in the package, by the name of what they explain.

The first of `dlcourse.optim.muon.newton_schulz` has that label, the second
`dlcourse.optim.muon.newton_schulz:2`.
"""

import ast
import inspect
import re
from pathlib import Path

MATH = re.compile(
    r"^(?P<in> *)\.\. math::(?P<tex>.*(?:\n(?P=in) +\S.*|\n *(?=\n(?P=in) +\S))*)", re.M
)
EXPLAINED = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def documented(root: Path) -> dict[str, str]:
    """label -> LaTeX of every displayed formula in a docstring of the package."""
    found = {}
    for path in sorted(Path(root, "dlcourse").rglob("*.py")):
        module = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for name, node in (("", tree), *_explained(tree)):
            shown = MATH.finditer(inspect.cleandoc(ast.get_docstring(node) or ""))
            for number, match in enumerate(shown, start=1):
                found[f"{module}{name}" + (f":{number}" if number > 1 else "")] = match["tex"]
    return found


def _explained(tree, inside=""):
    """Pairs of the name, with a dot in front, and the class or function."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, EXPLAINED):
            yield f"{inside}.{node.name}", node
            yield from _explained(node, f"{inside}.{node.name}")
