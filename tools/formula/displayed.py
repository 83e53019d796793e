"""The display of a label, read from its page, and what it says at given numbers."""

import functools
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tools import statements
from tools.formula import values
from tools.formula.docstrings import documented
from tools.formula.grammar import GREEK, Scope, chain
from tools.formula.lexer import ARROW, NAMING, argument, key, tokens
from tools.formula.lexer import statements as statements_in

ROOT = Path(__file__).resolve().parents[2]


@functools.cache
def book() -> dict[str, str]:
    """label -> LaTeX of every display of the pages, and of the docstrings behind them."""
    return statements.equations(ROOT) | documented(ROOT)


def displayed(label: str) -> "Display":
    """The display with this label, or in the docstring of this dotted name.

    KeyError with the cure where there is none.
    """
    if label not in book():
        raise KeyError(
            f"no display has the label {label!r}: write `$$ ... $$ ({label})` on a page, or "
            "`.. math::` in the docstring of this name"
        )
    return Display(label, book()[label])


@dataclass(frozen=True)
class Verdict:
    """Whether the relations of a display hold, with the values of their sides."""

    label: str
    sides: tuple  # of each statement: pairs (relation, value)
    is_true: bool

    def __bool__(self):
        return self.is_true

    def __repr__(self):
        said = (" ".join(f"{relation} {value}" for relation, value in side) for side in self.sides)
        return f"{self.label} {'holds' if self else 'does not hold'}: " + "; ".join(said)


@dataclass(frozen=True)
class Display:
    """LaTeX that states something. Names and phrases are bound by their LaTeX."""

    label: str
    tex: str

    def holds(
        self, names: dict, worlds: Iterable | None = None, *, tight=False, rtol=1e-9, near=1e-2
    ):
        """Whether every relation of the display holds at these numbers, as a `Verdict`.

        `worlds` are pairs of a probability and names, over which expectations average. `tight`
        demands that bounds are attained, all or those in these places, counted from 1; `near` is
        the share that an approximation may miss. Raises `Unread` for LaTeX that is not understood
        or a name without a number.
        """
        sides = self.sides(names, worlds)
        related = [
            (a, relation, b) for side in sides for (_, a), (relation, b) in itertools.pairwise(side)
        ]
        bounds = [(a, b) for a, relation, b in related if relation in (r"\le", r"\ge")]
        wanted = range(1, len(bounds) + 1) if np.ndim(tight) == 0 and tight else (tight or ())
        attained = [pair for n, pair in enumerate(bounds, 1) if n in wanted]
        results = [values.agree(*relation, rtol, near) for relation in related]
        results += [values.agree(a, "=", b, rtol, near) for a, b in attained]
        return Verdict(self.label, tuple(map(tuple, sides)), bool(related) and all(results))

    def fails(self, names: dict, worlds: Iterable | None = None, **options) -> bool:
        """Whether it does not hold, as where a hypothesis is hurt or a limit is passed."""
        return not self.holds(names, worlds, **options)

    def value(self, names: dict, worlds: Iterable | None = None):
        """What a display without a relation is worth."""
        ((side,),) = self.sides(names, worlds)
        return side[1]

    def sides(self, names: dict, worlds: Iterable | None = None):
        """Of each statement its pairs (relation, value), the first without a relation."""
        bound = {key(name): value for name, value in names.items()}
        among = [(p, {key(k): v for k, v in world.items()}) for p, world in worlds or ()]
        scope = Scope(bound, tuple(among) if worlds is not None else None)
        phrases = _phrases([*names, *(name for _, world in worlds or () for name in world)])
        return [chain(tuple(ts), phrases)(scope) for ts in statements_in(self.tex)]


def _phrases(names):
    """The bound names that are more than one name with its scripts, the longest first."""
    read = {name: tokens(name) for name in names}
    found = {
        (tuple(ts), key(name)) for name, ts in read.items() if not is_name(ts) and ts[-1] != ARROW
    }
    return tuple(sorted(found, key=lambda phrase: -len(phrase[0])))


def is_name(ts: list[str]) -> bool:
    """Whether it is a single name: a letter or a word, behind a nabla perhaps, and its scripts."""
    place = 0
    if ts[0] == r"\nabla":
        place = 1
        while ts[place : place + 1] in (["_"], ["^"]):
            _, place = argument(ts, place + 1)
    first, place = ts[place], place + 1
    if first in NAMING:
        _, place = argument(ts, place)
    elif not (first.isalpha() or first in GREEK or first in (r"\Pr", r"\pm")):
        return False
    while place < len(ts) and ts[place] in ("_", "^", "'"):
        place = place + 1 if ts[place] == "'" else argument(ts, place + 1)[1]
    return place == len(ts)
