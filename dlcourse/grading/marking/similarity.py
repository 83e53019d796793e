"""Find submissions that are nearly the same, as a reason to look, never as a verdict.

Code is compared by its k-grams of tokens. Names that students choose count as one name, comments
and layout as nothing, so renaming hides no copy. What everybody has is left out: the starter code,
the reference solution, and k-grams that more than a third of the class share. MinHash with locality
sensitive hashing finds the candidates without comparing all pairs; their similarity is then
computed exactly. Reference: Broder (1997); Schleimer, Wilkerson and Aiken (2003) leave out what is
common.
"""

import builtins
import io
import keyword
import tokenize
from collections import Counter
from dataclasses import dataclass

from dlcourse.grading.sandbox.inside.magics import plain_python

K = 6  # tokens a k-gram
LONGEST_LINE = 1_000  # the tokenizer takes time as the square of a line's length
LEAST_KGRAMS = 25  # of its own: below, a submission is too short to tell anything
N_PERMUTATIONS = 128
MARGIN = 0.2  # below the wanted share, so that the hashes miss hardly any pair above it
SMALL_CLASS = 9  # where a third of the class is too few to call something common
KEPT = set(keyword.kwlist) | set(dir(builtins))
CAVEAT = (
    "Similar code is a reason to look, not a proof. A question with one natural answer makes "
    "honest students write the same, study groups talk, and a copy that was rewritten is not "
    "found. Read both, and hear both."
)


@dataclass(frozen=True)
class Pair:
    """Two submissions, and the share of k-grams that they have in common."""

    first: str
    second: str
    share: float  # |both| / |either|, of what is not common to all
    is_same_file: bool = False  # byte for byte


def similar_pairs(sources: dict[str, str], common: str, least=0.6) -> list[Pair]:
    """Pairs of `sources`, by name, that share at least `least` of their k-grams, most alike first.

    `common` is code that everyone was given or was meant to arrive at.
    """
    from datasketch import MinHash, MinHashLSH  # slow to import, needed once a run

    kgrams = _own(sources, kgrams_of(common))
    index, hashes = MinHashLSH(threshold=least - MARGIN, num_perm=N_PERMUTATIONS), {}
    pairs = []
    for name, own in sorted(kgrams.items()):
        if len(own) < LEAST_KGRAMS:
            continue
        hashes[name] = MinHash(num_perm=N_PERMUTATIONS, seed=1)
        hashes[name].update_batch([" ".join(kgram).encode() for kgram in own])
        for other in index.query(hashes[name]):
            share = len(own & kgrams[other]) / len(own | kgrams[other])
            if share >= least:
                pairs.append(Pair(other, name, share))
        index.insert(name, hashes[name])
    return sorted(pairs, key=lambda pair: (-pair.share, pair.first, pair.second))


def kgrams_of(source: str) -> set[tuple[str, ...]]:
    """All runs of K normalized tokens."""
    tokens = normalized(source)
    return {tuple(tokens[i : i + K]) for i in range(len(tokens) - K + 1)}


def normalized(source: str) -> list[str]:
    """Tokens with chosen names, strings and comments made equal; as far as the code can be read.

    >>> normalized("total = sum(xs)  # all")
    ['name', '=', 'sum', '(', 'name', ')']
    """
    tokens, previous = [], ""
    short = "\n".join(line for line in source.split("\n") if len(line) <= LONGEST_LINE)
    try:
        for token in tokenize.generate_tokens(io.StringIO(plain_python(short)).readline):
            if token.type == tokenize.NAME:
                is_kept = token.string in KEPT or previous == "."
                tokens.append(token.string if is_kept else "name")
            elif token.type == tokenize.STRING:
                tokens.append("text")
            elif token.type in (tokenize.OP, tokenize.NUMBER):
                tokens.append(token.string)
            previous = token.string
    except (tokenize.TokenError, SyntaxError, ValueError, RecursionError, MemoryError):
        pass
    return tokens


def _own(sources, common):
    kgrams = {name: kgrams_of(source) - common for name, source in sources.items()}
    if len(sources) <= SMALL_CLASS:
        return kgrams
    counts = Counter(kgram for own in kgrams.values() for kgram in own)
    usual = {kgram for kgram, count in counts.items() if count > len(sources) / 3}
    return {name: own - usual for name, own in kgrams.items()}
