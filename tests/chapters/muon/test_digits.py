"""Trials on a network: the same draws for every optimizer, and honest scores."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from dlcourse.autograd import softmax_cross_entropy
from dlcourse.chapters.muon.digits import Classification, entrants, hidden_gradient, prose
from dlcourse.contest import Contest, hold
from dlcourse.nn import MLP, Recipe, fit
from dlcourse.optim import SGD, Adam


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:600] / 16, y[:600]


@pytest.fixture
def trial(digits):
    return Classification(*digits, hidden=(8, 8), n_train=300, n_validation=100, n_epochs=2)


# (b) Does a trusted library agree?


def test_the_hidden_gradient_is_that_of_torch(digits):
    X, y = digits
    ours = hidden_gradient(X, y, n_epochs=1, rng=np.random.default_rng(3), width=6)
    rng = np.random.default_rng(3)
    network = MLP((64, 6, 6, 10), rng)  # train it again, then ask torch for the gradient
    fit(network, X, y, Recipe(softmax_cross_entropy, Adam(0.003), 1, 50), rng)
    weights = [
        torch.tensor(x.data, requires_grad=True) for x in network.parameters.tensors.values()
    ]
    out = torch.tensor(X)
    for i in range(0, len(weights), 2):
        out = out @ weights[i] + weights[i + 1]
        out = torch.relu(out) if i + 2 < len(weights) else out
    torch.nn.functional.cross_entropy(out, torch.tensor(y)).backward()
    np.testing.assert_allclose(ours, weights[2].grad, atol=1e-12)


# (c) Do we recover a known truth?


def test_a_learnable_problem_is_learned(trial):
    before, after = trial(SGD, [1e-9], [0]), replace(trial, n_epochs=60)(Adam, [0.01], [0])
    assert before["test error"][0, 0] > 0.7
    assert after["test error"][0, 0] < 0.3
    assert after["training loss"][0, 0] < before["training loss"][0, 0] / 5


def test_the_training_loss_is_that_of_the_network_after_the_last_step(digits):
    class Still(SGD):
        """An optimizer that does not move, so that the network is the one drawn."""

        def update(self, x, grad, state):
            pass

    X, y = digits
    trial = Classification(X, y, hidden=(8,), n_train=300, n_validation=100, n_epochs=1)
    rng = np.random.default_rng(4)
    rows = rng.permutation(len(X))[:300]
    network = MLP((64, 8, 10), rng)
    logits = torch.tensor(network(X[rows]).data)
    theirs = torch.nn.functional.cross_entropy(logits, torch.tensor(y[rows]))
    assert trial(Still, [0.1], [4])["training loss"][0, 0] == pytest.approx(float(theirs))


# (d) What must not change the answer?


def test_a_seed_draws_the_same_for_every_optimizer_and_every_time(trial):
    a, b = (trial(Adam, [0.01, 0.1], [1, 2]) for _ in range(2))
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])
        np.testing.assert_array_equal(trial(Adam, [0.1], [2])[name], a[name][1:, 1:])


def test_centering_uses_the_training_images_alone(digits):
    X, y = digits
    make = partial(Classification, y=y, hidden=(8,), n_train=300, n_validation=100)
    shifted = make(X + 7.0, is_centered=True)(Adam, [0.01], [0])
    plain = make(X, is_centered=True)(Adam, [0.01], [0])
    for name in plain:
        np.testing.assert_allclose(shifted[name], plain[name], rtol=1e-6)
    parts = make(X, is_centered=True)._split(np.random.default_rng(0))
    assert [len(part[1]) for part in parts] == [300, 100, 200]
    np.testing.assert_allclose(parts[0][0].mean(axis=0), 0, atol=1e-12)
    assert np.abs(parts[2][0].mean(axis=0)).max() > 1e-3


# (e) Does a planted bug show?


def test_a_run_that_diverges_scores_infinity(trial):
    scores = trial(SGD, [1e200], [0, 1])
    assert all(np.isinf(score).all() for score in scores.values())


def test_the_four_entrants_have_equal_grids_and_play(trial):
    players = entrants(trial)
    assert list(players) == ["SGD", "momentum", "Adam", "Muon"]
    for entrant in players.values():
        np.testing.assert_allclose(np.diff(np.log2(entrant.rates)), 1.0)
        assert len(entrant.rates) == 7
    deeper = Classification(trial.X, trial.y, hidden=(8, 8, 8), n_train=300, n_validation=100)
    small = {name: e._replace(rates=e.rates[3:5]) for name, e in entrants(deeper).items()}
    held = hold(deeper, small, tuning_seeds=[0], reporting_seeds=[1, 2], by="validation loss")
    assert all(np.isfinite(scores).all() for scores in held.scores["test error"].values())
    moved = {type(piece.optimizer).__name__ for piece in entrants(deeper)["Muon"].make(0.01).pieces}
    assert moved == {"Muon", "AdamW"}


def scored(training, errors):
    """A contest with these scores of the four seeds that report."""
    scores = {
        measure: {name: np.array(values, float) for name, values in part.items()}
        for measure, part in {"training loss": training, "test error": errors}.items()
    }
    return Contest({}, scores, by="training loss")


def test_the_prose_names_winners_and_counts_the_pairs_that_are_told_apart():
    training = {"SGD": [0.4] * 4, "momentum": [0.3] * 4, "Adam": [0.2, 0.2, 0.05, 0.2]}
    training["Muon"] = [0.1] * 4
    tied = {name: [0.3, 0.1, 0.2, 0.2] for name in training}
    apart = tied | {"Muon": [0.2, 0.0, 0.1, 0.1]}
    said = prose({"as recorded": scored(training, apart), "centered": scored(training, tied)})
    assert (said["muon_recorded_first"], said["muon_recorded_wins"]) == ("Muon", "3")
    assert said["muon_n_seeds"] == "4"
    assert said["muon_lead_recorded"] == "0.062"
    assert (said["muon_apart_recorded"], said["muon_apart_centered"]) == ("3", "none")
    assert said["muon_winners"] == "SGD"  # the first of those that tie


def test_the_prose_lists_all_who_win_in_some_seed():
    training = {name: [0.5] * 4 for name in ("SGD", "momentum", "Adam", "Muon")}
    errors = {"SGD": [1, 2, 2, 2], "momentum": [2, 2, 2, 1], "Adam": [2, 1, 2, 2]}
    errors["Muon"] = [2, 2, 1, 2]
    contests = dict.fromkeys(("as recorded", "centered"), scored(training, errors))
    assert prose(contests)["muon_winners"] == "Adam, Muon, SGD or momentum"
