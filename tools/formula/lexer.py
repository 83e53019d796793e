"""LaTeX as tokens, and a display as the statements that it makes."""

import itertools
import re

TOKEN = re.compile(r"\\(?:begin|end)\{\w+\*?\}|\\operatorname\*?|\\[a-zA-Z]+|\\.|\S", re.DOTALL)
# What changes the look and not the meaning.
LOOKS = {r"\left", r"\right", r"\displaystyle", r"\limits", r"\,", r"\;", r"\:", r"\!", r"\ ", "~"}
LOOKS |= {rf"\{size}{side}" for size in ("big", "Big", "bigg", "Bigg") for side in ("", *"lrm")}
LINES = {rf"\{edge}{{{name}}}" for edge in ("begin", "end") for name in ("aligned", "gathered")}
SAME = {r"\leq": r"\le", r"\geq": r"\ge", r"\dfrac": r"\frac", r"\tfrac": r"\frac"}
SAME |= {r"\operatorname*": r"\operatorname", r"\textrm": r"\text"}

OPENING = {"(": ")", "[": "]", "{": "}", r"\{": r"\}", r"\langle": r"\rangle"}
OPENING |= {r"\lVert": r"\rVert", r"\lvert": r"\rvert", r"\lfloor": r"\rfloor"}
OPENING |= {r"\lceil": r"\rceil"}
OPENING |= {rf"\begin{{{name}}}": rf"\end{{{name}}}" for name in ("cases", "pmatrix", "bmatrix")}
CLOSING = set(OPENING.values())
RELATIONS = {"=", "<", ">", r"\le", r"\ge", r"\ne", r"\approx", r"\to", r"\longrightarrow"}
RELATIONS |= {r"\in", r"\sim"}
ARROW = r"\leftarrow"  # gives the name before it another value
RELATIONS |= {ARROW}
CONTINUES = RELATIONS | {"+", "-", r"\cdot", r"\times", r"\pm"}
REMARK = re.compile(r"&\s*&\s*\\text\s*\{[^{}]*\}")  # words in a column of their own, at the margin
WIDE = {r"\quad", r"\qquad"}
LEADS = {r"\text{subjectto}", r"\text{suchthat}"}  # what follows is a statement of its own
ACCENTS = {r"\hat", r"\bar", r"\tilde", r"\dot"}
NAMING = ACCENTS | {  # with an argument they are one name
    r"\text",
    r"\mathrm",
    r"\operatorname",
    r"\mathcal",
    r"\mathbb",
    r"\mathbf",
}


class Unread(ValueError):
    """LaTeX that the reader does not understand, or a symbol without a number."""


def tokens(tex: str) -> list[str]:
    """The tokens of LaTeX, those that only change its look left out."""
    found = TOKEN.findall(tex.replace("{}", ""))  # {} keeps a sign apart and means nothing
    return [SAME.get(token, token) for token in found if token not in LOOKS | LINES]


def closing(ts: list[str], start: int) -> int:
    """The place of the bracket that closes the one at `start`."""
    depth = 0
    for place in range(start, len(ts)):
        depth += (ts[place] in OPENING) - (ts[place] in CLOSING)
        if not depth:
            return place
    raise Unread(f"{ts[start]!r} is not closed by {OPENING[ts[start]]!r}")


def argument(ts: list[str], start: int) -> tuple[list[str], int]:
    """The argument of a command at `start`, without its braces, and the place after it."""
    if start >= len(ts):
        raise Unread(f"{ts[-1]!r} has no argument")
    if ts[start] == "{":
        end = closing(ts, start)
        return ts[start + 1 : end], end + 1
    return [ts[start]], start + 1


def canonical(ts: list[str]) -> str:
    """One spelling of a name: every script and argument in braces, other braces left out."""
    text, place = "", 0
    while place < len(ts):
        token, place = ts[place], place + 1
        if token in NAMING or token in ("_", "^"):
            inner, place = argument(ts, place)
            text += f"{token}{{{canonical(inner)}}}"
        elif token not in "{}":
            text += f"{token} " if re.fullmatch(r"\\[a-zA-Z]+", token) else token
    return re.sub(r"(\\[a-zA-Z]+) (?![a-zA-Z])", r"\1", text)


def key(tex: str) -> str:
    """The canonical spelling of a bound name or phrase."""
    return canonical(tokens(tex))


def split(ts: list[str], *separators: str) -> list[list[str]]:
    """Parts between the separators that stand outside of all brackets."""
    parts, depth = [[]], 0
    for token in ts:
        depth += (token in OPENING) - (token in CLOSING)
        if token in separators and not depth:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def statements(tex: str) -> list[list[str]]:
    """The statements of a display: what commas, semicolons and wide spaces part.

    A wide space before a sign or a relation goes on with the line before. Full stops at the end,
    words alone and the brackets around a condition, `(k \\ge 1)`, are left out, and so are words
    behind `&&` and those that lead to a condition, `such that`.
    """
    ts = _without_leads(tokens(REMARK.sub("", tex)))
    pairs = itertools.zip_longest(ts, ts[1:], fillvalue="")
    spaced = [";" if t in WIDE and n not in CONTINUES else t for t, n in pairs]
    whole = _on_one_line([t for t in spaced if t not in WIDE])
    return [part for found in split(whole, ",", ";") if (part := _bare(found))]


def _without_leads(ts):
    for place in range(len(ts) - 1):
        if ts[place] == r"\text":
            end = argument(ts, place + 1)[1]
            if canonical(ts[place:end]) in LEADS:
                return [*ts[:place], ";", *_without_leads(ts[end:])]
    return ts


def _on_one_line(ts):
    """Lines and columns mean something only inside of cases and matrices."""
    kept, depth = [], 0
    for token in ts:
        depth += token.startswith(r"\begin") - token.startswith(r"\end")
        if depth or token not in (r"\\", "&"):
            kept.append(token)
    return kept


def _bare(ts):
    while ts and ts[-1] == ".":
        ts = ts[:-1]
    if ts and ts[0] == "(" and closing(ts, 0) == len(ts) - 1 and RELATIONS & set(ts):
        ts = ts[1:-1]
    return [] if is_words(ts) else ts


def is_words(ts: list[str]) -> bool:
    """Whether it is text such as `for every i`, which states nothing that has a number."""
    return bool(ts) and ts[0] == r"\text" and not RELATIONS & set(ts)
