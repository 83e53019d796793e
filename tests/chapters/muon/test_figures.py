"""Figures of the chapter on Muon: what their captions claim, held to what they draw."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from dlcourse import contest
from dlcourse.chapters.muon import figures
from dlcourse.chapters.muon import orthogonalization as o
from dlcourse.chapters.muon.digits import Classification, entrants, hidden_gradient
from dlcourse.chapters.muon.matrix_regression import WORLDS, contests_by_world


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:800] / 16, y[:800]


@pytest.fixture(scope="module")
def comparison():
    shown = {name: WORLDS[name] for name in ("all directions", "κ = 1")}
    return contests_by_world(shown, 100, tuning_seeds=range(2), reporting_seeds=range(2, 5))


@pytest.fixture(scope="module")
def landings(digits):
    X, y = digits
    images = {"as recorded": X, "centered": X - X.mean(axis=0)}
    return {
        how: o.land(hidden_gradient(Z, y, n_epochs=1, rng=np.random.default_rng(0)))
        for how, Z in images.items()
    }


@pytest.fixture(scope="module")
def contests(digits):
    trial = Classification(*digits, n_train=400, n_validation=200, n_epochs=2)
    held = contest.hold(trial, entrants(trial), [0], [1, 2], by="validation loss")
    return {"as recorded": held}


def test_values_in_the_band_stay_there_and_muon_reaches_lower():
    figure = figures.newton_schulz()
    s, one, low, high = (figure.data[name] for name in ("s", "one", "low", "high"))
    inside = (s >= low) & (s <= high)
    assert inside.sum() > 50
    assert (one[inside] >= low - 1e-3).all()
    assert (one[inside] <= high).all()
    small, reach = figure.data["small"], o.safe_from(5)
    arrived = figure.data["Muon"][small >= reach]
    assert (arrived >= low - 1e-9).all()
    assert (arrived <= high + 1e-9).all()
    assert (figure.data["Muon"][small < reach] < low).all()
    assert np.abs(figure.data["classical"][-20:] - 1).max() < 1e-3
    times = o.safe_from(5, o.CLASSICAL) / reach
    assert f"above {reach:.4f} of the norm" in figure.caption
    assert f"{times:.0f} times as large" in figure.caption


def test_newton_schulz_lifts_what_lies_above_its_reach(landings):
    figure = figures.singular_values(landings)
    for how, landing in figure.data.items():
        assert landing.is_in_band[landing.before > o.safe_from(5)].all()
        assert (landing.after[landing.before < o.safe_from(5) / 10] < 0.2).all()
        assert f"{landing.before[0]:.2f} ({how})" in figure.caption
    recorded, centered = figure.data.values()
    assert recorded.is_in_band.sum() < centered.is_in_band.sum()  # the line drops earlier


def test_the_two_worlds_have_the_winners_that_the_caption_names(comparison):
    figure = figures.worlds(comparison, "all directions", "κ = 1")
    ends = {
        world: {name: path[-1].mean() for name, path in paths.items()}
        for world, paths in figure.data.items()
    }
    first, last = ends["all directions"], ends["κ = 1"]
    assert f"Left, {min(first, key=first.get)} ends nearest" in figure.caption
    assert min(first, key=first.get) == "Muon"
    assert f"right, {min(last, key=last.get)} does" in figure.caption
    assert f"{last['Muon'] / min(last.values()):.1f} times its distance" in figure.caption
    assert all((path[0] == 1).all() for path in figure.data["κ = 1"].values())


def test_every_optimizer_has_a_valley_and_the_caption_its_depth(contests):
    figure = figures.tuning(contests)
    chosen = figure.data["as recorded", "chosen"]
    factors = []
    for name, i in chosen.items():
        mean = figure.data["as recorded", name]
        assert np.nanargmin(mean) == i
        factors.append(np.nanmax(mean) / np.nanmin(mean))
    assert f"a factor of up to {max(factors):.0f}:" in figure.caption


def test_figures_stay_light(landings, comparison, contests):
    drawn = [
        figures.newton_schulz(),
        figures.singular_values(landings),
        figures.worlds(comparison, "all directions", "κ = 1"),
        figures.tuning(contests),
    ]
    for figure in drawn:
        assert len(figure.svg) < 100_000
        assert len(figure.alt.split()) > 20
