"""A notebook's cell without what only IPython understands: `%magic`, `!shell`, `help?`.

None of it can work where there is no shell, no network and no IPython, and none of it should cost
the student the rest of the cell.
"""

import ast
import re
import warnings

_KEEPS_ITS_BODY = ("%%time", "%%timeit", "%%capture", "%%prun")
_MAGIC_LINE = re.compile(r"^(\s*)(?:[%!?]|[\w.]+\?{1,2}\s*$|\w+\s*=\s*[%!])")


def plain_python(source: str) -> str:
    """`source` with the lines of IPython replaced by `pass`; Python itself is left as it is.

    >>> plain_python("%matplotlib inline\\nx = 1")
    'pass\\nx = 1'
    """
    while source.lstrip().startswith("%%"):
        first, _, source = source.lstrip().partition("\n")
        if first.split()[0] not in _KEEPS_ITS_BODY:
            return ""
    if _is_python(source):
        return source
    return "\n".join(
        _MAGIC_LINE.match(line)[1] + "pass" if _MAGIC_LINE.match(line) else line
        for line in source.split("\n")
    )


def _is_python(source):
    try:
        with warnings.catch_warnings(action="ignore"):
            ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
