"""Find submissions that are nearly the same, as a reason to look, never as a verdict.

Code is compared cell by cell, by its k-grams of tokens. Names that students choose count as one
name; comments, layout and lines that do nothing count as nothing, nor does the order of cells. So
renaming, moving or padding hides no copy. Tokens are taken by a scanner that never gives up: a
syntax error, a magic or a huge cell drops nothing. What everybody has is left out: the starter
code, the reference solution, and k-grams that more than a third of the class share. What was too
little to compare is listed with the reason. Reference: Schleimer, Wilkerson and Aiken (2003).
"""

import builtins
import keyword
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

K, LONG_K = 6, 12  # tokens a k-gram, and where one of two is much the larger
MUCH = 2  # times as many k-grams: so much code shares short ones with any other, by chance
LEAST_KGRAMS = 25  # of its own: below, a submission is too short to tell anything
LEAST_CHARACTERS = 200  # of its own, for the same word for word
LEAST_SHARE = 0.6
SMALL_CLASS = 9  # where a third of the class is too few to call something common
ROWS = 500  # of the class at a time
LITERALS = ("text", "None", "True", "False")
KEPT = set(keyword.kwlist) | set(dir(builtins))
TOKEN = re.compile(
    r"#[^\n]*|\\\r?\n|(?P<end>[\n;])"
    r"|(?P<text>[rbfuRBFU]{0,2}(?:'''.*?(?:'''|\Z)"
    r'|""".*?(?:"""|\Z)'
    r"|'(?:\\.|[^'\\\n])*'?|\"(?:\\.|[^\"\\\n])*\"?))"
    r"|(?P<name>[^\W\d]\w*)|(?P<number>\.?\d[\w.]*)|(?P<sign>[^\s\w])",
    re.S,
)
CAVEAT = (
    "Similar code is a reason to look, not a proof. A question with one natural answer makes "
    "honest students write the same, study groups talk, and a copy that was rewritten is not "
    "found. Read both, and hear both."
)


@dataclass(frozen=True)
class Pair:
    """Two submissions, and the share of the smaller one's own k-grams that the larger has too."""

    first: str
    second: str
    share: float
    how: str = ""  # "same file", "same code", or "" where the share says it


@dataclass(frozen=True)
class Similarity:
    """Pairs that are nearly the same, and why others were not compared."""

    pairs: tuple[Pair, ...]
    not_compared: dict[str, str]  # student: reason

    def of(self, student: str) -> list[tuple[str, str]]:
        """(other student, how alike) for each pair that this student is in."""
        return [
            (pair.second if pair.first == student else pair.first, pair.how or f"{pair.share:.0%}")
            for pair in self.pairs
            if student in (pair.first, pair.second)
        ]


def similarity(
    sources: dict[str, tuple[str, ...]], common: Iterable[str], least: float = LEAST_SHARE
) -> Similarity:
    """The `sources`, cells by name, that share at least `least` of their k-grams, most alike first.

    `common` is code that everyone was given or was meant to arrive at.
    """
    common = list(common)
    known = set().union(*map(kgrams_of, common)) if common else set()
    found = {name: set().union(*map(kgrams_of, cells)) for name, cells in sources.items()}
    own = _own(found, known)
    names = sorted(name for name in own if len(own[name]) >= LEAST_KGRAMS)
    pairs = {(p.first, p.second): p for p in _word_for_word(sources, common)}
    for pair in _overlapping(names, own, least):
        if _agrees_at_length(pair, own, sources, least):
            pairs.setdefault((pair.first, pair.second), pair)
    ordered = sorted(pairs.values(), key=lambda pair: (-pair.share, pair.first, pair.second))
    return Similarity(tuple(ordered), {n: _why(own[n]) for n in sorted(own) if n not in names})


def kgrams_of(source: str, k: int = K) -> set[int]:
    """All runs of `k` normalized tokens, each as a number."""
    tokens = normalized(source)
    return {hash(tuple(tokens[i : i + k])) for i in range(len(tokens) - k + 1)}


def normalized(source: str) -> list[str]:
    """Tokens with chosen names, strings and comments made equal, without lines that do nothing.

    >>> normalized("total = sum(xs)  # all\\nunused = 0")
    ['name', '=', 'sum', '(', 'name', ')']
    """
    return [token for line in _lines(source) if not _is_idle(line) for token in line]


def _lines(source) -> Iterator[list[str]]:
    """The tokens of each logical line."""
    line, depth = [], 0
    for match in TOKEN.finditer(source):
        kind, token = match.lastgroup, match[0]
        if kind == "end":
            if depth == 0 and line:
                yield line
                line = []
        elif kind == "name":
            is_kept = token in KEPT or (line and line[-1] == ".")
            line.append(token if is_kept else "name")
        elif kind:
            depth = max(0, depth + (token in "([{") - (token in ")]}")) if kind == "sign" else depth
            line.append("text" if kind == "text" else token)
    if line:
        yield line


def _is_idle(line):
    """Whether a line could be anywhere: padding between the lines of a copy is made of these."""
    if line[0] in ("pass", "import", "from", "print", "%", "!"):
        return True
    value = line[2:] if line[:2] == ["name", "="] else line
    return len(value) == 1 and (value[0] in LITERALS or value[0][0].isdigit())


def _own(kgrams, common):
    own = {name: found - common for name, found in kgrams.items()}
    if len(own) <= SMALL_CLASS:
        return own
    counts = Counter(kgram for found in own.values() for kgram in found)
    usual = {kgram for kgram, count in counts.items() if count > len(own) / 3}
    return {name: found - usual for name, found in own.items()}


def _overlapping(names, own, least):
    """Pairs by what they share, counted for all at once as a product of sparse matrices."""
    from scipy.sparse import csr_array  # slow to import, needed once a run

    columns = defaultdict(lambda: len(columns))
    places = [columns[kgram] for name in names for kgram in own[name]]
    ends = np.cumsum([0, *(len(own[name]) for name in names)])
    has = csr_array((np.ones(len(places), np.int32), places, ends), (len(names), len(columns)))
    sizes = np.diff(ends)
    for start in range(0, len(names), ROWS):
        shared = (has[start : start + ROWS] @ has.T).tocoo()
        for i, j, count in zip(shared.row + start, shared.col, shared.data, strict=True):
            share = count / min(sizes[i], sizes[j])
            if i < j and share >= least:
                yield Pair(names[i], names[j], float(share))


def _agrees_at_length(pair, own, sources, least):
    """Whether a pair of very unequal size shares long runs too."""
    small, large = sorted((pair.first, pair.second), key=lambda name: len(own[name]))
    if len(own[large]) <= MUCH * len(own[small]):
        return True
    short, long = (
        set().union(*(kgrams_of(cell, LONG_K) for cell in sources[name])) for name in (small, large)
    )
    return len(short & long) >= least * len(short)


def _word_for_word(sources, common):
    """Pairs whose code of their own is the same to the letter, however short it is otherwise."""
    given = {_squeezed(cell) for cell in common}
    first = {}
    for name, cells in sorted(sources.items()):
        own = tuple(sorted({s for cell in cells if (s := _squeezed(cell)) and s not in given}))
        if sum(map(len, own)) >= LEAST_CHARACTERS:
            if own in first:
                yield Pair(first[own], name, 1.0, "same code")
            first.setdefault(own, name)


def _squeezed(cell):
    return "".join(cell.split())


def _why(own):
    if not own:
        return "no code beyond what was handed out, the reference solution, or what most wrote"
    return f"too little code of its own to tell ({len(own)} of {LEAST_KGRAMS} runs of {K} tokens)"
