"""The three errors of a logit, each by a second road."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize as scipy_minimize

from dlcourse.chapters.logistic_regression.three_errors import (
    ad_fatigue,
    descend,
    estimation_constant,
    estimation_errors,
    measure,
    nearest_logit,
    purchases,
)
from dlcourse.linear import logistic
from dlcourse.linear.three_errors import BASES, distance, legendre, nodes
from dlcourse.losses import sigmoid


@pytest.fixture
def data(rng):
    return purchases(600, rng)


def curve(c):
    return sigmoid(legendre(nodes()[0], len(c) - 1) @ c)


@pytest.mark.proves("eq-logistic-ad-fatigue", by="independent")
def test_the_first_ads_help_and_the_later_ones_do_not():
    for x in (-1.0, -0.1, 0.4, 1.0):
        log_odds = -2 + 2.5 * math.exp(-((x + 0.1) ** 2) / 0.3)
        p = ad_fatigue(np.array([x]))[0]
        assert math.log(p / (1 - p)) == pytest.approx(log_odds, rel=1e-12)
    x, _ = nodes()
    assert x[ad_fatigue(x).argmax()] == pytest.approx(-0.1, abs=0.01)


@pytest.mark.proves("eq-logistic-projection", by="independent")
@pytest.mark.parametrize("degree", [0, 1, 4])
def test_the_nearest_logit_has_the_smallest_expected_loss(degree):
    x, weights = nodes()
    phi, p = legendre(x, degree), ad_fatigue(x)

    def expected_loss(c):
        score = phi @ c
        return weights @ (np.logaddexp(0, score) - p * score)

    found = scipy_minimize(expected_loss, np.zeros(degree + 1), options={"gtol": 1e-9})
    np.testing.assert_allclose(nearest_logit(ad_fatigue, degree), found.x, atol=1e-5)


def test_in_unlimited_data_maximum_likelihood_finds_the_nearest_logit(rng):
    many = purchases(200_000, rng)
    assert estimation_errors(many, nearest_logit(ad_fatigue, 2), [200_000])[0] < 0.004


@pytest.mark.proves("eq-logistic-estimation-rate", by="truth")
@pytest.mark.parametrize("degree", [4, 6])
def test_the_mean_squared_estimation_error_is_a_trace_over_n(degree):
    n, n_draws, best = 1_500, 150, nearest_logit(ad_fatigue, degree)
    squared = [
        estimation_errors(purchases(n, np.random.default_rng(seed)), best, [n])[0] ** 2
        for seed in range(n_draws)
    ]
    assert np.mean(squared) == pytest.approx(estimation_constant(best) / n, rel=0.2)


@pytest.mark.proves("eq-logistic-estimation-rate", by="instances")
def test_the_trace_is_at_most_a_quarter_of_the_coefficients(rng):
    for _ in range(50):
        c = rng.normal(size=rng.integers(1, 8))
        assert estimation_constant(c) <= len(c) / 4 + 1e-12
    assert estimation_constant(np.zeros(5)) == pytest.approx(5 / 4)  # attained at even chances


@pytest.mark.proves("eq-logistic-three-errors", by="instances")
@pytest.mark.parametrize("basis", BASES)
def test_three_errors_add_up_to_at_least_the_whole(data, basis):
    curves, fit = descend(data, degree=3, n_steps=100, features=BASES[basis])
    truth, best = ad_fatigue(nodes()[0]), curve(nearest_logit(ad_fatigue, 3))
    parts = distance(best, truth) + distance(fit, best) + distance(curves, fit)
    assert (distance(curves, truth) <= parts + 1e-14).all()


def test_both_bases_aim_for_one_fit_and_only_one_gets_there(data):
    fits = {name: descend(data, 4, 300, features) for name, features in BASES.items()}
    np.testing.assert_allclose(fits["powers"][1], fits["legendre"][1], rtol=1e-7)
    direct = logistic.by_newton(legendre(data.x, 4), data.y).coefficients
    np.testing.assert_allclose(fits["legendre"][1], curve(direct), rtol=1e-7)
    gaps = {name: distance(curves[-1], fit) for name, (curves, fit) in fits.items()}
    assert gaps["legendre"] < 1e-6 < 1e-3 < gaps["powers"]


def test_measure_collects_what_the_parts_compute(data):
    errors = measure(data, degree=2, n_steps=20)
    best = nearest_logit(ad_fatigue, 2)
    truth = ad_fatigue(nodes()[0])
    assert errors.approximation[2] == pytest.approx(distance(curve(best), truth))
    assert errors.approximation[-1] < 1e-3 < 0.1 < errors.approximation[1]
    assert errors.estimation[-1] == estimation_errors(data, best, [600])[0]
    (curves, _) = descend(data, 2, 20, BASES["powers"])
    assert errors.total == pytest.approx(distance(curves[-1], truth))
    assert errors.sizes[[0, -1]].tolist() == [60, 600]


def test_too_few_observations_are_refused_and_data_say_what_they_are(data):
    with pytest.raises(ValueError, match="at least 40 observations a coefficient, here 840"):
        measure(data, degree=20, n_steps=1)
    assert repr(data).startswith("600 observations of ad_fatigue")
