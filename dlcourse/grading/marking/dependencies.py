"""Which modules a text of Python depends on, and a digest of them: part of what a mark is keyed by.

Imports are read, not run: of each module those of its own are followed, as far as they stay in
this package. What they import from elsewhere is known by its version.
"""

import ast
import functools
import hashlib
import importlib.metadata
import pkgutil
import platform
import re
import sys
from collections.abc import Iterable, Mapping, Set
from pathlib import Path

import dlcourse

NO_DATA = {".py", ".pyc", ".html", ".js", ".css"}  # pages show marks, and decide none
WORD = re.compile(rb"[A-Za-z_]\w*")


class Package:
    """The modules of the package that lies in `folder`, by dotted name."""

    def __init__(self, folder: Path):
        self.folder, self.name = folder, folder.name
        self.files = {
            ".".join([self.name, *_parts(path.relative_to(folder))]): path
            for path in sorted(folder.rglob("*.py"))
        }
        self._imported = {}  # names by module, of those that were asked for

    def modules_of(self, names: Iterable[str]) -> set[str]:
        """The modules that come with dotted names: those above them, and they themselves."""
        split = (name.split(".") for name in names)
        above = {".".join(parts[: n + 1]) for parts in split for n in range(len(parts))}
        return above & self.files.keys()

    def closure(self, names: Iterable[str]) -> tuple[set[str], set[str]]:
        """(modules, foreign): all that dotted names lead to, here and in other packages."""
        reached, found = set(), set(names)
        while new := self.modules_of(found) - reached:
            reached |= new
            found |= set().union(*(self._imports(module) for module in new))
        return reached, {name.partition(".")[0] for name in found} - {self.name}

    def named_in(self, words: Set[str]) -> frozenset[str]:
        """Modules whose whole path is among the words of a text: no import goes without."""
        return frozenset(name for name in self.files if words.issuperset(name.split(".")))

    def digest(self, modules: Iterable[str]) -> str:
        """SHA-256 of modules, and of the data in the rooms that they are in."""
        modules = sorted(modules)
        whole = hashlib.sha256()
        for module in modules:
            whole.update(f"{module}\0{self._digest_of(self.files[module])}\0".encode())
        rooms = {self.folder / m.split(".")[1] for m in modules if "." in m}
        for path in sorted(path for room in rooms for path in room.rglob("*.*")):
            if path.suffix not in NO_DATA and path.is_file():
                name = path.relative_to(self.folder).as_posix()
                whole.update(f"{name}\0{self._digest_of(path)}\0".encode())
        return whole.hexdigest()

    def _imports(self, module):
        if module not in self._imported:
            path = self.files[module]
            own = module if path.name == "__init__.py" else module.rpartition(".")[0]
            self._imported[module] = imports(path.read_text(encoding="utf-8"), own)
        return self._imported[module]

    @staticmethod
    def _digest_of(path):
        return hashlib.sha256(path.read_bytes()).hexdigest()


@functools.cache
def package() -> Package:
    """This package as it lies on the disk when the process first asks."""
    return Package(Path(dlcourse.__file__).resolve().parent)


def imports(source: str, within: str = "") -> set[str]:
    """Dotted names that `source` imports, reaches as attributes of an import, or holds as text.

    A relative import is one from the package `within`. An attribute counts because this package
    imports a room when it is first asked for; a text, because a module can be started by its name.

    >>> sorted(imports("import numpy as np; from dlcourse import losses; np.linalg.norm"))
    ['dlcourse', 'dlcourse.losses', 'numpy', 'numpy.linalg', 'numpy.linalg.norm']
    """
    names, aliases = set(), {}
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
            for alias in node.names:
                first = alias.name.partition(".")[0]
                aliases[alias.asname or first] = alias.name if alias.asname else first
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(filter(None, [_above(within, node.level), node.module]))
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
            aliases |= {a.asname or a.name: f"{base}.{a.name}" for a in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names |= {node.value} if re.fullmatch(r"dlcourse(\.\w+)+", node.value) else set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (dotted := _dotted(node)):
            first, _, rest = dotted.partition(".")
            if first in aliases:
                names.add(f"{aliases[first]}.{rest}")
    return names


def words(data: bytes) -> set[str]:
    """All that could be a name in a text of any kind."""
    return {word.decode() for word in set(WORD.findall(data))}


@functools.cache
def installed() -> frozenset[str]:
    """Modules of other packages that can be imported here."""
    found = {module.name for module in pkgutil.iter_modules()}
    return frozenset(found - sys.stdlib_module_names - {"dlcourse"})


def versions(names: Iterable[str]) -> tuple[str, ...]:
    """ "name version" of Python and of the packages that have these modules, those of Python none.

    >>> versions(["json"]) == (f"python {platform.python_version()}",)
    True
    """
    foreign = sorted(set(names) - sys.stdlib_module_names)
    found = [f"{name} {version}" for name in foreign if (version := _version(name))]
    return (f"python {platform.python_version()}", *found)


@functools.cache
def _version(module):
    try:
        return importlib.metadata.version(module)
    except importlib.metadata.PackageNotFoundError:
        found = distributions().get(module, ())
        return " ".join(importlib.metadata.version(name) for name in sorted(set(found)))


@functools.cache  # slow: it reads what every installed package lists
def distributions() -> Mapping[str, list[str]]:
    """Names of the distributions that each module came with."""
    return importlib.metadata.packages_distributions()


def _parts(path):
    return path.parent.parts if path.name == "__init__.py" else path.with_suffix("").parts


def _above(within, level):
    return ".".join(within.split(".")[: len(within.split(".")) - level + 1]) if level else ""


def _dotted(node):
    """`a.b.c` of nested attributes, "" if they begin with anything but a name."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""
