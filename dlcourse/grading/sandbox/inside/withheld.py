"""Modules that answer a question cannot be imported where homework is graded.

That they are not there is the work of the sandbox, which shows no file of them. What stands here
says so in words, and does the same where there is no sandbox, on the machine of a student.
"""

import sys
from collections.abc import Iterable


def withhold(names: Iterable[str]):
    """From now on this process cannot import the modules `names`, and forgets those it has.

    None in place of a module is Python's own sign for one that is not there: an import of it fails,
    and a library that asks first whether it is there is told that it is not.
    """
    for name in names:
        for loaded in [*sys.modules]:
            if loaded.startswith(f"{name}."):
                del sys.modules[loaded]
        sys.modules[name] = None


def why(error: BaseException) -> str:
    """What to say of an import that failed because the module is withheld; of others nothing."""
    asked = error.name if isinstance(error, ModuleNotFoundError) else None
    parts = asked.split(".") if isinstance(asked, str) else []
    for n in range(1, len(parts) + 1):
        name = ".".join(parts[:n])
        if sys.modules.get(name, error) is None:
            return (
                f"{name} answers a question of this homework, so it is not there where homework "
                "is graded"
            )
    return ""
