"""A notebook's cell without what only IPython understands: `%magic`, `!shell`, `help?`.

None of it can work where there is no shell, no network and no IPython, and none of it should cost
the student the rest of the cell. No line of Python begins with one of these signs, but a line
within brackets, a text or a continued line may: so brackets, texts and comments are followed, one
piece after the other, in time that grows as the length of the cell whatever is in it.
"""

import re
from collections.abc import Iterator

_KEEPS_ITS_BODY = ("%%time", "%%timeit", "%%capture", "%%prun")
# Where a branch can fail after it has read something, the group is not possessive: Python before
# 3.11.5 would go on from there. What follows it never fails, so nothing is tried twice.
_TEXT = r"""
    '{3}(?:[^'\\]++|\\.?|'(?!''))*(?:'{3}|\Z) | "{3}(?:[^"\\]++|\\.?|"(?!""))*(?:"{3}|\Z)
    | '(?:[^'\\\n]++|\\.?)*+'? | "(?:[^"\\\n]++|\\.?)*+"?
"""
_PIECE = re.compile(
    rf"""
    (?P<text>{_TEXT}) | (?P<comment>\#[^\n]*+) | (?P<opened>[(\[{{]++) | (?P<closed>[)\]}}]++)
    | (?P<continued>\\\n) | (?P<end>\n) | (?P<code>[^'"\#()\[\]{{}}\\\n]++|\\)
    """,
    re.VERBOSE | re.DOTALL,
)
_TIMED = re.compile(r"([ \t]*+(?:[\w.,\[\] \t]++=[ \t]*+)?)%time[ \t]++(?=\w)")
_MAGIC = re.compile(
    r"([ \t]*+)(?:[%!?]|[\w.]++\?{1,2}[ \t]*+(?=\n|\Z)|[\w.,\[\] \t]++=[ \t]*+[%!])"
    r"(?:[^\\\n]++|\\.?)*+",
    re.DOTALL,
)


def plain_python(source: str) -> str:
    """`source` with the lines of IPython replaced by `pass`; Python itself is left as it is.

    What `%time` measures is run. Of a cell that begins with `%%` nothing is left, or all but its
    first line.

    >>> plain_python("%matplotlib inline\\nx = (17\\n     % 5)")
    'pass\\nx = (17\\n     % 5)'
    """
    while source.lstrip().startswith("%%"):
        first, _, source = source.lstrip().partition("\n")
        if first.split()[0] not in _KEEPS_ITS_BODY:
            return ""
    return "".join(text for _, text in pieces(source))


def pieces(source: str) -> Iterator[tuple[str, str]]:
    """(kind, text) of each piece of a cell: "text", "comment", "code", "end" of a line, ..."""
    place, depth, begins = 0, 0, True
    while place < len(source):
        if begins and depth == 0:
            if timed := _TIMED.match(source, place):
                yield "code", timed[1]
                place = timed.end()
            elif magic := _MAGIC.match(source, place):
                yield "code", f"{magic[1]}pass" + "\n" * magic[0].count("\n")
                place, begins = magic.end(), False
                continue
        piece = _PIECE.match(source, place)
        kind, place = piece.lastgroup, piece.end()
        depth += {"opened": 1, "closed": -1}.get(kind, 0) * len(piece[0])
        depth, begins = max(0, depth), kind == "end"
        yield kind, piece[0]
