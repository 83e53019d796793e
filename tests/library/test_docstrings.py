"""A public function that raises says so: its docstring, or that of its class, names the error."""

import ast
import re
from pathlib import Path

import pytest

import dlcourse
from dlcourse import _checks

PACKAGE = Path(dlcourse.__file__).parent
MODULES = sorted({*PACKAGE.rglob("[!_]*.py"), *PACKAGE.rglob("__init__.py")})
NO_ERRORS = {"Exit"}  # the exit code of a command
CALMS = {"is_number"}  # of the checks, those that only answer


def body(function):
    """The nodes of a function that run when it is called, not those of functions within it."""
    nodes = list(function.body)
    while nodes:
        node = nodes.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.Lambda):
            nodes += ast.iter_child_nodes(node)


def errors(function) -> set[str]:
    """The names of the errors that a function raises itself, or by a check of its arguments."""
    found = set()
    for node in body(function):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            words = re.findall(r"[\w]+", ast.unparse(node.exc.func))  # TooLong().with_traceback
            found |= {word for word in words if word[0].isupper()} - NO_ERRORS
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "_checks":
            found |= set() if node.attr in CALMS else {"ValueError"}
    return found


def silent(source: str) -> list[str]:
    """Public functions and methods of a module, each with the errors that no docstring names."""
    found, tree = [], ast.parse(source)
    scopes = [tree, *(x for x in tree.body if isinstance(x, ast.ClassDef) and x.name[0] != "_")]
    for scope in scopes:
        of_class = ast.get_docstring(scope) or "" if scope is not tree else ""
        for function in scope.body:
            if not isinstance(function, ast.FunctionDef):
                continue
            text = of_class + (ast.get_docstring(function) or "")
            is_told = "raise" in text.lower()
            hidden = {name for name in errors(function) if not (is_told and name in text)}
            is_special = function.name.startswith("__")
            if hidden and (is_special or not function.name.startswith("_")):
                found.append(f"{function.name}: {', '.join(sorted(hidden))}")
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_public_function_that_raises_says_so(path):
    assert silent(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("docstring", "expected"),
    [("The root.", ["root: ValueError"]), ("The root. Raises `ValueError` below 0.", [])],
)
@pytest.mark.parametrize("line", ["raise ValueError('below 0')", "_checks.not_negative(x, 'x')"])
def test_a_silent_function_is_found(docstring, expected, line):
    function = f'def root(x):\n    """{docstring}"""\n    {line}\n'
    assert silent(function) == silent(function.replace("root", "_root")) + expected


def test_a_method_may_leave_it_to_its_class_but_not_to_its_module():
    method = "    def __init__(self):\n        raise TypeError('no')\n"
    assert silent(f'class A:\n    """Raises `TypeError`."""\n{method}') == []
    assert silent(f'"""Raises `TypeError`."""\nclass A:\n{method}') == ["__init__: TypeError"]


def test_every_other_check_raises_itself_or_by_another():
    tree = ast.parse(Path(_checks.__file__).read_text(encoding="utf-8"))
    checks = {x.name: x for x in tree.body if isinstance(x, ast.FunctionDef)}
    raising = {name for name, check in checks.items() if errors(check)}
    called = {
        name: {x.id for x in body(check) if isinstance(x, ast.Name)}
        for name, check in checks.items()
    }
    for _ in checks:
        raising |= {name for name, names in called.items() if name not in CALMS and names & raising}
    assert raising == set(checks) - CALMS
