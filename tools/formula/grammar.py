r"""The grammar: LaTeX becomes a function of the numbers that its names stand for.

    chain    expression (relation expression)*        = \ne < > \le \ge \approx \to \in \sim
                                                      \leftarrow
    expression  [sign] term (sign term)*                + - \pm \mp
    term     factor ([\cdot | \times | / | \bmod] factor)*
    factor   (phrase | number | bracket | command | name) script*
    script   _ argument | ^ argument | '
    command  \frac \sqrt \log \sum \prod \int \max \min \arg\min \lVert \lvert | \lfloor
             \langle \mathbb{E} \operatorname{Var} \Pr 1\{...\} \underbrace cases pmatrix
    name     a letter, Latin or Greek, or \hat \text \operatorname ... with its argument

A name is looked up as it stands, scripts and all: `\hat m_k`, then `\hat m` at the index `k`; where
`n` is bound to a number beside, `n_k` is `n_{\cdot}`, bound to the family, at the index `k`. What
stands above is a power, unless it is `\top` or an index in brackets, `x^{(k)}`. A name beside a
bracket is called if it stands for a function, else multiplied. Sums, functions without a bracket
and expectations reach to the end of their term, `\arg\min` to that of its expression. A bound name
that is more than one name with its scripts is a phrase, `\frac{\partial S}{\partial \beta_j}`, and
is taken as a whole. `u \sim \mathcal{N}(m, v)` says that u has this mean and variance over the
worlds, which are those given y in `u \mid y \sim`. Where an arrow gives a name another value, that
is bound with the arrow, `x \leftarrow`.
"""

import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from tools.formula import values
from tools.formula.lexer import (
    ARROW,
    CLOSING,
    NAMING,
    RELATIONS,
    Unread,
    argument,
    canonical,
    closing,
    split,
)

GREEK = r"""\alpha \beta \gamma \delta \epsilon \varepsilon \zeta \eta \theta \kappa \lambda \mu \nu
\xi \pi \rho \sigma \tau \phi \varphi \chi \psi \omega \ell \Gamma \Delta \Theta \Lambda \Xi \Pi
\Sigma \Phi \Psi \Omega""".split()
SIGNS = ("+", "-", r"\pm", r"\mp")
ENDS = {*SIGNS, *RELATIONS, *CLOSING, ",", ";", r"\mid", ""}
NAMES = {*GREEK, *NAMING, r"\nabla", r"\Pr"}
READERS = {}  # of a command: what reads on behind it, from `commands`


@dataclass(frozen=True)
class Scope:
    """What names stand for, and the worlds to average over: pairs (probability, names)."""

    names: dict
    worlds: tuple | None = None

    def having(self, **names):
        return replace(self, names=self.names | names)


Meaning = Callable[[Scope], object]


def reads(*commands: str):
    """Names the commands that a function reads."""

    def register(function):
        READERS.update(dict.fromkeys(commands, function))
        return function

    return register


@functools.lru_cache(maxsize=100_000)
def chain(ts: tuple[str, ...], phrases: tuple = ()) -> Callable[[Scope], list]:
    """Of a statement: a function that gives its pairs (relation, value), the first without one."""
    parser = Parser(ts, phrases)
    parts = [("", parser.expression())]
    if parser.token == ARROW:
        parts = [("", functools.partial(renewed, canonical(ts[: parser.place]), parts[0][1]))]
    while parser.token:
        if parser.token == r"\mid" and r"\sim" in ts:
            parser.place = ts.index(r"\sim")
        if parser.token not in RELATIONS:
            raise Unread(f"{parser.token!r} is not understood after {parser.before()!r}")
        if parser.token == r"\sim":
            parts[-1] = (parts[-1][0], functools.partial(spread, parts[-1][1]))
        parts.append((parser.take(), parser.expression()))
    return lambda scope: [(relation, side(scope)) for relation, side in parts]


def renewed(name, value, scope):
    """What a name has become that an arrow points to, bound with its arrow: `x \\leftarrow`."""
    arrow = f"{name}{ARROW}"
    return scope.names[arrow] if arrow in scope.names else value(scope)


@functools.lru_cache(maxsize=100_000)
def meaning(ts: tuple[str, ...], phrases: tuple = ()) -> Meaning:
    """Of an expression: a function that gives its value."""
    parser = Parser(ts, phrases)
    value = parser.expression()
    if parser.token:
        raise Unread(f"{parser.token!r} is not understood after {parser.before()!r}")
    return value


