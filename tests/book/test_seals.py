"""Every display is evaluated or sealed, and every page is as it was sealed."""

import json

import pytest

from tests import ROOT
from tests.book.evaluation import noticed
from tools import proofs, seals, statements
from tools.formula.trial import Trial

EVALUATED = {label for label, _ in proofs.evaluating(ROOT)}
LISTED = seals.displays()
BOOK = statements.read(ROOT)
SHOWN = {s.label for page in BOOK.values() for s in page if s.kind == "equation"}
DIFFERENCES = seals.differences()


def fail_with(faults):
    message = "\n".join(faults)
    if message:
        pytest.fail(message, pytrace=False)


def neither(shown, evaluated, sealed):
    """Sentences on displays that are neither evaluated nor sealed, or both."""
    for label in sorted(shown - evaluated - sealed):
        yield (
            f"`{label}` is on a page and no test evaluates it. Cure: bind numbers to it, "
            f'`assert displayed("{label}").holds(...)` in a test, or seal it in {seals.DISPLAYS}.'
        )
    for label in sorted(sealed & evaluated):
        yield f"`{label}` is sealed and evaluated. Cure: take it out of {seals.DISPLAYS}."
    for label in sorted(sealed - shown):
        yield f"{seals.DISPLAYS} seals `{label}`, which no page has. Cure: take it out."


def test_every_display_is_evaluated_or_sealed():
    sealed = {label for label in LISTED["sealed"] if "." not in label}
    fail_with(neither(SHOWN, EVALUATED, sealed))


def test_what_is_neither_or_both_is_named():
    found = list(neither({"eq-a", "eq-b"}, {"eq-b"}, {"eq-b", "eq-c"}))
    assert [word in fault for fault, word in zip(found, ("eq-a", "eq-b", "eq-c"), strict=True)]
    assert len(found) == 3
    assert not list(neither({"eq-a", "eq-b"}, {"eq-b"}, {"eq-a"}))


def test_nine_displays_in_ten_are_evaluated_on_every_page_that_has_ten():
    for page, found in BOOK.items():
        labels = {s.label for s in found if s.kind == "equation"}
        n_sealed = len(labels & set(LISTED["sealed"]))
        assert n_sealed <= max(1, 0.1 * len(labels)), page


def test_every_listed_display_gives_its_reasons():
    for label, entry in LISTED["sealed"].items():
        assert set(entry) == {"why", "compared"}, label
        assert all(len(text.split()) >= 3 for text in entry.values()), label
    reasons = [*LISTED["one_sided"].items()]
    reasons += [(k, why) for k, entries in LISTED["survivors"].items() for why in entries.values()]
    for label, why in reasons:
        assert len(why.split()) >= 3, label
        assert label in EVALUATED, f"{label} is listed and no test evaluates it"


@pytest.mark.parametrize("name", sorted(DIFFERENCES.keys() | seals.sources().keys()))
def test_the_words_are_as_they_were_sealed(name):
    if name in DIFFERENCES:
        cure = "Look at the difference; if it is right, `make seal` seals the page as it is."
        pytest.fail(f"{DIFFERENCES[name]}\n{cure}", pytrace=False)


PAGE = """\
# A page

A theorem for *convex* f. It needs two steps, {glue:text}`n`
in all ($k$ is whole).

$$ a = b + c \\text{ for all } b $$ (eq-evaluated)

$$ d \\in \\arg\\min f $$ (eq-sealed)

Since $a = b + c$, and $k = 1$, 3.5 hold. Then
1. first
2. second

| a | b |
|---|---|
| one | $x^2$ |
"""
EVALUATED_HERE = {"eq-evaluated": " a = b + c "}


