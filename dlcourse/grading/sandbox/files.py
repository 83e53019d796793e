"""Which files a notebook may read: folders of libraries, this package, and nothing around them.

A virtual environment can lie around a whole course, so the folder of an interpreter says nothing
about what is in it. Shown is what Python itself names: its standard library, the folders that
packages are installed into, shared libraries. Of this package the notebook sees what it may
import: no test, no answer and nothing that reads them. What is shown is a list of paths, each with
all below it, and a second list is taken out of it again.
"""

import importlib.util
import os
import sys
from collections.abc import Iterable
from pathlib import Path

import dlcourse

PACKAGE = Path(dlcourse.__file__).resolve().parent
READ_DEVICES = ("/dev/zero", "/dev/urandom", "/dev/random")
DEVICES = (os.devnull, *READ_DEVICES)
NEEDED = ("numpy", "matplotlib")  # what the warm process imports
_LIBRARIES = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib", "/lib64", "/etc/ld.so.cache")
_DATA = ("/usr/share/matplotlib", "/etc/matplotlibrc")  # where Debian keeps what pip puts beside
_INSTALLED = ("site-packages", "dist-packages")
_CHECKS = ("check.py", "expectations.py", "explaining.py", "feedback.py", "recording.py")
_GRADING_SHOWN = ("__init__.py", *_CHECKS, "stopping.py", "sandbox")


def visible() -> list[Path]:
    """Directories and files to show, none inside another; missing ones are left out."""
    base = [Path(sys.base_prefix, name) for name in ("lib", "lib64")]
    wanted = [*base, *map(Path, _LIBRARIES + _DATA), *packages(), PACKAGE, *_interpreter()]
    found = [path for path in dict.fromkeys(wanted) if path.exists()]
    return [p for p in found if not any(other != p and p.is_relative_to(other) for other in found)]


def packages() -> list[Path]:
    """Folders of installed packages that this Python imports from."""
    return [path for path in map(Path, sys.path) if path.name in _INSTALLED and path.is_dir()]


def _interpreter():
    """The interpreter as it was called, every link from there to the program, and its settings."""
    path = Path(sys.executable)
    yield Path(sys.prefix, "pyvenv.cfg")
    while path.is_symlink():
        yield path
        path = Path(os.path.normpath(path.parent / path.readlink()))
    yield path


def hidden(modules: Iterable[str]) -> list[Path]:
    """What is taken out of `visible`: the grader's own, other Pythons' packages, and `modules`.

    Each of `modules` is hidden wherever it is installed; one of this package must be there. Raises
    ValueError otherwise, and for what the sandbox itself imports.
    """
    return [*_private(), *_of_other_pythons(), *(p for m in modules for p in _files_of(m))]


def _private():
    """What of the grader lies in this package, wherever that is shown."""
    for place in {PACKAGE, *(folder / PACKAGE.name for folder in packages())}:
        if place.is_dir():
            yield from place.glob("cli")
            yield from (p for p in place.glob("grading/*") if p.name not in _GRADING_SHOWN)


def _of_other_pythons():
    for path in visible():
        for name in _INSTALLED:
            yield from set(path.glob(f"python*/{name}")) - {*packages()}


def _files_of(module):
    room, *rest = module.split(".")
    if room in NEEDED or module == PACKAGE.name:
        raise ValueError(
            f"`hidden_modules` must name modules that a sandbox can do without, such as "
            f"'dlcourse.optim', got {module!r}."
        )
    standard = Path(os.__file__).parent
    folders = dict.fromkeys([PACKAGE.parent, *packages(), standard, standard / "lib-dynload"])
    found = [path for folder in folders for path in _in(folder.joinpath(room, *rest))]
    if not found and importlib.util.find_spec(room):  # what is not installed need not be hidden
        raise ValueError(
            f"`hidden_modules` must name modules that have a file, such as 'dlcourse.optim', "
            f"got {module!r}."
        )
    return found


def _in(stem):
    """The folder or file of a module, whatever its ending, with the bytecode that lies beside."""
    if not stem.parent.is_dir():
        return []
    here = [path for path in stem.parent.iterdir() if path.name.partition(".")[0] == stem.name]
    is_file = any(path.is_file() for path in here)
    return here + [stem.parent / "__pycache__"] * is_file


def shared_with(paths: Iterable[Path]) -> list[Path]:
    """Those of `paths` that would be shown, because they lie in a folder of libraries."""
    shown = {path.resolve() for path in visible()}
    places = ((path, real(path)) for path in paths)
    return [path for path, place in places if not shown.isdisjoint((place, *place.parents))]


def real(path: Path) -> Path:
    """Where links lead in the end; of links that lead in a circle, some place in it."""
    return Path(os.path.realpath(path))  # Path.resolve raises there, before Python 3.13


def without(roots: Iterable[Path], hidden_paths: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """(readable, listable): `roots` taken apart wherever a hidden path lies inside.

    What is readable covers all below it; a directory taken apart can only be listed.
    """
    readable, listable, hidden_paths = [], [], {*hidden_paths}
    ways = {parent for path in hidden_paths for parent in path.parents}

    def divide(path):
        if path in hidden_paths:
            return
        if path not in ways or path.is_symlink() or not path.is_dir():
            readable.append(path)
            return
        listable.append(path)
        for entry in sorted(path.iterdir()):
            divide(entry)

    for root in roots:
        divide(root)
    return readable, listable


def rebuilt(hidden_paths: Iterable[Path]) -> dict[Path, list[Path]]:
    """Folders that hold a hidden file, outermost first, and what is left in each.

    A hidden folder can be covered by an empty one. An empty file in a module's place would still be
    imported, and bytecode that appears later would be shown.
    """
    hidden_paths = {*hidden_paths}
    folders = sorted({path.parent for path in hidden_paths if path.is_file()})
    return {folder: sorted({*folder.iterdir()} - hidden_paths) for folder in folders}
