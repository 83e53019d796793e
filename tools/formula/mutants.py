"""Mutants of LaTeX: displays that a slip of the pen would give, each of them another statement.

A test that binds numbers to a display is worth something if the mutants under the same numbers
turn out false. Those that no number can tell apart, such as the order of two factors, are not made.
"""

from collections.abc import Iterator

from tools.formula.grammar import ENDS, GREEK
from tools.formula.grammar import SIGNS as SIGNED
from tools.formula.lexer import (
    ACCENTS,
    CLOSING,
    NAMING,
    OPENING,
    RELATIONS,
    WIDE,
    Unread,
    argument,
    closing,
    split,
    tokens,
)

SIGNS = {"+": "-", "-": "+", r"\le": r"\ge", r"\ge": r"\le", "<": ">", ">": "<", "=": r"\ne"}
SIGNS |= {r"\max": r"\min", r"\min": r"\max", r"\lfloor": r"\lceil", r"\sum": r"\prod"}
PARTNERS = {r"\lfloor": (r"\rfloor", r"\rceil")}
ENDS_OF_SIDES = {*RELATIONS, *WIDE, r"\\", "&", ",", ";", "."}
BOUND = "the bound becomes"


def mutants(tex: str) -> Iterator[tuple[str, str]]:
    """Pairs of what was done, and where, and the LaTeX that came of it, each once."""
    ts = tokens(tex)
    seen, no_numbers = {" ".join(ts)}, _inside_words(ts) | _given(ts)
    for place in range(len(ts)):
        if place in no_numbers:
            continue
        near = " ".join(ts[max(place - 3, 0) : place + 4])
        for what, changed in (*_exchanged(ts, place), *_lost(ts, place), *_scaled(ts, place)):
            text = " ".join(changed)
            if text not in seen:
                seen.add(text)
                yield f"{what} in {near}", text


def _exchanged(ts, place):
    """Another sign, digit or symbol in this place, a fraction upside down."""
    before, token, after = ts[:place], ts[place], ts[place + 1 :]
    if token in SIGNS:
        yield f"{token} becomes {SIGNS[token]}", [*before, SIGNS[token], *_closed(token, after)]
    if token.isdigit():
        other = str((int(token) + 1) % 10)
        yield f"{token} becomes {other}", [*before, other, *after]
    if _is_symbol(token):
        for other in sorted({t for t in ts if _is_symbol(t) and t != token}):
            yield f"{token} becomes {other}", [*before, other, *after]
    if token == r"\frac":
        above, middle = argument(ts, place + 1)
        below, end = argument(ts, middle)
        turned = ["{", *below, "}", "{", *above, "}"]
        yield "a fraction is turned over", [*before, token, *turned, *ts[end:]]


def _lost(ts, place):
    """What stands here left out: an exponent, a root, a pair of brackets, a factor."""
    before, token, after = ts[:place], ts[place], ts[place + 1 :]
    if token == "^":
        inner, end = argument(ts, place + 1)
        yield f"the exponent {' '.join(inner)} is lost", [*before, *ts[end:]]
    if token == r"\sqrt":
        inner, end = argument(ts, place + 1)
        yield "a root is lost", [*before, "{", *inner, "}", *ts[end:]]
    if token in ("(", "[") and not _means_nothing(ts, place):
        end = closing(ts, place)
        yield "brackets are lost", [*before, *ts[place + 1 : end], *ts[end + 1 :]]
    if _is_factor(ts, place):
        yield f"the factor {token} is lost", [*before, *after]


def _scaled(ts, place):
    """What bounds from above or below, a hundredth larger and a hundredth smaller."""
    depth = sum((t in OPENING) - (t in CLOSING) for t in ts[:place])
    if ts[place] not in (r"\le", r"\ge") or depth:
        return
    start = place + 1 + (ts[place + 1] == "&")
    end, depth = start, 0
    while end < len(ts) and (depth or ts[end] not in ENDS_OF_SIDES or _is_point(ts, end)):
        depth += (ts[end] in OPENING) - (ts[end] in CLOSING)
        end += 1
    if ts[start:end] != ["0"]:
        for factor in ("1.01", "0.99"):
            side = [*factor, r"\cdot", "{", *ts[start:end], "}"]
            yield f"{BOUND} {factor} times as large", [*ts[:start], *side, *ts[end:]]


def _means_nothing(ts, place):
    """Whether the bracket that opens here says only what would be read without it.

    It holds a condition or a fraction alone; or its term ends behind it, and it stands where an
    expression begins, or holds the rest of a term and is no argument of a name.
    """
    end = closing(ts, place)
    inside, before = ts[place + 1 : end], ts[place - 1] if place else "="
    if len(split(inside, *RELATIONS)) > 1 or _is_fraction(inside):
        return True
    if ts[end + 1 : end + 2] and ts[end + 1] not in ENDS | ENDS_OF_SIDES:
        return False
    if len(split(inside, *SIGNED, ",")) > 1:
        return before in {*RELATIONS, *OPENING, "+", "&", r"\\"}
    return not _is_symbol(before) and before not in ("/", "_", "^", "'")


def _is_fraction(ts):
    return ts[:1] == [r"\frac"] and argument(ts, argument(ts, 1)[1])[1] == len(ts)


def _is_point(ts, place):
    """Whether it is the point inside of a number."""
    return ts[place] == "." and place + 1 < len(ts) and ts[place + 1].isdigit()


def _is_symbol(token):
    return (len(token) == 1 and token.isalpha()) or token in GREEK


def _is_factor(ts, place):
    """A symbol or digit without scripts that stands beside another factor."""
    token, before = ts[place], ts[place - 1] if place else ""
    following = ts[place + 1] if place + 1 < len(ts) else ""
    if not (_is_symbol(token) or token.isdigit()) or before in ("_", "^", "/", r"\frac", r"\sqrt"):
        return False
    has_neighbour = _is_symbol(following) or following in (r"\frac", r"\sqrt", "(", r"\lVert")
    return following not in ("_", "^", "'") and has_neighbour and not before.isdigit()


def _inside_words(ts):
    """Places inside of `\\text{...}` and the like, which are names."""
    places = set()
    for place, token in enumerate(ts):
        if token in NAMING - ACCENTS:
            try:
                places |= set(range(place + 1, argument(ts, place + 1)[1]))
            except Unread:
                continue
    return places


def _given(ts):
    """Places of y in `u | y ~`: it shapes the worlds, and has no number."""
    places = set()
    for start in (place for place, token in enumerate(ts) if token == r"\mid"):
        rest = range(start, len(ts))
        end = next((i for i in rest if ts[i] in RELATIONS | CLOSING), start)
        places |= set(range(start + 1, end)) if ts[end] == r"\sim" else set()
    return places


def _closed(token, after):
    if token not in PARTNERS:
        return after
    closing_one, other = PARTNERS[token]
    place = after.index(closing_one)
    return [*after[:place], other, *after[place + 1 :]]