def test_words_are_sealed_a_sentence_a_line_with_the_label_of_what_is_evaluated():
    assert seals.words(PAGE, EVALUATED_HERE).splitlines() == [
        "# A page",
        "",
        "A theorem for *convex* f.",
        "It needs two steps, {glue:text}`n` in all ($k$ is whole).",
        "",
        "$$ a = b + c \\text{ for all } b $$ (eq-evaluated)",
        "",
        "$$ d \\in \\arg\\min f $$ (eq-sealed)",
        "",
        "Since $a = b + c$ [eq-evaluated], and $k = 1$, 3.5 hold.",
        "Then",
        "1. first",
        "2. second",
        "",
        "| a | b |",
        "|---|---|",
        "| one | $x^2$ |",
        "",
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("convex", "smooth"),
        ("two steps", "three steps"),
        ("`n`", "`m`"),
        ("is whole", "is not whole"),
        (r"\arg\min", r"\arg\max"),
        ("= b + c", "= c + b"),
        ("= b + c", "= b + c + 0"),
        ("for all", "for some"),
        ("k = 1", "k = 2"),
        ("$a = b + c$,", "$a = b - c$,"),
        ("3.5", "3.6"),
        ("second", "third"),
        ("| one |", "| two |"),
        ("x^2", "x^3"),
    ],
)
def test_any_change_of_words_numbers_and_formulas_shows(old, new):
    assert old in PAGE
    changed = PAGE.replace(old, new)
    assert seals.words(changed, EVALUATED_HERE) != seals.words(PAGE, EVALUATED_HERE)


def test_a_change_of_the_display_shows_in_the_formula_that_repeats_it():
    changed = {"eq-evaluated": " a = b - c "}
    assert seals.words(PAGE, changed) != seals.words(PAGE, EVALUATED_HERE)


def test_wrapping_and_the_cost_of_a_chapter_are_no_change():
    wrapped = PAGE.replace("two steps, ", "two\nsteps, ")
    wrapped += "\n**Cost** about 35 minutes to read, 10 s to run on one core.\n"
    kept = [line for line in seals.words(wrapped, EVALUATED_HERE).splitlines() if line]
    assert kept == [line for line in seals.words(PAGE, EVALUATED_HERE).splitlines() if line]


def test_a_line_on_the_cost_that_says_more_is_sealed():
    assert "wrong" in seals.words("**Cost** about 5 minutes to read, and all wrong.\n", {})


OUTPUT = """<figure><svg aria-label="A line that falls.">…</svg>
<figcaption>It falls.</figcaption></figure><ul><li>✓ It falls to zero</li></ul>"""
CELLS = [
    {"cell_type": "markdown", "metadata": {}, "source": ["Words."]},
    {
        "cell_type": "code",
        "metadata": {"tags": ["hide-input"]},
        "source": ["x = 1  # the step\n", "# all of them\n", "y = '#1'"],
        "outputs": [{"output_type": "stream", "text": "1"}, {"data": {"text/html": [OUTPUT]}}],
    },
]
MODULE = '''"""Half the square."""

def half(x):
    r"""The half :math:`x / 2` of a convex one."""
'''


@pytest.fixture
def little(tmp_path):
    written = {
        "book/chapter.ipynb": json.dumps({"cells": CELLS}),
        "book/errata.yml": "- corrected: $x^+$",
        "book/references.bib": "year = 1964",
        "dlcourse/sums/halves.py": MODULE,
        "dlcourse/cli/main.py": MODULE,
        "dlcourse/_checks.py": MODULE,
    }
    for name, text in written.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "old", "new", "seal"),
    [
        ("book/chapter.ipynb", "the step", "the leap", "chapter"),
        (
            "book/chapter.ipynb",
            '"metadata": {}',
            '"metadata": {"tags": ["remove-cell"]}',
            "chapter",
        ),
        ("book/chapter.ipynb", "all of them", "some of them", "chapter"),
        ("book/chapter.ipynb", "that falls", "that rises", "chapter"),
        ("book/chapter.ipynb", ">It falls.", ">It rises.", "chapter"),
        ("book/chapter.ipynb", "to zero", "to one", "chapter"),
        ("book/errata.yml", "x^+", "x^-", "errata.yml"),
        ("book/references.bib", "1964", "1965", "references.bib"),
        ("dlcourse/sums/halves.py", "x / 2", "x / 3", "dlcourse.sums"),
        ("dlcourse/sums/halves.py", "convex", "concave", "dlcourse.sums"),
    ],
)
def test_comments_captions_claims_data_and_docstrings_are_sealed(little, name, old, new, seal):
    assert set(seals.seal(little)) == {"chapter", "errata.yml", "references.bib", "dlcourse.sums"}
    assert seals.differences(little) == {}
    text = (little / name).read_text(encoding="utf-8")
    assert old in text
    (little / name).write_text(text.replace(old, new, 1), encoding="utf-8")
    assert set(seals.differences(little)) == {seal}


