"""The theorem bench: every convergence statement of the book against its bound."""

import sys

import numpy as np
import pytest

from dlcourse.convergence import heavy_ball, pep
from dlcourse.convergence.gradient_descent import convex_bound, descent_bound
from dlcourse.convergence.statements import (
    STATEMENTS,
    Report,
    as_printed,
    examine,
    without_hypotheses,
)
from dlcourse.functions import LessardBowl
from dlcourse.optim import HeavyBall, minimize
from tools import chapters, proofs
from tools import statements as pages

every_statement = pytest.mark.parametrize("label", STATEMENTS)
CHAPTERS = {
    "gd": "gradient_descent",
    "hb": "momentum",
    "nesterov": "momentum",
    "sgd": "stochastic_gradients",
}
# Statements of these chapters that bound no run, or follow from one that is in the table.
NOT_IN_THE_TABLE = {
    "lem-gd-quadratic-bound": "about functions, not about runs",
    "lem-gd-dominance": "about functions, not about runs",
    "lem-gd-backtracking": "thm-gd-convex with another step",
    "lem-hb-floor": "a limit, not a bound",
    "lem-sgd-unbiased": "about the draw of a mini-batch, not about runs",
}


@pytest.fixture(scope="module")
def report():
    rng = np.random.default_rng(1)
    return Report(examine(statement, rng) for statement in STATEMENTS.values())


@pytest.fixture(scope="module")
def failures():
    return without_hypotheses(STATEMENTS.values())


def parts(label):
    """Kind and topic: thm-gd-convex is a `thm` on `gd`."""
    return label.split("-")[:2]


# The table, the book and the markers


def test_the_table_and_the_book_name_the_same_statements():
    stated = {one.label for found in pages.read(chapters.ROOT).values() for one in found}
    about_runs = {
        label
        for label in filter(None, stated)
        if parts(label)[0] in {"thm", "lem", "cor", "prop"} and parts(label)[1] in CHAPTERS
    }
    assert about_runs <= set(STATEMENTS) | set(NOT_IN_THE_TABLE)
    assert set(NOT_IN_THE_TABLE) <= stated
    for label in STATEMENTS:
        chapter = chapters.BOOK / f"{CHAPTERS[parts(label)[1]]}.ipynb"
        assert label in stated or not chapter.exists(), f"{chapter.name} does not state {label}"


@pytest.mark.parametrize(
    "test",
    ["random_problems_stay_within_the_bound", "the_worst_function_and_pepit_agree"],
)
def test_the_marker_names_every_statement_of_the_table(test):
    (marker,) = (
        marker
        for marker in proofs.markers(chapters.ROOT)
        if marker.test == f"tests/library/convergence/test_theorems.py::test_{test}"
    )
    assert list(marker.labels) == list(STATEMENTS)


# Instances, the worst function, PEPit


@pytest.mark.proves(
    "thm-gd-least-squares",
    "lem-gd-descent",
    "thm-gd-stationary",
    "thm-gd-convex",
    "thm-gd-linear",
    "thm-hb-stability",
    "thm-hb-optimal",
    "thm-nesterov-convex",
    "thm-nesterov-strong",
    "lem-sgd-contraction",
    "thm-sgd-constant",
    "thm-sgd-decaying",
    by="instances",
)
@every_statement
def test_random_problems_stay_within_the_bound(report, label):
    bench = report[label].bench
    assert bench.values.shape[0] == 20
    assert bench.is_within
    assert (bench.shares <= 1 + 1e-9).all()
    assert (report[label].random_shares <= report[label].worst_shares + 1e-9).all()


@pytest.mark.proves(
    "thm-gd-least-squares",
    "lem-gd-descent",
    "thm-gd-stationary",
    "thm-gd-convex",
    "thm-gd-linear",
    "thm-hb-stability",
    "thm-hb-optimal",
    "thm-nesterov-convex",
    "thm-nesterov-strong",
    "lem-sgd-contraction",
    "thm-sgd-constant",
    "thm-sgd-decaying",
    by="worst case",
)
@every_statement
def test_the_worst_function_and_pepit_agree(report, label):
    examined = report[label]
    np.testing.assert_allclose(examined.pep_shares, examined.worst_shares, rtol=1e-5)
    assert (examined.pep_shares <= 1 + 1e-5).all()
    assert examined.agrees


@every_statement
def test_a_planted_bound_is_caught_by_the_bench_and_by_pepit(report, label):
    examined = report[label]
    bench, worst = examined.bench, examined.worst
    best_share = bench.shares.max()
    planted = bench.floor + 0.99 * best_share * (bench.bound - bench.floor)
    assert not bench._replace(bound=planted).is_within
    too_low = worst.floor + 0.999 * examined.worst_shares * (worst.bound - worst.floor)
    assert (examined.by_pep > too_low).all()


def test_exact_worst_cases_in_closed_form(report):
    k = STATEMENTS["thm-gd-convex"].places
    np.testing.assert_allclose(report["thm-gd-convex"].by_pep, 1 / (4 * k + 2), rtol=1e-5)
    squares = report["thm-gd-linear"].by_pep
    np.testing.assert_allclose(squares, (1 - 0.1) ** (2 * k), rtol=1e-5)


