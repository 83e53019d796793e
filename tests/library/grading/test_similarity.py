"""Look-alikes: renaming hides no copy, and what everybody writes accuses nobody."""

import random
import time

import pytest

from dlcourse.grading.marking.similarity import CAVEAT, K, kgrams_of, normalized, similar_pairs

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


def test_layout_comments_and_names_do_not_count():
    assert normalized(renamed(program(1))) == normalized(program(1))
    assert normalized("x = np.exp(y)") == normalized("z=np.exp( w )  # !")
    assert normalized("x = np.exp(y)") != normalized("x = np.log(y)")
    assert normalized("f'{x}' + 'y'")[-2:] == ["+", "text"]


@pytest.mark.parametrize("source", ["", "def (", "'", "x = (", "\x00", "\ud800", "  x\n y"])
def test_what_is_no_code_does_no_harm(source):
    assert isinstance(kgrams_of(source), set)


def test_a_renamed_copy_is_found_among_many_and_nobody_else():
    sources = {f"s{i:02}": program(i) for i in range(40)}
    sources["thief"] = renamed(sources["s07"])
    (pair,) = similar_pairs(sources, common="")
    assert {pair.first, pair.second} == {"s07", "thief"}
    assert pair.share == 1


def test_a_half_changed_copy_is_found_with_its_share():
    lines = program(3, 60).splitlines()
    changed = "\n".join([*lines[:58], *program(4, 12).splitlines()[1:]])
    sources = {f"s{i}": program(100 + i, 60) for i in range(6)}
    pairs = similar_pairs(sources | {"a": "\n".join(lines), "b": changed}, common="")
    assert [(pair.first, pair.second) for pair in pairs] == [("a", "b")]
    a, b = kgrams_of("\n".join(lines)), kgrams_of(changed)
    assert 0.6 < pairs[0].share < 1
    assert pairs[0].share == len(a & b) / len(a | b)


def test_what_all_were_given_or_write_does_not_accuse():
    given = program(0, 60)
    sources = {f"s{i}": given + "\n" + program(i + 1, 40) for i in range(4)}
    assert similar_pairs(sources, common="")
    assert similar_pairs(sources, common=given) == []
    many = {f"s{i}": given + "\n" + program(i + 1, 40) for i in range(12)}
    assert similar_pairs(many, common="") == []


def test_short_answers_are_not_compared():
    assert similar_pairs({"a": "x = y + 1", "b": "z = w + 1"}, common="") == []
    assert len(kgrams_of("x = y + 1")) < K


def test_the_caveat_says_what_it_is():
    assert "a reason to look, not a proof" in CAVEAT


def test_hostile_code_takes_no_time():
    for source in ("\\'" * 50_000, "%%time\n" * 5_000, "import " + ".".join("a" * 30_000)):
        start = time.process_time()
        normalized(source)
        assert time.process_time() - start < 20