def test_sealing_shows_the_difference_and_keeps_the_page_as_it_is(tmp_path):
    (tmp_path / "book").mkdir()
    page = tmp_path / "book" / "page.md"
    page.write_text(PAGE)
    assert "+A theorem for *convex* f." in seals.seal(tmp_path)["page"]
    assert seals.differences(tmp_path) == {}
    page.write_text(PAGE.replace("convex", "any"))
    said = seals.differences(tmp_path)["page"]
    assert "-A theorem for *convex* f." in said
    assert "+A theorem for *any* f." in said
    assert seals.seal(tmp_path) == {"page": said}
    page.unlink()
    assert set(seals.seal(tmp_path)) == {"page"}
    assert seals.differences(tmp_path) == {}


BINDINGS = {"y": 5.0, "a": 2.0, "x": 1.5, "b": 2.0}
NOTHING = {"sealed": {}, "survivors": {}, "one_sided": {}}


def asked(tex, *names, **options):
    trial = Trial("eq-planted", tex)
    for bound in names:
        trial.holds(bound, **options)
    return trial


def test_a_binding_that_is_too_loose_fails_and_says_what_it_does_not_notice():
    trial = asked("y = a x + b", BINDINGS)  # a is b
    faults, n_mutants, n_survivors, sides = noticed(trial, NOTHING)
    assert n_mutants > n_survivors == len(faults) > 0
    assert any("does not notice when a becomes b" in fault for fault in faults)
    assert sides == ""
    listed = {what.partition("notice when ")[2].partition(". Cure")[0]: "" for what in faults}
    assert noticed(trial, NOTHING | {"survivors": {"eq-planted": listed}})[0] == []
    sharp = asked("y = a x + b", BINDINGS | {"a": 4.0, "x": 0.75})
    assert noticed(sharp, NOTHING)[0] == []
    stale = noticed(sharp, NOTHING | {"survivors": {"eq-planted": listed}})[0]
    assert len(stale) == len(listed)
    assert all("Cure: take it out" in fault for fault in stale)


def test_a_bound_is_held_from_both_sides_where_it_is_attained():
    names = {"a": 3.0, "b": 1.0, "c": 1.5}
    loose = asked(r"a \le b + c^2", names)
    faults, *_, sides = noticed(loose, NOTHING)
    assert sides == "one"
    assert any("the bound becomes 1.01" in fault for fault in faults)
    allowed = noticed(loose, NOTHING | {"one_sided": {"eq-planted": "why"}})[0]
    assert not any("the bound becomes" in fault for fault in allowed)
    tight = asked(r"a \le b + c^2", names | {"a": 3.25}, tight=True)
    tight.holds(names)
    assert noticed(tight, NOTHING)[0::3] == ([], "both")
    (stale,) = noticed(tight, NOTHING | {"one_sided": {"eq-planted": "why"}})[0]
    assert "its bound moves" in stale


def test_a_trial_that_cannot_be_asked_again_tells_nothing_and_fails():
    worlds = [(0.5, {"x": 1.0}), (0.5, {"x": 3.0})]
    for given, is_asked_again in ((worlds, True), ((world for world in worlds), False)):
        trial = Trial("eq-planted", r"\mathbb{E} x^2 = a")
        assert trial.holds({"a": 5.0}, given)
        faults = noticed(trial, NOTHING)[0]
        assert (
            any("answers otherwise when it is asked again" in f for f in faults) != is_asked_again
        )


def test_a_phrase_that_is_a_whole_display_tells_nothing_and_fails():
    trial = Trial("eq-planted", r"\frac{a}{b}")
    assert trial.value({r"\frac{a}{b}": 2.0}) == 2.0
    assert any("no mutant is false" in fault for fault in noticed(trial, NOTHING)[0])


def test_a_display_that_did_not_hold_fails_although_nothing_was_asserted():
    faults = noticed(asked("y = a x + b", BINDINGS | {"y": 6.0}), NOTHING)[0]
    assert any("did not hold" in fault for fault in faults)
