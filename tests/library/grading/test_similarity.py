"""Look-alikes: renaming hides no copy, and what everybody writes accuses nobody."""

import random
import time

import pytest

from dlcourse.grading.marking.similarity import CAVEAT, K, kgrams_of, normalized, similarity

NAMES = ["alpha", "beta", "gamma", "total", "row", "value", "item", "left", "right"]


def program(seed, n_lines=30):
    """A made-up function with a shape of its own."""
    rng = random.Random(seed)
    shapes = [
        "{a} = {b} {o} {n}",
        "{a} = [{b} {o} {c} for {c} in range({n})]",
        "if {a} > {n}:\n        {b} = {c}",
        "{a}.append({b} {o} {n})",
        "for {a} in {b}:\n        {c} = {a} {o} {n}",
        "{a} = max({b}, {n}) {o} len({c})",
        "while {a} < {n}:\n        {a} += {b} {o} {n}",
    ]
    lines = []
    for _ in range(n_lines):
        names = dict(zip("abc", rng.sample(NAMES, 3), strict=True))
        line = rng.choice(shapes).format(o=rng.choice("+-*/"), n=rng.randrange(9), **names)
        lines.append(f"    {line}")
    return "def answer(alpha):\n" + "\n".join(lines)


def renamed(source):
    for i, name in enumerate(NAMES):
        source = source.replace(name, f"x{i}")
    return "# all my own work\n" + source.replace("    ", "  ")


def pairs_of(sources, common="", **more):
    """Pairs among programs, of one cell or of several."""
    cells = {n: (source,) if isinstance(source, str) else source for n, source in sources.items()}
    return similarity(cells, [common], **more).pairs


def test_layout_comments_and_names_do_not_count():
    assert normalized(renamed(program(1))) == normalized(program(1))
    assert normalized("x = np.exp(y)") == normalized("z=np.exp( w )  # !")
    assert normalized("x = np.exp(y)") != normalized("x = np.log(y)")
    assert normalized("f'{x}' + 'y'")[-2:] == ["+", "text"]
    assert normalized("x = f(\n  y,  # why\n  z\n)\n\n") == normalized("x = f(y,z);")


@pytest.mark.parametrize(
    "source", ["", "def (", "'", "x = (", "\x00", "\ud800", "  x\n y", "'''\\"]
)
def test_what_is_no_code_does_no_harm(source):
    assert isinstance(kgrams_of(source), set)


def test_a_renamed_copy_is_found_among_many_and_nobody_else():
    sources = {f"s{i:02}": program(i) for i in range(40)}
    sources["thief"] = renamed(sources["s07"])
    (pair,) = pairs_of(sources)
    assert {pair.first, pair.second} == {"s07", "thief"}
    assert pair.share == 1


def test_a_half_changed_copy_is_found_with_its_share():
    lines = program(3, 60).splitlines()
    changed = "\n".join([*lines[:48], *program(4, 12).splitlines()[1:]])
    sources = {f"s{i}": program(100 + i, 60) for i in range(6)}
    pairs = pairs_of(sources | {"a": "\n".join(lines), "b": changed})
    assert [(pair.first, pair.second) for pair in pairs] == [("a", "b")]
    a, b = kgrams_of("\n".join(lines)), kgrams_of(changed)
    assert 0.6 < pairs[0].share < 1
    assert pairs[0].share == len(a & b) / min(len(a), len(b))


def cells(source):
    """The program as three functions."""
    lines = source.splitlines()
    third = len(lines) // 3
    blocks = lines[1:third], lines[third : 2 * third], lines[2 * third :]
    return ["\n".join([f"def f{i}(alpha):", *block]) for i, block in enumerate(blocks)]


def between(source, *padding):
    """The program with lines of padding after each of its own."""
    lines = source.splitlines()
    return "\n".join(
        "\n    ".join([line, *(p.format(i) for p in padding)]) for i, line in enumerate(lines)
    )


