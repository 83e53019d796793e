"""Which files a notebook may read: Python, its packages and this package, and nothing else."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

import dlcourse

PACKAGE = Path(dlcourse.__file__).resolve().parent
DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
_LIBRARIES = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib", "/lib64", "/etc/ld.so.cache")
_DATA = ("/usr/share/matplotlib", "/etc/matplotlibrc")  # where Debian keeps what pip puts beside
_SHARED_PREFIXES = ("/usr", "/usr/local", "/")  # of a Python that came with the system


def visible() -> list[Path]:
    """Directories and files to show, none inside another; missing ones are left out."""
    own = [Path(p) for p in (sys.prefix, sys.base_prefix) if p not in _SHARED_PREFIXES]
    wanted = [*own, *map(Path, _LIBRARIES + _DATA), PACKAGE, *_interpreter()]
    found = [path for path in dict.fromkeys(wanted) if path.exists()]
    return [p for p in found if not any(other != p and p.is_relative_to(other) for other in found)]


def _interpreter():
    """The interpreter as it was called, and every link from there to the program."""
    path = Path(sys.executable)
    while path.is_symlink():
        yield path
        path = Path(os.path.normpath(path.parent / path.readlink()))
    yield path


def hidden(modules: Iterable[str]) -> list[Path]:
    """File or directory of each module of this package; ValueError if there is none."""
    paths = []
    for module in modules:
        room, *rest = module.split(".")
        stem = PACKAGE.joinpath(*rest)
        path = next((p for p in (stem, stem.with_suffix(".py")) if p.exists()), None)
        if room != "dlcourse" or not rest or path is None:
            raise ValueError(
                f"`hidden_modules` must name modules of this package, such as 'dlcourse.optim', "
                f"got {module!r}."
            )
        paths.append(path)
    return paths


def without(roots: Iterable[Path], hidden_paths: list[Path]) -> tuple[list[Path], list[Path]]:
    """(readable, listable): `roots` taken apart wherever a hidden path lies inside.

    What is readable covers all below it; a directory taken apart can only be listed.
    """
    readable, listable = [], []
    for root in roots:
        if root in hidden_paths:
            continue
        if any(path.is_relative_to(root) for path in hidden_paths):
            listable.append(root)
            inner = without(sorted(root.iterdir()), hidden_paths)
            readable += inner[0]
            listable += inner[1]
        else:
            readable.append(root)
    return readable, listable
