"""Figures of the chapter on gradient descent: what their captions claim, held to what they draw."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes

from dlcourse import convergence
from dlcourse.chapters.gradient_descent import figures, race
from dlcourse.functions import AbsoluteValue, DoubleWell, Quartic
from dlcourse.losses import Quadratic
from dlcourse.optim import GradientDescent, minimize


@pytest.fixture
def races():
    X, y = load_diabetes(return_X_y=True, scaled=False)
    designs = {
        "as recorded": np.column_stack([np.ones(len(X)), X]),
        "standardized": (X - X.mean(axis=0)) / X.std(axis=0),
    }
    problems = {"bowl": convergence.zigzag_bowl(100.0)} | {
        f"diabetes, {how}": convergence.least_squares_problem(Z, y - y.mean())
        for how, Z in designs.items()
    }
    return race.gaps_by_step_rule(problems, n_steps=120)


@pytest.fixture
def wells(rng):
    starts = rng.uniform(-2, 2, (60, 2))
    return minimize(DoubleWell(tilt=0.1), starts, GradientDescent(0.1), max_steps=300)


def breaks():
    runs = {
        "too long": (Quadratic(np.eye(1), np.zeros(1)), 1.0, 2.1),
        "kink": (AbsoluteValue(), 0.35, 0.1),
        "flat": (Quartic(), 1.0, 1 / 3),
    }
    return {
        name: minimize(f, np.array([start]), GradientDescent(t), max_steps=60)
        for name, (f, start, t) in runs.items()
    }


def test_no_line_crosses_the_bound_of_the_descent_lemma(rng):
    figure = figures.descent_lemma(convergence.bench_descent(rng, n_problems=20))
    step, change, bound = (figure.data[name] for name in ("step", "change", "bound"))
    assert (change <= bound + 1e-12).all()
    assert step[bound.argmin()] == pytest.approx(1)
    assert "lowest at t = 1/L" in figure.caption
    np.testing.assert_allclose(bound.min(), -0.5)
    assert (bound[step < 1.99] < 0).all()
    assert (bound[step > 2.01] > 0).all()
    assert (change[:, step > 2.01] < 0).any()  # some still fall


def test_dots_lie_on_the_worst_case_and_lines_below_it(rng):
    convex = convergence.bench_convex(rng, n_problems=5)
    strong = convergence.bench_strongly_convex(rng, kappa=20, n_problems=5)
    data = figures.rates(convex, strong).data
    on_curve = data["convex worst case"][data["worst k"] - 1]
    np.testing.assert_allclose(data["worst gaps"], on_curve, rtol=1e-12)
    assert (data["convex"] <= data["convex worst case"]).all()
    assert (data["convex worst case"] < data["convex bound"]).all()
    assert (data["strong"] <= data["strong worst case"] * (1 + 1e-9)).all()
    slopes = [np.diff(np.log(data[name])) for name in ("strong bound", "strong worst case")]
    np.testing.assert_allclose(slopes[1], 2 * slopes[0])


def test_units_decide_more_than_rules(races):
    figure = figures.step_rules(races)
    recorded, standardized = list(figure.data.values())[1:]
    assert max(gaps[-1] for gaps in standardized.values()) < 0.01
    assert min(gaps[-1] for gaps in recorded.values()) > 0.1
    bowl = figure.data["bowl"]
    assert bowl["backtracking"][-1] < bowl["exact"][-1] < bowl["fixed 1/M"][-1]
    assert f"{100 * recorded['fixed 1/M'][-1]:.2g} %" in figure.caption


def test_broken_hypotheses_do_what_the_caption_says(wells):
    figure = figures.broken_hypotheses(breaks(), wells, DoubleWell(tilt=0.1))
    data = figure.data
    assert (np.diff(data["too long"]) > 0).all()
    np.testing.assert_allclose(data["kink"][5:], 0.05)
    assert (np.diff(data["flat"]) < 0).all()
    is_right = data["ends"][:, 0] > 0
    assert f"{is_right.sum()} runs end in the right valley" in figure.caption.replace("\n", " ")
    values = DoubleWell(tilt=0.1)(data["ends"])[0]
    assert values[is_right].min() > values[~is_right].max()  # the right valley is the higher one


def test_figures_stay_light(rng, races, wells):
    drawn = [
        figures.descent_lemma(convergence.bench_descent(rng, n_problems=20)),
        figures.rates(
            convergence.bench_convex(rng, n_problems=20),
            convergence.bench_strongly_convex(rng, kappa=100, n_problems=20),
        ),
        figures.step_rules(races),
        figures.broken_hypotheses(breaks(), wells, DoubleWell(tilt=0.1)),
    ]
    for figure in drawn:
        assert len(figure.svg) < 100_000
        assert len(figure.alt.split()) > 20
