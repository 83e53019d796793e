"""Modules that answer a question cannot be imported where homework is graded.

That they are not there is the work of the sandbox, which shows no file of them. What stands here
says so in words, and does the same where there is no sandbox, on the machine of a student.
"""

import importlib.abc
import sys
from collections.abc import Iterable


class Withheld(importlib.abc.MetaPathFinder):
    """Raises `ModuleNotFoundError` at an import of `names` and of what lies in them."""

    def __init__(self, names: Iterable[str]):
        self.names = tuple(names)

    def find_spec(self, fullname, path=None, target=None):
        for name in self.names:
            if fullname == name or fullname.startswith(f"{name}."):
                raise ModuleNotFoundError(
                    f"{name} answers a question of this homework, so it is not there where "
                    "homework is graded",
                    name=fullname,
                )


def withhold(names: Iterable[str]):
    """From now on this process cannot import the modules `names`, and forgets those it has."""
    finder = Withheld(names)
    for loaded in [*sys.modules]:
        if any(loaded == name or loaded.startswith(f"{name}.") for name in finder.names):
            del sys.modules[loaded]
    sys.meta_path.insert(0, finder)
