"""What a notebook imports, and which of it a grader has for certain: what this package brings."""

import ast
import functools
import re
import sys
from collections.abc import Iterable
from importlib import metadata

from dlcourse.grading.marking.dependencies import distributions

NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
EXTRA = re.compile(r"extra\s*==\s*['\"]([\w-]+)['\"]")


def imported(python: str) -> set[str]:
    """Dotted names of modules that a text of Python imports; none if it cannot be read."""
    try:
        nodes = [*ast.walk(ast.parse(python))]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    whole = {a.name for node in nodes if isinstance(node, ast.Import) for a in node.names}
    parts = (node for node in nodes if isinstance(node, ast.ImportFrom) and not node.level)
    pairs = {(part.module, f"{part.module}.{a.name}") for part in parts for a in part.names}
    return whole | {name for pair in pairs for name in pair}


def not_brought(modules: Iterable[str], extras: tuple[str, ...]) -> list[str]:
    """Those of the imported `modules` that are installed here and may be missing elsewhere."""
    roots = {module.partition(".")[0] for module in modules}
    asked = sorted(roots - sys.stdlib_module_names - {"dlcourse"})
    return [root for root in asked if (found := _distributions(root)) and not found & _all(extras)]


def _distributions(root):
    return {_normal(name) for name in distributions().get(root, ())}


@functools.cache
def _all(extras):
    """Names of all distributions that come with this package and these `extras` of it."""
    found, waiting = set(), [("dlcourse", extras)]
    while waiting:
        name, wanted = waiting.pop()
        if name in found:
            continue
        found.add(name)
        for requirement in _requirements(name):
            needs, marker = requirement.partition(";")[::2]
            extra = EXTRA.search(marker)
            if extra is None or extra[1] in wanted:
                waiting.append((_normal(NAME.match(needs)[0]), ()))
    return found


def _requirements(name):
    try:
        return metadata.requires(name) or ()
    except metadata.PackageNotFoundError:  # one for other systems
        return ()


def _normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()
