"""Regressions with many outcomes and a known truth."""

import numpy as np
import pytest

from dlcourse.matrix_regression import WORLDS, Comparison, World, entrants
from dlcourse.optim import SGD, Cosine, Muon

SMALL = World(kappa=10.0, rank=2, noise_sd=0.1, batch_size=8, p=4)


def plain_path(world, rate, n_steps, seeds):
    """SGD on one seed after the other, from the same draws."""
    rng = np.random.default_rng(list(seeds))
    truth = world.draw(rng, len(seeds))
    draws = [
        (
            rng.normal(size=(len(seeds), world.batch_size, world.p)),
            rng.normal(size=(len(seeds), world.batch_size, world.p)),
        )
        for _ in range(n_steps)
    ]
    distances = np.ones((n_steps + 1, len(seeds)))
    for seed in range(len(seeds)):
        W, W_star = np.zeros((world.p, world.p)), truth.W_star[seed]
        for k, (Z, noise) in enumerate(draws):
            X = Z[seed] @ truth.root[seed]
            y = X @ W_star + world.noise_sd * noise[seed]
            W = W - rate * X.T @ (X @ W - y) / world.batch_size
            distances[k + 1, seed] = np.linalg.norm(W - W_star) / np.linalg.norm(W_star)
    return distances


# (a) Is the derivative right?


def test_the_gradient_is_on_average_that_of_the_population(rng):
    world = World(kappa=10.0, rank=2, noise_sd=0.5, batch_size=50_000, p=4)
    truth = world.draw(rng, 1)
    W = rng.normal(size=(1, 4, 4))
    expected = truth.root @ truth.root @ (W - truth.W_star)
    np.testing.assert_allclose(world.gradient(W, truth, rng), expected, atol=0.05)


# (b) Does a plain loop agree?


def test_paths_are_those_of_a_plain_loop_over_seeds():
    ours = SMALL.path(SGD(0.1), 20, range(3))
    np.testing.assert_allclose(ours, plain_path(SMALL, 0.1, 20, range(3)), rtol=1e-10)


# (c) Do we recover a known truth?


def test_a_world_has_the_stated_condition_number_rank_and_size(rng):
    for world in WORLDS.values():
        truth = world.draw(rng, 3)
        s = np.linalg.svd(truth.W_star, compute_uv=False)
        assert np.linalg.cond(truth.root) ** 2 == pytest.approx([world.kappa] * 3)
        np.testing.assert_allclose(np.linalg.norm(s, axis=1), np.sqrt(world.p))
        np.testing.assert_allclose(s[:, : world.rank], np.sqrt(world.p / world.rank))
        np.testing.assert_allclose(s[:, world.rank :], 0, atol=1e-12)


def test_without_noise_and_with_a_falling_step_muon_finds_the_truth():
    world = World(kappa=10.0, rank=4, noise_sd=0.0, p=4)
    assert world.path(Muon(Cosine(0.1, 300)), 300, range(3))[-1].max() < 0.01


@pytest.fixture(scope="module")
def comparison():
    shown = {name: WORLDS[name] for name in ("all directions", "κ = 1")}
    return Comparison(shown, 100, seeds=range(3))


def test_muon_is_first_in_one_world_and_last_in_another(comparison):
    first, last = comparison.ends("all directions"), comparison.ends("κ = 1")
    assert min(first, key=first.get) == "Muon"
    assert max(last, key=last.get) == "Muon"
    assert all(held.is_interior for held in comparison.contests.values())


def test_the_paths_shown_end_at_the_scores_of_the_contest(comparison):
    for world, held in comparison.contests.items():
        for name, scores in held.best("distance").items():
            np.testing.assert_array_equal(comparison.paths[world][name][-1], scores)
    assert "κ = 1" in repr(comparison)


# (d) What must not change the answer?


def test_paths_repeat_and_step_sizes_do_not_change_the_draws():
    a, b = (SMALL.path(SGD(0.1), 5, range(2)) for _ in range(2))
    np.testing.assert_array_equal(a, b)
    still = SMALL.path(SGD(1e-300), 5, range(2))
    np.testing.assert_allclose(still, 1.0)


# (e) Does a planted bug show?


def test_a_step_size_far_too_large_ends_at_infinity_and_is_not_chosen():
    assert np.isinf(SMALL.path(SGD(1e6), 100, range(2))[-1]).all()
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(
            SMALL.path(SGD(0.1), 20, range(3)), plain_path(SMALL, 0.11, 20, range(3)), rtol=1e-3
        )


def test_all_entrants_have_grids_of_one_length():
    assert {len(entrant.rates) for entrant in entrants(10).values()} == {12}
    for entrant in entrants(10).values():
        np.testing.assert_allclose(np.diff(np.log2(entrant.rates)), 1.0)
