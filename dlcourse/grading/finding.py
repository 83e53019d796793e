"""From what is typed, such as `hw1`, to a homework."""

import json
import re
from pathlib import Path

from dlcourse.grading import master
from dlcourse.grading.homework import Homework

HOME = Path("homework")  # of the repository, from which the command is run


def find(name: str, home=HOME) -> Homework:
    """The homework that `name` means: a folder below `home`, hw and a number, or a path.

    A path is that of a master notebook or of a bundle. Raises `ValueError` that lists what there
    is.
    """
    path = Path(name)
    if path.suffix == ".ipynb":
        return master.read(path)
    if path.is_file():
        return Homework.from_bytes(path.read_bytes())
    masters = {found.parent.name: found for found in sorted(Path(home).glob("*/master.ipynb"))}
    if name not in masters and (number := re.fullmatch(r"hw(\d+)", name)):
        name = next((n for n, p in masters.items() if _number(p) == int(number[1])), name)
    if name not in masters:
        there = ", ".join(f"{n} (hw{_number(p)})" for n, p in masters.items()) or "none"
        raise ValueError(
            f"There is no homework {name!r} below {Path(home).resolve()}: {there}. Run this in the "
            "repository, or give the path of a master notebook or of a bundle."
        )
    return master.read(masters[name])


def _number(path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))["metadata"]["dlcourse"]["number"]
    except (ValueError, KeyError, TypeError):
        return "?"
