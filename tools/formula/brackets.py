"""Brackets of the grammar: norms, floor and ceiling, inner products, cases and matrices."""

import itertools

import numpy as np

from tools.formula import values
from tools.formula.grammar import Meaning, Parser, is_true, reads
from tools.formula.lexer import OPENING, Unread, argument, canonical, split


@reads(*OPENING)
def enclosed(parser: Parser) -> Meaning:
    """A bracket, a norm, floor and ceiling, an inner product, cases or a matrix."""
    parser.place -= 1
    opening, inner = parser.token, parser.bracket()
    if opening == r"\lVert":
        kind = canonical(parser.script()) if parser.token == "_" else ""
        value = parser.of(inner)
        return parser.scripted(lambda scope: values.norm(value(scope), kind))
    reader = INSIDE.get(opening, lambda parser, inner: parser.of(inner))
    return parser.scripted(reader(parser, inner))


def matrix(parser, inner) -> Meaning:
    rows = [[parser.of(x) for x in split(row, "&")] for row in split(inner, r"\\") if row]

    def value(scope):
        blocks = [[np.atleast_2d(x(scope)) for x in row] for row in rows]
        heights = [max(len(block) for block in row) for row in blocks]
        widths = [max(block.shape[1] for block in column) for column in zip(*blocks, strict=True)]
        filled = [
            [
                _filled(block, size)
                for block, size in zip(row, itertools.product([height], widths), strict=True)
            ]
            for height, row in zip(heights, blocks, strict=True)
        ]
        return np.block(filled)

    return value


def _filled(block, shape):
    """A 0 stands for a block of zeros."""
    return block if block.any() else np.zeros(shape)


def product(parser, inner) -> Meaning:
    first, second = map(parser.of, split(inner, ","))
    return lambda scope: values.inner(first(scope), second(scope))


def changed(by):
    """Reader of a bracket that changes the number in it."""

    def read(parser, inner):
        value = parser.of(inner)
        return lambda scope: by(values.number(value(scope)))

    return read


def cases(parser, inner) -> Meaning:
    """The first case whose condition holds; one in words alone, if they are bound to a truth."""
    rows = [split(row, "&") for row in split(inner, r"\\") if row]

    def chosen(scope):
        for value, condition in rows:
            if _applies(_ended(condition), parser.phrases, scope):
                return parser.of(_ended(value))(scope)
        raise Unread("none of the cases applies")

    return chosen


def _applies(condition, phrases, scope):
    words, test = canonical(condition), _without_words(condition)
    if test:
        return is_true(test, phrases, scope)
    if "otherwise" not in words and words not in scope.names:
        raise Unread(f"{words} is a case in words: bind whether it applies")
    return scope.names.get(words, True)


def _ended(ts):
    return ts[:-1] if ts and ts[-1] in (",", ".", ";") else ts


def _without_words(ts):
    """A condition without its `if`."""
    if r"\text" not in ts:
        return ts
    place = ts.index(r"\text")
    _, end = argument(ts, place + 1)
    return _without_words([*ts[:place], *ts[end:]])


INSIDE = {
    r"\begin{cases}": cases,
    r"\begin{pmatrix}": matrix,
    r"\begin{bmatrix}": matrix,
    r"\langle": product,
    r"\lvert": changed(np.abs),
    r"\lfloor": changed(np.floor),
    r"\lceil": changed(np.ceil),
}
