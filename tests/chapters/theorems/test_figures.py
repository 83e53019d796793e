"""Figures of the page of theorems: what their captions claim, held to what they draw."""

import numpy as np
import pytest

from dlcourse.chapters.theorems import figures
from dlcourse.convergence import pep
from dlcourse.convergence.statements import STATEMENTS, Report, examine, without_hypotheses
from dlcourse.functions import LessardBowl
from dlcourse.optim import HeavyBall, minimize


@pytest.fixture(scope="module")
def report():
    rng = np.random.default_rng(0)
    return Report(examine(statement, rng, n_problems=5) for statement in STATEMENTS.values())


@pytest.fixture(scope="module")
def circle():
    path = minimize(LessardBowl(), np.array([3.3]), HeavyBall(1 / 9, 4 / 9), max_steps=40)
    worst = {k: pep.best_heavy_ball(k, 25.0, "SmoothStronglyConvexFunction") for k in (1, 2, 3)}
    return figures.beyond_quadratics(path, worst)


def test_the_ring_lies_around_the_square_and_the_bars_below_one(report):
    figure = figures.shares(report)
    np.testing.assert_allclose(figure.data["pep"], figure.data["worst"], rtol=1e-5)
    assert figure.data["random"].shape == (len(STATEMENTS), 5)
    assert (figure.data["random"] <= 1 + 1e-9).all()
    n_exact = (figure.data["worst"] > 1 - 1e-6).sum()
    assert f"In {n_exact} of {len(STATEMENTS)} rows" in figure.caption
    assert n_exact > len(STATEMENTS) / 2  # "in most rows at one"


def test_the_dots_of_pepit_lie_on_the_lines_of_the_worst_functions(report):
    figure = figures.slack(report)
    data = figure.data
    for label in figures.CONVEX + figures.STRONG:
        at_places = data[label][STATEMENTS[label].places - 1]
        np.testing.assert_allclose(data[f"{label} by PEPit"], at_places, rtol=1e-5)
    descent, fast = data["thm-gd-convex"], data["thm-nesterov-convex"]
    assert descent[0] == pytest.approx(1 / 3) == fast[0]
    assert (np.diff(descent) > 0).all()
    assert descent[-1] < 1 / 2 < fast[-1] < 1
    assert (np.diff(fast) > 0).all()
    for label in figures.STRONG:
        assert (np.diff(data[label]) < 0).all()
    assert f"{descent[-1]:.2f} of what the bound of gradient descent" in figure.caption
    assert data["thm-gd-stationary"][-1] == pytest.approx(0.82, abs=0.01)


def test_every_line_without_a_hypothesis_ends_above_one():
    figure = figures.dropped_hypotheses(without_hypotheses(STATEMENTS.values()))
    assert figure.caption.startswith(f"{len(figure.data)} runs")
    for shares in figure.data.values():
        assert shares[-1] > 1
    assert sum(shares[-1] > figures.CEILING for shares in figure.data.values()) > 2


def test_heavy_ball_never_arrives_and_the_worst_distances_part(circle):
    last = circle.data["x"][-3:]
    np.testing.assert_allclose(np.sort(last), [-1.80, 0.65, 2.12], atol=0.01)
    assert circle.data["functions"][-1] > 1.5 * circle.data["quadratics"][-1]
    assert f"{circle.data['functions'][-1]:.2g} times." in circle.caption


def test_figures_stay_light(report, circle):
    drawn = [
        figures.shares(report),
        figures.slack(report),
        figures.dropped_hypotheses(without_hypotheses(STATEMENTS.values())),
        circle,
    ]
    for figure in drawn:
        assert len(figure.svg) < 100_000
        assert len(figure.alt.split()) > 20
