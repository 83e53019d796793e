"""Regressions with many outcomes and a known truth."""

import numpy as np
import pytest

from dlcourse.chapters.muon.matrix_regression import (
    WORLDS,
    Comparison,
    Sample,
    World,
    contests_by_world,
    entrants,
    path,
)
from dlcourse.contest import Contest
from dlcourse.optim import SGD, Cosine, Muon

SMALL = World(kappa=10.0, rank=2, noise_sd=0.1, batch_size=8, p=4)


def plain_path(sample, rate):
    """SGD on one seed after the other."""
    distances = np.ones((len(sample.X) + 1, len(sample.W_star)))
    for seed, W_star in enumerate(sample.W_star):
        W = np.zeros_like(W_star)
        for k, (X, Y) in enumerate(zip(sample.X[:, seed], sample.Y[:, seed], strict=True)):
            W = W - rate * X.T @ (X @ W - Y) / len(X)
            distances[k + 1, seed] = np.linalg.norm(W - W_star) / np.linalg.norm(W_star)
    return distances


# (a) Is the derivative right?


def test_the_gradient_is_the_slope_of_half_the_mean_squared_error(rng):
    sample, W = SMALL.draw(2, [0]), rng.normal(size=(1, 4, 4))
    X, Y, along = sample.X[1, 0], sample.Y[1, 0], rng.normal(size=(4, 4))

    def f(W):
        return ((X @ W - Y) ** 2).sum(axis=1).mean() / 2

    slope = (f(W[0] + 1e-6 * along) - f(W[0] - 1e-6 * along)) / 2e-6
    assert np.sum(sample.gradient(1, W)[0] * along) == pytest.approx(slope, rel=1e-6)


# (b) Does a plain loop agree?


def test_paths_are_those_of_a_plain_loop_over_seeds():
    sample = SMALL.draw(20, range(3))
    np.testing.assert_allclose(path(SGD(0.1), sample), plain_path(sample, 0.1), rtol=1e-10)


# (c) Do we recover a known truth?


@pytest.mark.parametrize("name", WORLDS)
def test_a_world_has_the_stated_curvature_rank_size_and_noise(name):
    world = WORLDS[name]
    sample = world.draw(200, range(3))
    s = np.linalg.svd(sample.W_star, compute_uv=False)
    np.testing.assert_allclose(s[:, : world.rank], np.sqrt(world.p / world.rank))
    np.testing.assert_allclose(s[:, world.rank :], 0, atol=1e-12)
    noise = sample.Y - sample.X @ sample.W_star
    assert noise.std() == pytest.approx(world.noise_sd, rel=0.02)
    X = np.moveaxis(sample.X, 1, 0).reshape(3, -1, world.p)
    curvatures = np.linalg.eigvalsh(np.swapaxes(X, 1, 2) @ X / X.shape[1])
    expected = np.geomspace(1 / world.kappa, 1.0, world.p)
    np.testing.assert_allclose(curvatures, np.tile(expected, (3, 1)), rtol=0.12)


def test_without_noise_and_with_a_falling_step_muon_finds_the_truth():
    world = World(kappa=10.0, rank=4, noise_sd=0.0, p=4)
    assert path(Muon(Cosine(0.1, 300)), world.draw(300, range(3)))[-1].max() < 0.01


@pytest.fixture(scope="module")
def comparison():
    shown = {name: WORLDS[name] for name in ("all directions", "κ = 1")}
    return contests_by_world(shown, 100, tuning_seeds=range(2), reporting_seeds=range(2, 5))


def test_muon_is_first_in_one_world_and_last_in_another(comparison):
    first, last = comparison.ends("all directions"), comparison.ends("κ = 1")
    assert min(first, key=first.get) == "Muon"
    assert max(last, key=last.get) == "Muon"
    assert all(held.is_interior for held in comparison.contests.values())


def test_the_paths_shown_are_those_of_the_step_sizes_chosen_on_the_seeds_that_report(comparison):
    for world, held in comparison.contests.items():
        sample = WORLDS[world].draw(100, range(2, 5))
        for name, entrant in entrants(100).items():
            again = path(entrant.make(held.tuning[name].rate), sample)
            np.testing.assert_array_equal(held.scores["path"][name], again.T)
            np.testing.assert_array_equal(held.scores["distance"][name], again[-1])
    assert "κ = 1" in repr(comparison)


# (d) What must not change the answer?


def test_draws_repeat_and_a_step_of_nothing_goes_nowhere():
    for one, other in zip(SMALL.draw(5, range(2)), SMALL.draw(5, range(2)), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(path(SGD(1e-300), SMALL.draw(5, range(2))), 1.0)


def test_seeds_move_apart_from_each_other():
    sample = SMALL.draw(10, range(3))
    alone = Sample(sample.W_star[1:2], sample.X[:, 1:2], sample.Y[:, 1:2])
    np.testing.assert_allclose(path(Muon(0.1), sample)[:, 1:2], path(Muon(0.1), alone))


# (e) Does a planted bug show?


def test_another_step_size_gives_another_path():
    sample = SMALL.draw(20, range(3))
    assert np.abs(path(SGD(0.1), sample) - plain_path(sample, 0.11)).max() > 1e-3


def test_a_step_size_far_too_large_ends_at_infinity():
    assert np.isinf(path(SGD(1e6), SMALL.draw(100, range(2)))[-1]).all()


def test_all_entrants_have_grids_of_one_length():
    assert {len(entrant.rates) for entrant in entrants(10).values()} == {12}
    for entrant in entrants(10).values():
        np.testing.assert_allclose(np.diff(np.log2(entrant.rates)), 1.0)


def test_the_prose_names_the_next_best_and_how_far_muon_is_behind():
    ends = {"SGD": 0.5, "momentum": 0.25, "Adam": 0.3, "Muon": 0.125}
    turned = ends | {"SGD": ends["Muon"], "Muon": ends["SGD"]}
    contests = {}
    for world in WORLDS:
        in_world = turned if world == "κ = 1" else ends
        distances = {name: np.array([end, end]) for name, end in in_world.items()}
        contests[world] = Contest({}, {"distance": distances}, by="distance")
    prose = Comparison(contests).prose()
    assert (prose["muon_clean"], prose["muon_clean_next"]) == ("0.12", "0.25")
    assert prose["muon_clean_name"] == "momentum"
    assert (prose["muon_noisy_next"], prose["muon_one_momentum"]) == ("0.25", "0.25")
    assert prose["muon_last_ratio"] == "4.0"
