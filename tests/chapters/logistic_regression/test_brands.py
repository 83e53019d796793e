"""A panel with known tastes, and what three logits make of it."""

import numpy as np
import pytest
import scipy
import sympy

from dlcourse.chapters.logistic_regression import brands
from dlcourse.chapters.logistic_regression.brands import panel, price_elasticity, specifications
from dlcourse.losses import sigmoid

TRUTH = np.array([-3.0, 1.0, 0.0])


@pytest.mark.proves("eq-logistic-choice", by="independent")
def test_the_best_of_three_with_gumbel_shocks_is_chosen_with_softmax_probability():
    scores, gumbel = np.array([0.5, -0.3, 1.1]), scipy.stats.gumbel_r
    shares = [
        scipy.integrate.quad(
            lambda e, k=k: (
                gumbel.pdf(e)
                * np.prod([gumbel.cdf(scores[k] - s + e) for s in np.delete(scores, k)])
            ),
            -10,
            40,
        )[0]
        for k in range(3)
    ]
    np.testing.assert_allclose(shares, np.exp(scores) / np.exp(scores).sum(), rtol=1e-7)


@pytest.mark.proves("eq-logistic-choice-two", "eq-logistic-elasticity", by="symbolic")
def test_two_brands_are_a_logit_on_differences_and_its_elasticity():
    a, b, beta, price = sympy.symbols("a b beta price", real=True)
    share = sympy.exp(a) / (sympy.exp(a) + sympy.exp(b))
    assert sympy.simplify(share - 1 / (1 + sympy.exp(-(a - b)))) == 0
    share = 1 / (1 + sympy.exp(-(b + beta * price)))
    elasticity = sympy.diff(share, price) * price / share
    assert sympy.simplify(elasticity - beta * price * (1 - share)) == 0
    numbers = {b: 0.3, beta: -2.0, price: 1.5}
    ours = price_elasticity(-2.0, 1.5, float(share.subs(numbers)))
    assert ours == pytest.approx(float(elasticity.subs(numbers)))


def test_a_cut_moves_a_large_brand_by_fewer_percent():
    large, small = (price_elasticity(-3.0, price=1.0, share=s) for s in (0.6, 0.1))
    assert abs(large) < abs(small)


@pytest.mark.proves("eq-logistic-loyalty", by="independent")
def test_loyalty_is_a_geometric_average_of_past_purchases(monkeypatch, rng):
    monkeypatch.setattr(brands, "BURN_IN", 0)
    households, weeks, memory = 7, 15, 0.8
    trips = panel(households, weeks, TRUTH, rng, memory=memory)
    bought = trips.bought_a.reshape(weeks, households)
    for t in (0, 1, 14):
        weights = (1 - memory) * memory ** np.arange(t)[::-1]
        share = memory**t * 0.5 + weights @ bought[:t]
        np.testing.assert_allclose(
            trips.loyalty.reshape(weeks, households)[t], 2 * share - 1, atol=1e-12
        )


def test_purchases_have_the_probability_of_the_logit(rng):
    trips = panel(2_000, 30, np.array([-3.0, 1.0, 0.5]), rng)
    features = np.stack([trips.price, trips.promotion, trips.loyalty], axis=1)
    p = sigmoid(trips.taste + features @ trips.beta)
    for low, high in ((0.1, 0.2), (0.45, 0.55), (0.8, 0.9)):
        inside = (p > low) & (p < high)
        error = 4 / np.sqrt(4 * inside.sum())
        assert trips.bought_a[inside].mean() == pytest.approx(p[inside].mean(), abs=error)


def test_only_the_logit_that_knows_tastes_recovers_the_truth(rng):
    found = specifications(panel(400, 52, TRUTH, rng))
    knows = found.coefficients["with loyalty and taste"]
    errors = found.errors["with loyalty and taste"]
    assert (np.abs(knows[1:4] - TRUTH) < 4 * errors[1:4]).all()
    believes = found.coefficients["with loyalty"]
    assert believes[3] > 10 * found.errors["with loyalty"][3]  # spurious
    assert abs(found.coefficients["marketing only"][1]) < 0.85 * abs(TRUTH[0])  # shrunk


def test_without_heterogeneity_the_simple_logit_is_right(rng):
    found = specifications(panel(400, 52, TRUTH, rng, taste_sd=1e-9))
    simple, errors = (d["marketing only"] for d in (found.coefficients, found.errors))
    assert (np.abs(simple[1:] - TRUTH[:2]) < 4 * errors[1:]).all()


def test_the_table_says_what_was_not_included(rng):
    columns = specifications(panel(100, 20, TRUTH, rng)).table().columns
    assert columns["marketing only"][2] == "not included"
    assert columns["truth"] == ["-3.00", "1.00", "0.00"]
    assert not any("-0.00" in cell for column in columns.values() for cell in column)
