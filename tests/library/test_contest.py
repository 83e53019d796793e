"""A fair contest: the choice of step sizes, the differences by seed, and the joint intervals."""

import numpy as np
import pytest
from scipy import stats

from dlcourse.contest import Contest, Entrant, Pairs, hold


def trial(optimizer, seeds):
    """Loss (x - 1)^2 of an 'optimizer' (name, x), with a luck of each seed that all share."""
    name, x = optimizer
    luck = np.array([np.random.default_rng(seed).normal() for seed in seeds])
    handicap = {"good": 0.0, "bad": 0.5}[name]
    loss = (x - 1) ** 2 + handicap + luck
    return {"loss": loss, "error": loss + (x > 1.5)}


ENTRANTS = {
    name: Entrant(lambda rate, name=name: (name, rate), [0.5, 1.0, 2.0]) for name in ("good", "bad")
}


@pytest.fixture
def held():
    return hold(trial, ENTRANTS, seeds=range(5), by="loss")


# (b) Does a trusted library agree?


def test_for_two_entrants_the_interval_is_that_of_the_paired_t_test(rng):
    a, b = rng.normal(size=6), rng.normal(size=6) + 1.0
    pairs = Pairs({"a": a, "b": b})
    theirs = stats.ttest_rel(a, b).confidence_interval(0.95)
    np.testing.assert_allclose(
        [pairs.mean[0] - pairs.half_width[0], pairs.mean[0] + pairs.half_width[0]], theirs
    )
    assert pairs.told_apart[0] == (stats.ttest_rel(a, b).pvalue < 0.05)


# (c) Do we recover a known truth?


def test_each_entrant_plays_with_its_best_step_size(held):
    assert held.chosen == {"good": 1, "bad": 1}
    assert held.rate("good") == 1.0
    assert held.is_interior
    np.testing.assert_allclose(held.best("loss")["bad"] - held.best("loss")["good"], 0.5)
    assert held.winners("loss") == ["good"] * 5


def test_shared_luck_cancels_in_the_differences(held):
    pairs = held.pairs("loss")
    assert held.best("loss")["good"].std() > 0.3  # more than half of the handicap
    assert pairs.told_apart.tolist() == [True]
    assert "yes" in repr(pairs)


def test_equal_entrants_are_seldom_told_apart(rng):
    false_claims = 0
    for _ in range(400):
        scores = {name: rng.normal(size=5) for name in "abcd"}
        false_claims += Pairs(scores).told_apart.any()
    share = false_claims / 400
    assert share < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)  # jointly, not one pair at a time


# (d) What must not change the answer?


def test_the_order_of_the_entrants_does_not_matter(held):
    turned = hold(trial, dict(reversed(ENTRANTS.items())), seeds=range(5), by="loss")
    assert turned.chosen == held.chosen
    np.testing.assert_allclose(turned.pairs("loss").mean, -held.pairs("loss").mean)


def test_a_step_size_that_diverges_is_not_chosen():
    entrants = {"only": Entrant(float, [0.1, 0.2, 0.3])}

    def diverging(optimizer, seeds):
        return {"loss": np.where(optimizer > 0.25, np.inf, optimizer) * np.ones(len(seeds))}

    held = hold(diverging, entrants, seeds=[0, 1], by="loss")
    assert held.chosen == {"only": 0}
    assert not held.is_interior


# (e) Does a planted bug show?


def test_a_contest_that_chose_the_last_step_size_would_be_caught(held):
    class Careless(Contest):
        def __init__(self, entrants, scores, by):
            super().__init__(entrants, scores, by)
            self.chosen = dict.fromkeys(self.chosen, 2)

    careless = Careless(ENTRANTS, held.scores, "loss")
    assert not careless.is_interior
    assert careless.best("loss")["good"].mean() > held.best("loss")["good"].mean()


def test_the_table_names_what_was_chosen_and_the_spread(held):
    text = repr(held)
    assert text.splitlines()[0].split() == ["optimizer", "step", "size", "loss", "error"]
    loss = held.best("loss")["good"]
    assert f"{loss.mean():.3g} ± {loss.std(ddof=1):.1g}" in text.splitlines()[1]


def test_one_seed_is_refused():
    with pytest.raises(ValueError, match="two seeds or more.*One seed shows no spread"):
        hold(trial, ENTRANTS, seeds=[0], by="loss")
