"""An option has a caller: some line of the repository passes it.

Calls are matched by the last name of what is called. What is called by a name that the package does
not define, such as the variable of a loop, counts for every option that it names.
"""

import ast
import json
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("dlcourse", "tests", "benchmarks", "tools", "book", "homework")
ASIDE = {"cli"}  # the callers of commands sit at a terminal
PROTOCOLS = {"__torch_dispatch__", "__array_ufunc__", "as_array", "__call__"}  # fixed by others
ANY = 10**6


def code_of(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
        text = "\n".join("".join(cell["source"]) for cell in cells).replace("%pip", "pass  # %pip")
    return text


def options(scope: ast.Module | ast.ClassDef):
    """(what is called, option, arguments before it) of each default in a module or class."""
    for node in scope.body:
        if isinstance(node, ast.FunctionDef) and node.name not in PROTOCOLS:
            called = scope.name if node.name == "__init__" else node.name
            names = [x.arg for x in node.args.args if x.arg not in ("self", "cls")]
            first = len(names) - len(node.args.defaults)
            yield from ((called, name, first + i) for i, name in enumerate(names[first:]))
            only = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
            yield from ((called, x.arg, ANY) for x, default in only if default)
        elif isinstance(node, ast.ClassDef):
            yield from options(node)
            fields = [x for x in node.body if isinstance(x, ast.AnnAssign)]
            fields = [x for x in fields if "ClassVar" not in ast.unparse(x.annotation)]
            for i, x in enumerate(fields):  # `field(...)` and the like are no options
                if x.value and not isinstance(x.value, ast.Call) and is_record(node):
                    yield node.name, x.target.id, i


def is_record(node: ast.ClassDef) -> bool:
    makers = [ast.unparse(maker) for maker in (*node.decorator_list, *node.bases)]
    return any("dataclass" in maker or maker == "NamedTuple" for maker in makers)


def calls(tree: ast.Module):
    """(what is called, number of arguments by place, names of the others) of each call."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function, places = node.func, node.args
            if ast.unparse(function) == "partial":
                function, *places = places
            is_open = any(isinstance(x, ast.Starred) for x in places)
            name = ast.unparse(function).split(".")[-1]
            yield name, ANY if is_open else len(places), {x.arg for x in node.keywords}


def idle(package: list[ast.Module], everything: list[ast.Module]) -> list[str]:
    """The options of a package that nothing passes."""
    offered = [option for tree in package for option in options(tree)]
    known = {called for called, *_ in offered}
    most, named, elsewhere = defaultdict(int), defaultdict(set), set()
    for name, n_places, keywords in (call for tree in everything for call in calls(tree)):
        most[name] = max(most[name], n_places)
        named[name] |= keywords
        elsewhere |= set() if name in known else keywords
    return [
        f"{called}({option})"
        for called, option, before in offered
        if most[called] <= before and option not in named[called] | elsewhere
    ]


def test_every_option_has_a_caller():
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.[pi]*")]
    files = [path.relative_to(ROOT) for path in files if path.suffix in (".py", ".ipynb")]
    trees = {path: ast.parse(code_of(ROOT / path)) for path in files}
    package = [path for path in trees if path.parts[0] == "dlcourse"]
    checked = [path for path in package if not {*path.parts} & ASIDE]
    assert idle([trees[path] for path in checked], list(trees.values())) == []


def test_an_option_without_a_caller_is_found():
    package = ast.parse(
        "def draw(n, sd=1.0, *, seed=0): ...\nclass A:\n  def go(self, fast=True): ..."
    )
    assert idle([package], [package]) == ["draw(sd)", "draw(seed)", "go(fast)"]
    for line, left in {
        "draw(3, 2.0)": ["draw(seed)", "go(fast)"],
        "data.draw(3, seed=1)": ["draw(sd)", "go(fast)"],
        "partial(draw, sd=2.0, seed=1)": ["go(fast)"],
        "thing.go(False)": ["draw(sd)", "draw(seed)"],
        "for f in (draw, A().go): f(seed=1, fast=True)": ["draw(sd)"],
    }.items():
        assert idle([package], [package, ast.parse(line)]) == left