PAD = 'x = "' + "y" * 500_000 + '"\n'
TRICKS = {
    "comments": lambda s: (between(s, "# so it is, of course {}"),),
    "a comment that a parser cannot bear": lambda s: ("# " + "a." * 200 + "a\n" + s,),
    "other names": lambda s: (renamed(s),),
    "functions in another order": lambda s: tuple(reversed(cells(s))),
    "all in one cell, backwards": lambda s: ("\n".join(reversed(cells(s))),),
    "other code before it": lambda s: (program(77, 400), s),
    "other code around it": lambda s: (program(77, 400) + "\n" + s + "\n" + program(78, 400),),
    "lines that do nothing": lambda s: (between(s, "unused_{0} = {0}", "'nothing'", "pass"),),
    "lines of one kind that print": lambda s: (between(s, "print(alpha, {})"),),
    "a comment of 100,000 characters": lambda s: ("# " + "x" * 100_000 + "\n" + s,),
    "a text of 500,000 characters": lambda s: (PAD + s,),
    "a cell that is no Python": lambda s: ("def (:\n 'open", s),
    "a line that is no Python": lambda s: (s.replace("\n", "\n    5x = = (]\n", 1),),
    "magics": lambda s: ("%%capture\n%load_ext autoreload\n" + between(s, "%time"),),
    "a bracket left open": lambda s: ("x = (((\n" + s,),
    "a quote left open": lambda s: ("x = 'abc\n" + s,),
    "nulls": lambda s: ("\x00\n" + s,),
}


@pytest.mark.parametrize("trick", TRICKS.values(), ids=TRICKS)
def test_no_trick_drops_a_copy_from_the_list(trick):
    original = "\n".join(cells(program(7, 60)))
    sources = {f"s{i}": (program(i + 20, 60),) for i in range(12)}
    sources |= {"owner": (original,), "thief": trick(original)}
    assert [(p.first, p.second) for p in pairs_of(sources)] == [("owner", "thief")]


def test_what_all_were_given_or_write_does_not_accuse():
    given = program(0, 60)
    sources = {f"s{i}": given + "\n" + program(i + 1, 40) for i in range(4)}
    assert pairs_of(sources)
    assert not pairs_of(sources, common=given)
    many = {f"s{i}": given + "\n" + program(i + 1, 40) for i in range(12)}
    assert not pairs_of(many)


def test_what_is_not_compared_is_listed_with_its_reason():
    given = program(0, 60)
    found = similarity({"a": ("x = y + 1",), "b": (given,), "c": (program(1, 60),)}, [given])
    assert found.pairs == ()
    assert found.not_compared.keys() == {"a", "b"}
    assert "no code beyond" in found.not_compared["b"]
    short = similarity({"a": ("x = f(y) + f(z) * f(w)",)}, []).not_compared["a"]
    assert short.startswith("too little code of its own to tell (")
    assert len(kgrams_of("x = y + 1")) < K


def test_short_answers_that_agree_to_the_letter_are_found():
    line = "answer = " + " + ".join(f"name_{i}" for i in range(30))
    usual = {f"s{i}": (line.replace("name", f"n{i}"),) for i in range(12)}
    sources = usual | {"a": ("import os", line), "b": (line + "\n", "import os")}
    assert [(p.first, p.second, p.how) for p in pairs_of(sources)] == [("a", "b", "same code")]


def test_the_caveat_says_what_it_is():
    assert "a reason to look, not a proof" in CAVEAT


def test_hostile_code_takes_no_time():
    hostile = (
        "\\'" * 50_000,
        "%%time\n" * 5_000,
        "import " + ".".join("a" * 30_000),
        "'''" * 50_000 + "\\",
        '"\\' * 50_000,
        "(" * 100_000,
        "f'{" * 30_000,
        "1." * 50_000,
    )
    for source in hostile:
        start = time.process_time()
        normalized(source)
        assert time.process_time() - start < 20


def test_a_large_class_is_compared_in_blocks():
    sources = {f"s{i:03}": program(i % 520, 12) for i in range(521)}
    assert ("s000", "s520") in [(p.first, p.second) for p in pairs_of(sources, least=1)]
