"""The machinery of the ledger: what it reads in the pages, in the markers and in a run."""

import ast
import importlib
import json
from types import SimpleNamespace

import pytest

from tests import ROOT
from tests.book import ledger
from tools import proofs, statements
from tools.proofs import Proof

PAGE = """\
# A page of `$$ code $$`

It says $a$, and

$$ a = b $$ (eq-first)

::::{prf:theorem} A *title* with $b$
:label: thm-first
:nonumber:

Then

$$
b = a
$$ (eq-second)
::::

```python
"$$ no equation $$"
```

```{prf:definition} Fenced with backticks
:label: def-first
```

:::{prf:remark} That needs no proof
:::

A tick ` alone.

$$ c = d $$
"""


def test_a_page_states_its_equations_and_blocks_in_order():
    found = [(s.kind, s.label, s.text) for s in statements.stated("book/x.md", PAGE)]
    assert found == [
        ("equation", "eq-first", "a = b"),
        ("theorem", "thm-first", "A *title* with $b$"),
        ("equation", "eq-second", "b = a"),
        ("definition", "def-first", "Fenced with backticks"),
        ("equation", None, "c = d"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "```{math}\n:label: eq-a\na = b\n```",
        ":::{math}\na = b\n:::",
        "\\begin{align*}\na &= b\n\\end{align*}",
        "\\[ a = b \\]",
        "$$\n\\begin{aligned} a &= b \\end{aligned}\n$$",
    ],
)
def test_every_other_form_of_a_display_counts_as_unlabeled(text):
    (statement,) = statements.stated("book/x.md", f"Text\n\n{text}\n")
    assert (statement.kind, statement.label) == ("equation", None)


def test_notebooks_and_markdown_are_read_and_hidden_folders_are_not(tmp_path):
    for folder in ("book/api", "book/.ipynb_checkpoints", "book/_ext"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "page.md").write_text("$$ a $$ (eq-a)")
    cells = [("markdown", ["$$ b\n", "$$ (eq-b)"]), ("code", ["'$$ c $$'"]), ("markdown", ["x"])]
    notebook = {"cells": [{"cell_type": kind, "source": source} for kind, source in cells]}
    (tmp_path / "book" / "chapter.ipynb").write_text(json.dumps(notebook))
    labels = {page: [s.label for s in found] for page, found in statements.read(tmp_path).items()}
    assert labels == {"book/api/page.md": ["eq-a"], "book/chapter.ipynb": ["eq-b"]}


@pytest.mark.parametrize("label", ["thm-of-an-equation", "eq-Upper", "eq-", "sum"])
def test_a_label_follows_the_rule_of_its_kind(label):
    book = {"book/x.md": statements.stated("book/x.md", f"$$ a $$ ({label})")}
    (fault,) = statements.faults_of_labels(book)["book/x.md"]
    assert fault.startswith(f"book/x.md: the equation has the label `{label}`. Cure")


def test_a_label_used_twice_is_named_where_it_is_used_again():
    book = {page: statements.stated(page, "$$ a $$ (eq-a)") for page in ("book/x.md", "book/y.md")}
    faults = statements.faults_of_labels(book)
    assert faults["book/x.md"] == []
    assert "`eq-a` is used already, on book/x.md" in faults["book/y.md"][0]


MARKED = """\
@pytest.mark.proves("eq-a", "eq-b", by="symbolic")
@pytest.mark.proves("eq-c")
def test_function():
    pass


class TestClass:
    @pytest.mark.parametrize("x", [1])
    @pytest.mark.proves(*LABELS, by=WAY)
    def test_method(self, x):
        text = '@pytest.mark.proves("eq-in-a-string")'
"""


def test_markers_are_read_from_functions_and_methods():
    assert list(proofs.markers_in(ast.parse(MARKED), "tests/test_x.py")) == [
        ("tests/test_x.py::test_function", ("eq-a", "eq-b"), "symbolic"),
        ("tests/test_x.py::test_function", ("eq-c",), None),
        ("tests/test_x.py::TestClass::test_method", ("*LABELS",), "WAY"),
    ]


def report(case, outcome="passed", when="call", **others):
    pairs = [["eq-a", "symbolic"]]  # as lists: what a worker sends has no tuples
    properties = [["other", 1], ["proves", pairs]]
    nodeid = f"tests/test_x.py::{case}"
    return SimpleNamespace(
        nodeid=nodeid, outcome=outcome, when=when, user_properties=properties, **others
    )


@pytest.fixture
def repository(tmp_path):
    """A repository whose page states `eq-a`, with one marked test."""
    for folder in ("book", "tests"):
        (tmp_path / folder).mkdir()
    (tmp_path / "book" / "page.md").write_text("$$ a $$ (eq-a)")
    marked = '@pytest.mark.proves("eq-a", by="symbolic")\ndef test_y(): ...'
    (tmp_path / "tests" / "test_x.py").write_text(marked)
    return tmp_path


def finish(repository, *reports, worker=False, status=pytest.ExitCode.OK):
    """The plugin and the exit status after a run that made these reports."""
    plugin = ledger.Ledger(repository)
    for one in reports:
        plugin.pytest_runtest_logreport(one)
    config = SimpleNamespace(workerinput={}) if worker else SimpleNamespace()
    session = SimpleNamespace(config=config, exitstatus=status)
    plugin.pytest_sessionfinish(session)
    return plugin, session.exitstatus


