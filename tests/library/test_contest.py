"""A fair contest: the choice of step sizes, the differences by seed, and the joint intervals."""

import numpy as np
import pytest
from scipy import stats

from dlcourse.contest import Contest, Entrant, Pairs, hold


def trial(make, rates, seeds):
    """Loss (x - 1)^2 of an 'optimizer' (name, x), with a luck of each seed that all share."""
    name, x = make(np.array(rates)[:, None])
    luck = np.array([np.random.default_rng(seed).normal() for seed in seeds])
    handicap = {"good": 0.0, "bad": 0.5}[name]
    loss = (x - 1) ** 2 + handicap + luck
    return {"loss": loss, "error": loss + (x > 1.5), "steps": loss[..., None] * np.ones(4)}


ENTRANTS = {
    name: Entrant(lambda rate, name=name: (name, rate), [0.5, 1.0, 2.0]) for name in ("good", "bad")
}
TUNING, REPORTING = range(5), range(5, 10)


@pytest.fixture
def held():
    return hold(trial, ENTRANTS, TUNING, REPORTING, by="loss")


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
    assert {name: tuning.rate for name, tuning in held.tuning.items()} == {"good": 1.0, "bad": 1.0}
    assert held.is_interior
    loss = held.scores["loss"]
    np.testing.assert_allclose(loss["bad"] - loss["good"], 0.5)
    assert held.winners("loss") == ["good"] * 5


def test_the_scores_are_those_of_the_seeds_that_report(held):
    expected = trial(ENTRANTS["bad"].make, [1.0], REPORTING)
    for measure, (numbers,) in expected.items():
        np.testing.assert_array_equal(held.scores[measure]["bad"], numbers)
    assert held.scores["steps"]["bad"].shape == (5, 4)


def test_shared_luck_cancels_in_the_differences(held):
    pairs = held.pairs("loss")
    assert held.scores["loss"]["good"].std() > 0.25  # half of the handicap
    assert pairs.told_apart.tolist() == [True]
    assert "yes" in repr(pairs)
    assert pairs.is_lower("good", "bad")
    assert not pairs.is_lower("bad", "good")
    with pytest.raises(KeyError, match="ugly"):
        pairs.is_lower("good", "ugly")


def test_of_two_that_are_not_told_apart_neither_is_lower():
    pairs = Pairs({"a": np.array([1.0, 2.0, 3.0]), "b": np.array([1.1, 1.8, 3.2])})
    assert not pairs.is_lower("a", "b")
    assert not pairs.is_lower("b", "a")


def test_equal_entrants_are_seldom_told_apart(rng):
    false_claims = 0
    for _ in range(400):
        scores = {name: rng.normal(size=5) for name in "abcd"}
        false_claims += Pairs(scores).told_apart.any()
    share = false_claims / 400
    assert share < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)  # jointly, not one pair at a time


# (d) What must not change the answer?


def test_the_order_of_the_entrants_does_not_matter(held):
    turned = hold(trial, dict(reversed(ENTRANTS.items())), TUNING, REPORTING, by="loss")
    assert {name: tuning.chosen for name, tuning in turned.tuning.items()} == {"good": 1, "bad": 1}
    np.testing.assert_allclose(turned.pairs("loss").mean, -held.pairs("loss").mean)


@pytest.mark.parametrize("no_number", [np.inf, np.nan])
def test_a_step_size_that_diverges_on_one_seed_is_not_chosen(no_number):
    def diverging(make, rates, seeds):
        loss = -np.array(rates)[:, None] * np.ones(len(seeds))
        loss[np.array(rates) > 0.25, 0] = no_number
        return {"loss": loss}

    entrants = {"only": Entrant(float, [0.1, 0.2, 0.3])}
    held = hold(diverging, entrants, [0, 1], [2, 3], by="loss")
    assert held.tuning["only"].rate == 0.2
    assert not hold(
        diverging, {"only": Entrant(float, [0.1, 0.2])}, [0], [2, 3], "loss"
    ).is_interior


# (e) Does a planted bug show?


def lucky(make, rates, seeds):
    """'steady' has loss 1. 'lucky' has a step size with loss 0, on the tuning seeds and no other.

    Otherwise its loss is 2, but for a step size with 1.5 wherever it is tried.
    """
    names = [make(rate) for rate in rates]
    off = {"steady": 1.0, "lucky": 2.0, "lucky, sound": 1.5, "lucky, by chance": 2.0}
    loss = np.array([[off[name] for _ in seeds] for name in names])
    was_lucky = [
        [name == "lucky, by chance" and seed in TUNING for seed in seeds] for name in names
    ]
    return {"loss": np.where(was_lucky, 0.0, loss)}


LUCK = {
    "steady": Entrant(lambda rate: "steady", [0.1, 0.2, 0.3]),
    "lucky": Entrant(
        {0.1: "lucky", 0.2: "lucky, by chance", 0.3: "lucky, sound"}.get, [0.1, 0.2, 0.3]
    ),
}


def test_who_wins_on_the_tuning_seeds_alone_does_not_win_the_report():
    held = hold(lucky, LUCK, TUNING, REPORTING, by="loss")
    assert held.tuning["lucky"].rate == 0.2  # fooled, as one may be
    assert held.tuning["lucky"].scores.mean(axis=1).min() < 1  # and ahead, had it been reported
    assert held.winners("loss") == ["steady"] * 5
    assert held.scores["loss"]["lucky"].tolist() == [2.0] * 5


def test_a_contest_that_reports_the_seeds_that_chose_would_be_fooled():
    careless = {name: trial_of_choice(LUCK[name]) for name in LUCK}
    assert Contest({}, {"loss": careless}, by="loss").winners("loss") == ["lucky"] * 5


def trial_of_choice(entrant):
    """What one step size, the best on the tuning seeds, scored on those same seeds."""
    scores = lucky(entrant.make, entrant.rates, TUNING)["loss"]
    return scores[scores.mean(axis=1).argmin()]


def test_the_trial_never_sees_a_seed_of_the_report_while_it_tunes():
    calls = []

    def watched(make, rates, seeds):
        calls.append((len(rates), set(seeds)))
        return lucky(make, rates, seeds)

    hold(watched, LUCK, TUNING, REPORTING, by="loss")
    assert calls == [(3, set(TUNING)), (1, set(REPORTING))] * 2


def test_the_table_names_what_was_chosen_and_the_spread(held):
    text = repr(held)
    assert text.splitlines()[0].split() == ["optimizer", "step", "size", "loss", "error"]
    loss = held.scores["loss"]["good"]
    assert f"{loss.mean():.3g} ± {loss.std(ddof=1):.1g}" in text.splitlines()[1]


def test_a_seed_that_would_choose_and_report_is_refused():
    with pytest.raises(ValueError, match=r"must not report on it, got \[4\] in both.*draw other"):
        hold(trial, ENTRANTS, range(5), range(4, 9), by="loss")


@pytest.mark.parametrize(("tuning", "reporting"), [([0], [1]), ([], [1, 2]), ([0], [1, 1])])
def test_too_few_seeds_are_refused(tuning, reporting):
    with pytest.raises(ValueError, match="two reporting seeds or more.*One seed shows no spread"):
        hold(trial, ENTRANTS, tuning, reporting, by="loss")
