"""dlcourse: the package behind the executable course on the basics of deep learning.

Importing it imports none of its rooms; each comes when it is first asked for.

>>> import dlcourse
>>> dlcourse.optim.SGD(0.1)
SGD(learning_rate=0.1)
"""

from importlib import import_module
from pkgutil import iter_modules

__version__ = "0.1.0"


def __getattr__(name):
    """The room of that name, imported now (PEP 562). Raises `AttributeError` for any other."""
    if name not in _rooms():
        raise AttributeError(f"dlcourse has no room `{name}`. Its rooms: {', '.join(_rooms())}.")
    return import_module(f"dlcourse.{name}")


def __dir__():
    return [*globals(), *_rooms()]


def _rooms():
    return sorted(room.name for room in iter_modules(__path__) if not room.name.startswith("_"))