RESULTS = {
    "passed": ([report("test_y"), report("test_y", when="teardown")], (1, 0, 0)),
    "cases": ([report("test_y[1]"), report("test_y[2-a]")], (2, 0, 0)),
    "one case failed": ([report("test_y[1]"), report("test_y[2]", "failed")], (1, 1, 0)),
    "one case skipped": ([report("test_y[1]"), report("test_y[2]", "skipped")], (1, 0, 1)),
    "setup": ([report("test_y", "failed", when="setup")], (0, 1, 0)),
    "teardown": ([report("test_y"), report("test_y", "failed", when="teardown")], (0, 1, 0)),
    "skipped": ([report("test_y", "skipped", when="setup")], (0, 0, 1)),
    "expected failure": ([report("test_y", "skipped", wasxfail="why")], (0, 0, 1)),
    "unexpected success": ([report("test_y", wasxfail="why")], (0, 0, 1)),
}


@pytest.mark.parametrize(("reports", "counts"), RESULTS.values(), ids=RESULTS)
def test_the_record_counts_what_passed_and_the_rest_turns_the_run_red(repository, reports, counts):
    plugin, status = finish(repository, *reports)
    (proof,) = proofs.read(repository)
    assert proof == ("tests/test_x.py::test_y", (("eq-a", "symbolic"),), *counts, ())
    is_proved = counts[0] > 0 and counts[1] == 0
    assert bool(plugin.faults) != is_proved
    assert (status == pytest.ExitCode.OK) == is_proved


def test_the_record_keeps_what_was_evaluated_and_the_sharpest_test_counts(repository):
    loose, sharp = ["eq-a", 20, 3, "one"], ["eq-a", 20, 0, "both"]
    for rows in ([loose], [loose, sharp], [sharp, loose]):
        plugin = ledger.Ledger(repository)
        for i, row in enumerate(rows):
            one = report(f"test_{'y' * (i + 1)}")
            one.user_properties.append(["evaluated", [row]])
            plugin.pytest_runtest_logreport(one)
        plugin.pytest_sessionfinish(SimpleNamespace(config=SimpleNamespace(), exitstatus=0))
        found = proofs.evaluations(proofs.read(repository))
        assert found == {"eq-a": tuple(sharp if sharp in rows else loose)}
    failed = proofs.Proof("t::a", (), failed=1, evaluated=(proofs.Evaluated(*sharp),))
    assert proofs.evaluations([failed]) == {}


def test_a_run_without_a_marked_test_leaves_the_record_as_it_was(repository):
    assert finish(repository, report("test_other"))[1] == pytest.ExitCode.OK
    assert proofs.read(repository) is None
    finish(repository, report("test_y"))
    finish(repository, report("test_other"))
    assert len(proofs.read(repository)) == 1


def test_a_worker_writes_nothing_and_neither_does_a_run_that_broke_off(repository):
    finish(repository, report("test_y"), worker=True)
    finish(repository, report("test_y"), status=pytest.ExitCode.INTERRUPTED)
    assert proofs.read(repository) is None


@pytest.mark.parametrize("name", ["book/page.md", "tests/test_x.py", "dlcourse/new.py"])
def test_a_record_of_other_sources_counts_for_nothing(repository, name):
    finish(repository, report("test_y"))
    assert proofs.read(repository)
    (repository / name).parent.mkdir(exist_ok=True)
    with (repository / name).open("a") as file:
        file.write("# changed\n")
    assert proofs.read(repository) is None


def test_what_changes_while_the_tests_run_makes_the_record_stale(repository):
    plugin = ledger.Ledger(repository)
    plugin.pytest_runtest_logreport(report("test_y"))
    (repository / "book" / "page.md").write_text("$$ b $$ (eq-a)")
    plugin.pytest_sessionfinish(SimpleNamespace(config=SimpleNamespace(), exitstatus=0))
    assert proofs.read(repository) is None


def test_markers_travel_with_the_reports_and_an_unknown_way_proves_nothing():
    marks = [pytest.mark.proves("eq-a", "eq-b", by="truth"), pytest.mark.proves("eq-c", by="eye")]
    item = SimpleNamespace(
        iter_markers=lambda name: [m.mark for m in marks if m.name == name], user_properties=[]
    )
    ledger.Ledger("nowhere").pytest_itemcollected(item)
    assert item.user_properties == [("proves", [("eq-a", "truth"), ("eq-b", "truth")])]


def test_a_badge_says_the_ways_that_passed_and_a_failure_takes_it_away():
    passed = Proof("t::a", (("eq-a", "truth"), ("eq-a", "symbolic")), passed=2)
    skipped = Proof("t::b", (("eq-a", "derivative"),), skipped=1)
    failed = Proof("t::c", (("eq-a", "instances"),), passed=4, failed=1)
    pairs = proofs.that_count(proofs.by_label([skipped, passed])["eq-a"])
    said = "Checked in 2 ways: a symbolic identity; recovery of a known truth"
    assert proofs.summary(pairs) == said
    assert proofs.that_count(proofs.by_label([passed, failed])["eq-a"]) == []
    results = [proof.result for proof in (passed, skipped, failed)]
    assert results == ["passed in 2 cases", "skipped", "failed"]


@pytest.mark.parametrize(
    ("name", "claim"),
    [
        ("test_path_equals_torch_sgd_to_rounding", "Path equals PyTorch SGD to rounding"),
        ("test_qr_stays_at_2_over_L", "QR stays at 2 over L"),
    ],
)
def test_the_name_of_a_test_is_a_sentence(name, claim):
    assert Proof(f"tests/test_x.py::TestClass::{name}", ()).claim == claim


def test_the_source_of_a_test_is_shown_with_its_decorators(repository, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "book" / "_ext")
    pages = importlib.import_module("ledger_tests")
    monkeypatch.setattr(pages, "ROOT", repository)
    (repository / "tests" / "test_z.py").write_text(MARKED)
    first, last, text = pages.source("tests/test_z.py::TestClass::test_method")
    assert (first, last) == (8, 11)
    assert text.startswith("    @pytest.mark.parametrize")
    assert text.endswith("in-a-string\")'")