@pytest.mark.proves("eq-worst-stationary", by="worst case")
@pytest.mark.parametrize("k", [1, 2, 5, 9])
def test_the_exact_worst_case_of_small_gradients(k):
    worst = STATEMENTS["thm-gd-stationary"].worst_case(np.array([k])).values[0, 0]
    assert worst == pytest.approx(np.sqrt(4 / (3 * k - 1)), rel=1e-12)
    assert pep.stationary(k) == pytest.approx(worst, rel=1e-5)


@pytest.mark.proves("eq-worst-nesterov", by="worst case")
@pytest.mark.parametrize("k", [1, 2, 5, 9])
def test_the_exact_worst_case_of_growing_momentum(k):
    worst = STATEMENTS["thm-nesterov-convex"].worst_case(np.array([k])).values[0, 0]
    assert worst == pytest.approx(2 / ((k + 2) * (k + 3)), rel=1e-12)
    assert pep.nesterov_convex(k) == pytest.approx(worst, rel=1e-5)


# A dropped hypothesis, a misprint


@every_statement
def test_each_hypothesis_has_a_run_that_needs_it(failures, label):
    hypotheses = STATEMENTS[label].hypotheses
    assert hypotheses
    for hypothesis in hypotheses:
        refutation = failures[label, hypothesis]
        assert refutation.is_refuted, refutation
        assert refutation.values.shape == refutation.bound.shape


def test_printed_constants_are_refuted_and_the_correct_ones_are_not():
    found = as_printed(STATEMENTS.values())
    printed = found["lem-gd-descent", "E07"]
    assert printed.is_refuted
    correct = printed._replace(bound=np.array([descent_bound(0.5, 1.0, 0.1, L=1.0)]))
    assert not correct.is_refuted
    printed = found["thm-gd-convex", "E09"]
    assert printed.is_refuted
    correct = printed._replace(bound=convex_bound(1.0, 0.01, np.arange(1, 11)))
    assert not correct.is_refuted


def test_printed_constants_are_refuted_by_pepit():
    assert pep.descent(0.1) > -1 / 2  # the printed bound, in units of the squared gradient
    assert pep.descent(0.1) == pytest.approx(descent_bound(0.0, 1.0, 0.1, L=1.0), rel=1e-5)
    assert pep.convex(5, step=0.01) > 1 / (2 * 5)  # the printed bound knows no step
    assert pep.convex(5, step=0.01) == pytest.approx(1 / (4 * 0.05 + 2), rel=1e-5)


# Heavy ball beyond quadratics


def test_heavy_ball_runs_in_a_circle_of_three_points():
    best = heavy_ball.optimal_parameters(1.0, 25.0)
    assert best == pytest.approx((1 / 9, 4 / 9))
    run = minimize(LessardBowl(), np.array([3.3]), HeavyBall(*best), max_steps=300)
    circle = np.array([792, -2208, 2592]) / 1225
    np.testing.assert_allclose(np.sort(run.points[-3:, 0]), np.sort(circle), rtol=1e-9)
    x = circle  # three exact steps lead back to the start
    for _ in range(3):
        ahead = (
            x[-1] - best.learning_rate * LessardBowl()(x[-1:])[1][0] + best.beta * (x[-1] - x[-2])
        )
        x = np.append(x, ahead)
    np.testing.assert_allclose(x[3:], circle, rtol=1e-12)


def test_lessards_function_has_the_curvatures_that_it_claims(rng):
    x, y = rng.uniform(-3, 5, size=(2, 500, 1))
    slopes = (LessardBowl()(x)[1] - LessardBowl()(y)[1]) / (x - y)
    np.testing.assert_allclose([slopes.min(), slopes.max()], [1, 25], rtol=1e-9)


def test_beyond_quadratics_pepit_finds_distances_that_grow():
    k = np.array([1, 2, 4])
    general = [pep.best_heavy_ball(n, 25.0, "SmoothStronglyConvexFunction") for n in k]
    quadratic = heavy_ball.distance_bound(1.0, heavy_ball.optimal_rate(1.0, 25.0), k)
    assert (np.diff(general) > 0).all()
    assert (general >= quadratic * (1 - 1e-5)).all()
    assert general[-1] > 2 * quadratic[-1]


# What a reader sees


def test_the_report_and_the_failures_print_one_row_each(report, failures):
    lines = repr(report).splitlines()
    assert len(lines) == 1 + len(STATEMENTS)
    assert lines[0].split() == [
        "statement",
        "at",
        "problems",
        "random",
        *"worst function PEPit".split(),
    ]
    n_hypotheses = sum(len(one.hypotheses) for one in STATEMENTS.values())
    assert len(repr(failures).splitlines()) == 1 + n_hypotheses
    assert repr(failures["thm-gd-convex", "t ≤ 1/L"]).startswith("x²/2 from 1 with t = 2.1/L: 1")


def test_without_pepit_a_reader_is_told_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "PEPit", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install dlcourse\[theorems\]"):
        pep.convex(1)


def test_the_page_links_every_statement_under_its_name():
    text = pages.prose(chapters.BOOK / "theorems.ipynb")
    for label, statement in STATEMENTS.items():
        assert f"| {statement.name} | {{prf:ref}}`{label}` |" in text
