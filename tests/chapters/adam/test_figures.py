"""Figures of the chapter on Adam: what their captions claim, held to what they draw."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

from dlcourse.chapters.adam import ablation, counterexample, figures, on_data, weight_decay


@pytest.fixture(scope="module")
def parts():
    return figures.parts(ablation.ablate(tuning_seeds=[0, 1], reporting_seeds=[2, 3]))


@pytest.fixture(scope="module")
def comparison():
    X, y = load_breast_cancer(return_X_y=True)
    return on_data.losses_by_optimizer(X, y.astype(float), [0, 1], [2, 3])


@pytest.fixture(scope="module")
def example():
    return counterexample.run(counterexample.rare_spike(), n_cycles=400)


def test_without_corrections_the_first_steps_are_too_long():
    figure = figures.starts()
    k, both, neither, no_average, no_mean = figure.data.values()
    assert (both == 1).all()
    assert (neither >= 1 - 1e-12).all()
    assert (no_average >= neither).all()
    assert (no_mean <= 1).all()
    assert (np.diff(neither[neither.argmax() :]) <= 0).all()
    assert 5 < k[neither.argmax()] < 20  # it peaks after about ten steps
    assert f"up to {neither.max():.1f} times" in figure.caption
    assert f"very first one {no_average[0]:.0f} times" in figure.caption
    assert neither[0] == pytest.approx(0.1 / np.sqrt(0.001))


def test_only_the_falling_step_passes_the_estimation_error(parts):
    data = parts.data
    estimation = np.median(data["estimation"])
    ends = {name: gap[-1] for name, gap in data.items() if name.startswith("cold")}
    assert ends.pop("cold, Adam, falling step") < estimation
    assert min(ends.values()) > estimation
    assert max(ends["cold, scaled"], ends["cold, Adam"]) < min(
        ends["cold, gradient"], ends["cold, averaged"]
    )
    assert f"from {ends['cold, averaged']:.2g} to {ends['cold, Adam']:.2g}" in parts.caption


def test_uncorrected_variants_leave_the_minimizer(parts):
    data = parts.data
    for name in ("scaled", "Adam"):
        corrected, raw = data[f"warm, {name}"], data[f"warm, {name}, uncorrected"]
        assert raw[0] > 5 * corrected[0]
        assert raw.max() > 2 * corrected.max()
    assert f"costs {data['warm, scaled, uncorrected'][0]:.2g}." in parts.caption


def test_in_their_own_units_adam_goes_lowest_and_standardized_all_go_lower(comparison):
    figure = figures.units(comparison)
    lowest = {name: line.min() for name, line in figure.data.items() if name != "rates"}
    raw = [lowest[f"as recorded, {name}"] for name in on_data.OPTIMIZERS]
    standard = [lowest[f"standardized, {name}"] for name in on_data.OPTIMIZERS]
    assert raw[-1] == min(raw)  # Adam
    assert max(standard) < min(raw)
    assert "SGD grows by a factor of 3" in figure.caption
    assert comparison.growth("SGD") > 1e5
    assert len(figure.data["rates"]) == len(on_data.RATES)


def test_adamw_shrinks_alike_and_the_penalty_inside_does_not(rng):
    figure = figures.shrinkage(weight_decay.shrinkage(np.array([1.0, 10.0]), 0.2, rng))
    inside, beside = figure.data["inside"], figure.data["beside"]
    assert (inside[1:, 0] < inside[1:, 1]).all()
    np.testing.assert_allclose(beside[:, 0], beside[:, 1], rtol=1e-9)
    assert f"leaves {inside[-1, 0]:.2g} of a weight" in figure.caption
    assert f"AdamW leaves {beside[-1, 0]:.2g} of each" in figure.caption


def test_epsilon_inside_the_root_stops_larger_gradients():
    figure = figures.epsilons()
    sizes, outside, inside, half = figure.data.values()
    assert (outside > inside - 1e-7).all()  # at g = 1 they differ by half of epsilon
    np.testing.assert_allclose(half, [1e-8, np.sqrt(1e-8 / 3)], rtol=0.02)
    for length, knee in ((outside, half[0]), (inside, half[1])):
        left = sizes < knee / 30
        slope = np.polyfit(np.log(sizes[left]), np.log(length[left]), 1)[0]
        assert slope == pytest.approx(1, abs=0.02)
    assert f"where it is {half[1]:.1g}" in figure.caption


def test_adam_ends_at_the_worst_point(example):
    figure = figures.worst_point(example)
    data = figure.data
    assert data["Adam"][-1] > 0.95
    assert data["AMSGrad"][-1] < -0.95
    assert data["added, Adam"][-1] > 0 > data["added, AMSGrad"][-1]
    lows = data["added, Adam"].min(), data["added, AMSGrad"].min()
    assert lows[0] == pytest.approx(lows[1], rel=0.1)  # down about alike
    climbs = [np.diff(data[f"added, {name}"])[60:] for name in ("Adam", "AMSGrad")]
    assert (np.diff(climbs[0]) > 0).all()  # the steps of Adam grow
    assert (climbs[0] > climbs[1]).all()
    assert f"{data['added, Adam'][-1]:.1f} α above" in figure.caption


def test_figures_stay_light(rng, parts, comparison, example):
    drawn = [
        figures.starts(),
        parts,
        figures.units(comparison),
        figures.shrinkage(weight_decay.shrinkage(np.array([1.0, 3.0, 10.0]), 0.2, rng)),
        figures.epsilons(),
        figures.worst_point(example),
    ]
    for figure in drawn:
        assert len(figure.svg) < 100_000
        assert len(figure.alt.split()) > 20
