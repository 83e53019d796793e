"""Commands of the grammar: fractions, roots, sums, extremes, integrals and expectations.

Each reads what follows it from the parser and gives its meaning, a function of a `Scope`.
"""

import functools

import numpy as np

from tools.formula import values
from tools.formula.grammar import Meaning, Parser, Scope, is_true, reads
from tools.formula.lexer import OPENING, RELATIONS, Unread, canonical, split

FOLDS = {
    r"\sum": lambda terms: functools.reduce(values.plus, terms[1:], terms[0]) if terms else 0.0,
    r"\prod": lambda terms: functools.reduce(values.times, terms, 1.0),
    r"\max": lambda terms: max(map(values.number, terms)),
    r"\min": lambda terms: min(map(values.number, terms)),
}
STATISTICS = {r"\mathbb{E}": values.mean, r"\operatorname{Var}": values.variance, r"\Pr": None}


@reads(*STATISTICS)
def statistic(parser, base, found) -> Meaning:
    """Mean, variance or probability over the worlds, of a bracket or the rest of the term."""
    if parser.token in ("[", "(", r"\{"):
        inner = parser.bracket()
    else:
        start = parser.place
        parser.term()
        inner = parser.ts[start : parser.place]
    of, *given = split(inner, r"\mid")

    def is_given(scope, world):
        """Whether the condition holds in a world, or its value there is as bound outside of it."""
        (condition,) = given
        if RELATIONS & set(condition):
            return is_true(condition, parser.phrases, world)
        value = parser.of(condition)
        return values.agree(value(world), "=", value(scope))

    def value(scope):
        if base in scope.names:
            return found(scope)(parser.of(inner)(scope))
        if scope.worlds is None:
            raise Unread(f"{base} needs `worlds`, pairs of a probability and bindings")
        scopes = [(p, Scope(scope.names | names)) for p, names in scope.worlds]
        if given:
            scopes = [(p, s) for p, s in scopes if is_given(scope, s)]
        total = sum(p for p, _ in scopes)
        weights = [p / total for p, _ in scopes]
        if base == r"\Pr":
            return sum(
                p * is_true(of, parser.phrases, s)
                for p, (_, s) in zip(weights, scopes, strict=True)
            )
        return STATISTICS[base]([parser.of(of)(s) for _, s in scopes], weights)

    return parser.scripted(value)


@reads(r"\frac")
def fraction(parser: Parser) -> Meaning:
    above, below = parser.of(parser.argument()), parser.of(parser.argument())
    return parser.scripted(lambda scope: values.over(above(scope), below(scope)))


@reads(r"\sqrt")
def root(parser: Parser) -> Meaning:
    value = parser.of(parser.argument())
    return parser.scripted(lambda scope: np.emath.sqrt(values.number(value(scope))))


@reads("|")
def bars(parser: Parser) -> Meaning:
    end = parser.ts.index("|", parser.place) if "|" in parser.ts[parser.place :] else None
    if end is None:
        raise Unread("'|' is not closed by '|'")
    value, parser.place = parser.of(parser.ts[parser.place : end]), end + 1
    return parser.scripted(lambda scope: np.abs(values.number(value(scope))))


@reads(r"\underbrace", r"\overbrace")
def braced(parser: Parser) -> Meaning:
    """What a brace holds. If a number is bound to the name at the brace, it must be the same."""
    inner = parser.of(parser.argument())
    name = canonical(parser.script()) if parser.token in ("_", "^") else ""

    def value(scope):
        found = inner(scope)
        if not values.agree(scope.names.get(name, found), "=", found):
            raise Unread(f"the brace gives the name {name} to something else")
        return found

    return value


@reads(*values.FUNCTIONS)
def function(parser: Parser) -> Meaning:
    f = values.FUNCTIONS[parser.ts[parser.place - 1]]
    base = parser.of(parser.script()) if parser.token == "_" else None
    exponent = parser.script() if parser.token == "^" else None
    inner = parser.of(parser.bracket()) if parser.token in ("(", "[", r"\{") else parser.term()

    def value(scope):
        of = inner(scope)
        result = f(of if f is np.linalg.det else values.number(of))
        return result if base is None else result / np.log(values.number(base(scope)))

    return value if exponent is None else functools.partial(parser.raised, value, exponent)


@reads(r"\sum", r"\prod", r"\max", r"\min")
def folded(parser: Parser) -> Meaning:
    """A sum, a product, or an extreme: over an index, or of what a bracket lists."""
    fold = FOLDS[parser.ts[parser.place - 1]]
    lower = upper = None
    while parser.token in ("_", "^"):
        sign, script = parser.token, parser.script()
        lower, upper = (script, upper) if sign == "_" else (lower, script)
    if lower is None:
        inner = [parser.of(part) for part in split(parser.bracket(), ",")]
        return parser.scripted(lambda scope: fold([value(scope) for value in inner]))
    body = parser.term()

    def value(scope):
        name = running(lower, scope)
        found = places(parser, name, lower, upper, scope)
        return fold([body(scope.having(**{name: place})) for place in found])

    return value


@reads(r"\arg")
def extreme_places(parser: Parser) -> Meaning:
    """Where an expression is largest or smallest, over the bound range of the index."""
    fold, (name,) = FOLDS[parser.take()], parser.script()
    body = parser.expression()

    def value(scope):
        found = places(parser, name, (name,), None, scope)
        reached = [values.number(body(scope.having(**{name: place}))) for place in found]
        best = fold(reached)
        pairs = zip(found, reached, strict=True)
        return np.array([place for place, at in pairs if values.agree(at, "=", best)])

    return value


def running(lower, scope):
    """The index below a sign: its first token, or what has a range in `|x - a| \\le b`."""
    ranges = (t for t in lower if isinstance(scope.names.get(t), list | tuple | range))
    return next(ranges, lower[0]) if lower[0] in {*OPENING, "|"} else lower[0]


def places(parser, name, lower, upper, scope):
    """Values of an index: `i=1` to an end, `i \\in B`, or of a bound range those that fit."""
    relation, rest = lower[1:2] if lower[0] == name else lower[:1], lower[2:]
    if relation == ("=",):
        first, last = (values.number(parser.of(ts)(scope)) for ts in (rest, upper))
        if first % 1 or last % 1:
            raise Unread(f"{name!r} runs from {first} to {last}: bind whole numbers")
        return range(int(first), int(last) + 1)
    if relation == (r"\in",):
        return parser.of(rest)(scope)
    if not hasattr(scope.names.get(name), "__iter__"):
        raise Unread(f"{name!r} has no range: bind it to range(1, n + 1), for instance")
    if not relation:
        return scope.names[name]
    return [
        place
        for place in scope.names[name]
        if is_true(lower, parser.phrases, scope.having(**{name: place}))
    ]


@reads(r"\int")
def integral(parser: Parser) -> Meaning:
    lower, upper = parser.of(parser.script()), parser.of(parser.script())
    rest = range(len(parser.ts) - 2, parser.place, -1)
    end = next((i for i in rest if parser.ts[i] == "d"), None)
    if end is None:
        raise Unread("an integral ends with its d, such as ds")
    body, name = parser.of(parser.ts[parser.place : end]), parser.ts[end + 1]
    parser.place = end + 2

    def value(scope):
        ends = (values.number(side(scope)) for side in (lower, upper))
        return values.integral(lambda at: body(scope.having(**{name: at})), *ends)

    return value
