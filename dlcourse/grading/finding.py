"""From what is typed, such as `hw1`, to a homework."""

import json
import re
from pathlib import Path

from dlcourse.grading import master, secret
from dlcourse.grading.homework import Homework

HOME = Path("homework")  # of the repository, from which the command is run


def find(name: str, home=HOME) -> Homework:
    """The homework that `name` means: a folder below `home`, hw and a number, or a path.

    A path is that of a master notebook or of a bundle. Raises `ValueError` that lists what there
    is.
    """
    return read(locate(name, home))


def read(path: Path) -> Homework:
    """The homework of a master notebook or of a bundle."""
    return master.read(path) if path.suffix == ".ipynb" else Homework.from_bytes(path.read_bytes())


def locate(name: str, home=HOME) -> Path:
    """Path of the master or bundle that `name` means, see `find`; raises `ValueError` if none."""
    path = Path(name)
    if path.suffix == ".ipynb" or path.is_file():
        return path
    masters = {found.parent.name: found for found in sorted(Path(home).glob("*/master.ipynb"))}
    if name not in masters and (number := re.fullmatch(r"hw(\d+)", name)):
        name = next((n for n, p in masters.items() if _number(p) == int(number[1])), name)
    if name not in masters:
        there = ", ".join(f"{n} (hw{_number(p)})" for n, p in masters.items()) or "none"
        raise ValueError(
            f"There is no homework {name!r} below {Path(home).resolve()}: {there}. Run this in the "
            "repository, or give the path of a master notebook or of a bundle."
        )
    return masters[name]


def secret_of(path: Path) -> bytes:
    """The course's secret that was released with a bundle; b"" for a master, which has none."""
    released = path.suffix != ".ipynb" and (path.parent / secret.NAME).exists()
    return secret.kept_in(path.parent) if released else b""


def _number(path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))["metadata"]["dlcourse"]["number"]
    except (ValueError, KeyError, TypeError):
        return "?"
