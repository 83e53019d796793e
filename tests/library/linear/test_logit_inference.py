"""Standard errors against repeated samples, effects against differences, reports against both."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linprog

from dlcourse.linear import logistic, logit_inference
from dlcourse.linear.logit_inference import (
    average_effects,
    logit_data,
    multinomial,
    repeat,
    report,
    standard_errors,
)
from dlcourse.losses import sigmoid

BETA = np.array([-0.5, 1.0])


@pytest.mark.proves("eq-logistic-covariance", "eq-logistic-wald", by="truth")
def test_standard_errors_are_the_spread_and_intervals_hold_the_truth(rng):
    found = repeat(BETA, sizes=[400], n_draws=500, rng=rng)
    assert found.no_estimate[0] == 0
    assert found.standard_errors[0].mean() == pytest.approx(found.estimates[0].std(), rel=0.1)
    assert found.coverage[0] == pytest.approx(0.95, abs=0.04)  # four Monte Carlo standard errors


def test_errors_fall_with_the_root_of_n(rng):
    few, many = (standard_errors(logit_data(n, BETA, rng).X, BETA)[1] for n in (2_000, 200_000))
    assert few / many == pytest.approx(10, rel=0.1)


def test_small_samples_exaggerate_and_some_have_no_estimate(rng):
    found = repeat(np.array([-1.0, 1.0, 2.0]), sizes=[20, 200], n_draws=200, rng=rng)
    assert found.no_estimate[0] > 0.02
    assert found.no_estimate[1] == 0
    assert found.means[0] > found.means[1] > 2.0
    assert [len(column) for column in found.table().columns.values()] == [2] * 6


def test_samples_without_an_estimate_are_those_that_a_linear_program_finds():
    n_draws, n = 60, 12
    found = repeat(np.array([0.0, 2.0]), [n], n_draws, np.random.default_rng(5))
    rng, n_separable = np.random.default_rng(5), 0
    for _ in range(n_draws):
        X, y, _ = logit_data(n, np.array([0.0, 2.0]), rng)
        margins = (2 * y - 1)[:, None] * X
        n_separable += -linprog(-margins.sum(0), -margins, np.zeros(n), bounds=(-1, 1)).fun > 1e-8
    assert n_draws - len(found.estimates[0]) == n_separable > 3


@pytest.mark.proves("eq-logistic-marginal-effect", "eq-logistic-average-effect", by="derivative")
def test_average_effects_are_slopes_of_the_mean_probability(rng):
    X, _, beta = logit_data(50, np.array([-0.5, 1.0, -2.0]), rng)
    for j in (1, 2):
        move = np.zeros_like(X)
        move[:, j] = 1e-5
        ahead, behind = (sigmoid((X + sign * move) @ beta) for sign in (1, -1))
        p = sigmoid(X @ beta)
        np.testing.assert_allclose((ahead - behind) / 2e-5, p * (1 - p) * beta[j], rtol=1e-6)
        slope = (ahead.mean() - behind.mean()) / 2e-5
        assert average_effects(X, beta)[j] == pytest.approx(slope, rel=1e-8)
        assert abs(slope) <= abs(beta[j]) / 4


def test_a_report_tells_one_fit_in_three_scales(rng):
    X, y, _ = logit_data(400, np.array([0.2, 1.0, 0.0]), rng)
    told = report(X, y, ["price", "brand"])
    fit = logistic.by_newton(X, y).coefficients
    np.testing.assert_allclose(told.coefficients, fit)
    np.testing.assert_allclose(np.log(told.odds_ratios), fit)
    half = np.log(told.intervals[:, 1]) - fit
    np.testing.assert_allclose(half, 1.959964 * standard_errors(X, fit), rtol=1e-6)
    columns = told.table().columns
    assert columns["feature"] == ["price", "brand"]
    assert columns["odds ratio"][0] == f"{np.exp(fit[1]):.1f}"


def test_multinomial_errors_do_not_depend_on_the_base(rng):
    X = np.column_stack([np.ones(200), rng.normal(size=200)])
    labels = (X @ rng.normal(size=(2, 3)) + rng.gumbel(size=(200, 3))).argmax(1)
    first, last = (multinomial(X, labels, ["one", "x"], base=base) for base in (0, 2))
    np.testing.assert_allclose(first.contrasts[2], -last.contrasts[0], rtol=1e-9)
    np.testing.assert_allclose(first.standard_errors[2], last.standard_errors[0], rtol=1e-8)
    assert first.n_flat == 2
    assert list(last.table().columns) == ["feature", "0 against 2", "1 against 2"]


def test_two_classes_have_the_standard_errors_of_the_logit(rng):
    X, y, _ = logit_data(200, BETA, rng)
    two = multinomial(X, y.astype(int), ["one", "x"])
    np.testing.assert_allclose(two.standard_errors[1], standard_errors(X, two.contrasts[1]))


@pytest.mark.converted
def test_a_report_takes_tables_and_whole_numbers(rng):
    X, y, _ = logit_data(200, BETA, rng)
    X = np.column_stack([X[:, 0], rng.integers(0, 5, size=200)])
    index = rng.permutation(200)
    table, outcome = pd.DataFrame(X.astype(int), index=index), pd.Series(y == 1, index=index)
    told, same = report(X, y, ["visits"]), report(table, outcome, ["visits"])
    assert repr(told) == repr(same)
    for function in (standard_errors, average_effects):
        np.testing.assert_allclose(
            function(table, told.coefficients), function(X, told.coefficients), rtol=1e-12
        )
    assert repr(multinomial(X, y.astype(int), ["one", "visits"])) == repr(
        multinomial(table, outcome.astype(int), ["one", "visits"])
    )


def test_names_and_base_must_fit(rng):
    X, y, _ = logit_data(100, BETA, rng)
    with pytest.raises(ValueError, match="a first column of ones and then 2 features"):
        report(X, y, ["x", "z"])
    with pytest.raises(ValueError, match="a first column of ones"):
        report(X[:, ::-1], y, ["x"])
    with pytest.raises(ValueError, match="`names` must have 2 entries"):
        multinomial(X, y.astype(int), ["x"])
    with pytest.raises(ValueError, match="`base` must be one of the classes 0, ..., 1, got 2"):
        multinomial(X, y.astype(int), ["one", "x"], base=2)


def test_data_say_what_made_them_and_refuse_a_wrong_correlation(rng):
    assert "true beta = [-0.5  1. ]" in repr(logit_data(10, BETA, rng))
    X = logit_data(20_000, np.zeros(3), rng, correlation=0.8).X
    assert np.corrcoef(X[:, 1], X[:, 2])[0, 1] == pytest.approx(0.8, abs=0.02)
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\)"):
        logit_inference.logit_data(10, BETA, rng, correlation=1.0)