def spread(of: Meaning, scope: Scope) -> values.Normal:
    """Mean and variance over the worlds."""
    if scope.worlds is None:
        raise Unread(r"\sim needs `worlds`, pairs of a probability and bindings")
    found = [of(scope.having(**names)) for _, names in scope.worlds]
    weights = [p for p, _ in scope.worlds]
    return values.Normal(values.mean(found, weights), values.variance(found, weights))


def is_true(ts, phrases, scope) -> bool:
    """Whether the condition holds."""
    sides = chain(tuple(ts), phrases)(scope)
    return all(values.agree(a, relation, b) for (_, a), (relation, b) in itertools.pairwise(sides))


class Parser:
    """Reads tokens from left to right; each method takes one thing and gives its meaning."""

    def __init__(self, ts: tuple[str, ...], phrases: tuple):
        self.ts, self.phrases, self.place = tuple(ts), phrases, 0

    @property
    def token(self) -> str:
        return self.ts[self.place] if self.place < len(self.ts) else ""

    def take(self) -> str:
        self.place += 1
        return self.ts[self.place - 1]

    def before(self) -> str:
        return " ".join(self.ts[max(0, self.place - 6) : self.place])

    def argument(self) -> tuple[str, ...]:
        inner, self.place = argument(self.ts, self.place)
        return tuple(inner)

    def bracket(self) -> tuple[str, ...]:
        """The tokens inside the bracket that opens here."""
        end = closing(self.ts, self.place)
        inner, self.place = self.ts[self.place + 1 : end], end + 1
        return inner

    def of(self, ts) -> Meaning:
        return meaning(tuple(ts), self.phrases)

    # ---- expression, term, factor

    def expression(self) -> Meaning:
        terms = []
        while not terms or self.token in SIGNS:
            sign = self.take() if self.token in SIGNS else "+"
            terms.append((sign, self.term()))

        def total(scope):
            first, *rest = (_signed(sign, term(scope), scope) for sign, term in terms)
            return functools.reduce(values.plus, rest, first)

        return total

    def term(self) -> Meaning:
        factors = []
        while self.token not in ENDS:
            sign = self.take() if self.token in (r"\cdot", r"\times", "/", r"\bmod") else ""
            factors.append((sign, self.factor()))
            if sign == "/" and self.token not in {*ENDS, r"\cdot", r"\times", "/"}:
                raise Unread(
                    f"{self.before()!r} {self.token!r} may be read in two ways: "
                    "write a fraction, or brackets"
                )
        if not factors:
            raise Unread(f"something is missing between {self.before()!r} and {self.token!r}")

        def product(scope):
            (_, first), *rest = factors
            value = first(scope)
            for sign, factor in rest:
                combine = {"/": values.over, r"\bmod": np.mod}.get(sign, values.times)
                value = combine(value, factor(scope))
            return value

        return product

    def factor(self) -> Meaning:
        for words, name in self.phrases:
            if self.ts[self.place : self.place + len(words)] == words:
                self.place += len(words)
                return self.beside(lambda scope, name=name: scope.names[name])
        if self.token.isdigit():
            return self.number()
        if self.token in READERS and self.token not in NAMES:
            return READERS[self.take()](self)
        return self.name()

    def number(self) -> Meaning:
        digits = self.take()
        while self.token.isdigit() or (self.token == "." and self.following().isdigit()):
            digits += self.take()
        if digits == "1" and self.token == r"\{":
            condition = self.bracket()
            return lambda scope: float(is_true(condition, self.phrases, scope))
        return self.scripted(lambda scope: float(digits))

    def following(self) -> str:
        return self.ts[self.place + 1] if self.place + 1 < len(self.ts) else ""

    # ---- scripts and names

    def script(self) -> tuple[str, ...]:
        self.place += 1
        return self.argument()

    def scripted(self, value: Meaning) -> Meaning:
        """What stands above or below a bracket, a number or a call."""
        while self.token in ("_", "^"):
            sign, script = self.token, self.script()
            change = self.entry if sign == "_" else self.raised
            value = functools.partial(change, value, script)
        return value

    def entry(self, value, script, scope):
        found = value(scope)
        found = values.one_based(found) if isinstance(found, np.ndarray) else found
        return values.entry(found, self.index(script, scope))

    def index(self, script, scope) -> tuple:
        """`ij` and `i,j` are two places, `k-1` and `12` are one."""
        parts = split(script, ",")
        letters = len(script) > 1 and all(t.isalpha() or t in GREEK for t in script)
        mixed = len(script) == 2 and all(t.isalnum() or t in GREEK for t in script)
        if letters or (mixed and not all(t.isdigit() for t in script)):
            parts = [[token] for token in script]
        return tuple(values.number(self.of(part)(scope)) for part in parts)

    def raised(self, value, script, scope):
        return self.powered(value(scope), script, scope)

    def powered(self, found, script, scope):
        """A power, the transpose, or what stands at an index in brackets."""
        if script == (r"\top",):
            return values.transpose(found)
        if script == ("-", r"\top"):
            return values.transpose(values.power(found, -1))
        if script[:1] == ("(",) and closing(script, 0) == len(script) - 1:
            return values.entry(found, self.index(script[1:-1], scope))
        if callable(found):
            raise Unread(f"a function to the power {canonical(script)!r}: bind the whole")
        return values.power(found, self.of(script)(scope))

    def name(self) -> Meaning:
        base = self.bare_name()
        primes, below, above = "", None, None
        while self.token in ("_", "^", "'"):
            if self.token == "'":
                primes += self.take()
            elif self.token == "_" and below is None:
                below = self.script()
            elif self.token == "^" and above is None:
                above = self.script()
            else:  # LaTeX refuses it too
                raise Unread(f"{self.before()!r} has a second {self.token!r}: write brackets")
        found = functools.partial(self.looked_up, base, primes, below, above)
        if base in READERS:
            return READERS[base](self, base, found)
        return self.beside(found, base)

    def bare_name(self) -> str:
        token = self.token
        if token not in NAMES and not token.isalpha():
            raise Unread(f"{token or 'the end'!r} is not understood after {self.before()!r}")
        self.place += 1
        if token in NAMING:
            return f"{token}{{{canonical(self.argument())}}}"
        if token == r"\nabla":
            start = self.place - 1
            while self.token in ("_", "^"):
                self.script()
            self.bare_name()
            return canonical(self.ts[start : self.place])
        return token

    def looked_up(self, base, primes, below, above, scope):
        low = f"_{{{canonical(below)}}}" if below is not None else ""
        high = f"^{{{canonical(above)}}}" if above is not None else ""
        stem, names = f"{base}{primes}", scope.names
        family = rf"{stem}_{{\cdot}}" if below else stem
        tries = [
            (f"{base}{low}{primes}{high}", (), ()), (f"{stem}{low}{high}", (), ()),
            (f"{stem}{high}{low}", (), ()), (family, below, above), (f"{stem}{high}", below, ()),
            (f"{base}{low}{primes}", (), above), (f"{stem}{low}", (), above), (stem, below, above),
        ]  # fmt: skip
        for name, index, exponent in tries:
            known = names if name in names else values.KNOWN
            if name in known:
                value = known[name]
                if index:
                    value = values.entry(value, self.index(index, scope))
                return self.powered(value, exponent, scope) if exponent else value
        raise Unread(f"{base}{primes}{low}{high} has no number: bind it")

    def operator(self, found: Meaning) -> Meaning:
        """A word without a bracket, `\\operatorname{tr} X`, applies to the rest of its term."""
        if self.token in ENDS:
            return found
        rest = self.term()

        def value(scope):
            known = found(scope)
            return known(rest(scope)) if callable(known) else values.times(known, rest(scope))

        return value

    def beside(self, found: Meaning, base: str = "") -> Meaning:
        """A name and the bracket beside it, if there is one: a call or a product."""
        if self.token not in ("(", "["):
            return (
                self.operator(found) if base.startswith(r"\operatorname") else self.scripted(found)
            )
        inner = split(self.bracket(), ",", ";", r"\mid")
        scripts = Parser(self.ts, self.phrases)
        scripts.place = self.place
        arguments = [functools.partial(self.evaluated, part) for part in inner]
        called = self.scripted(lambda scope: found(scope)(*(a(scope) for a in arguments)))
        product = scripts.scripted(arguments[0])

        def value(scope):
            if callable(found(scope)):
                return called(scope)
            if len(arguments) > 1:
                raise Unread(f"{canonical(self.ts)!r} calls a name that stands for no function")
            return values.times(found(scope), product(scope))

        return value

    def evaluated(self, ts, scope):
        return self.of(ts)(scope)


def _signed(sign, value, scope):
    if sign in ("+", "-"):
        return value if sign == "+" else values.times(-1.0, value)
    side = scope.names.get(r"\pm", 1)
    return values.times(float(side if sign == r"\pm" else -side), value)
