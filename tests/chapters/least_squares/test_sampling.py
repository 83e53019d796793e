"""Sampling errors: exact over all sign patterns of the errors, and by Monte Carlo."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from dlcourse.chapters.least_squares import sampling
from dlcourse.linear.least_squares import by_qr, covariance, minimum_norm
from dlcourse.losses import SumOfSquares

SIGNS = np.array(list(product([-1.0, 1.0], repeat=8)))  # 256 errors, all equally likely: sd 1


@pytest.fixture
def design(rng):
    return np.column_stack([np.ones(8), rng.normal(size=(8, 2))])


BETA = np.array([1.0, -2.0, 0.5])


@pytest.mark.proves("eq-sampling-error", by="independent")
def test_the_estimate_misses_by_a_linear_map_of_the_errors(design, rng):
    errors = rng.normal(size=8)
    miss = by_qr(design, design @ BETA + errors).beta - BETA
    np.testing.assert_allclose(miss, np.linalg.pinv(design) @ errors, rtol=1e-10)


@pytest.mark.proves("thm-sampling-error", "eq-sampling-mean", "eq-sampling-variance", by="truth")
def test_mean_and_covariance_are_exact_over_all_sign_patterns(design):
    estimates = np.array([by_qr(design, design @ BETA + 0.7 * e).beta for e in SIGNS])
    np.testing.assert_allclose(estimates.mean(0), BETA, rtol=1e-12)
    exact = np.cov(estimates.T, bias=True)
    np.testing.assert_allclose(covariance(design, noise_sd=0.7), exact, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(exact, 0.49 * np.linalg.inv(design.T @ design), rtol=1e-10)


@pytest.mark.proves("thm-sampling-error", by="worst case")
def test_correlated_errors_keep_the_mean_and_break_the_covariance(design):
    clustered = SIGNS[:, [0, 0, 2, 2, 4, 4, 6, 6]]
    estimates = np.array([by_qr(design, design @ BETA + e).beta for e in clustered])
    np.testing.assert_allclose(estimates.mean(0), BETA, rtol=1e-12)
    assert not np.allclose(np.cov(estimates.T, bias=True), covariance(design, 1.0), rtol=0.1)


@pytest.mark.proves("thm-gauss-markov", "eq-gauss-markov", by="instances")
def test_every_other_linear_unbiased_rule_scatters_more(design, rng):
    ours = np.linalg.pinv(design)
    hat = design @ ours
    for _ in range(20):
        A = ours + rng.normal(size=(3, 8)) @ (np.eye(8) - hat)
        estimates = (design @ BETA + SIGNS) @ A.T
        np.testing.assert_allclose(estimates.mean(0), BETA, rtol=1e-11)  # unbiased
        variance = np.cov(estimates.T, bias=True)
        D = A - ours
        np.testing.assert_allclose(variance - covariance(design, 1.0), D @ D.T, atol=1e-10)
        assert np.linalg.eigvalsh(variance - covariance(design, 1.0)).min() > -1e-10


@pytest.mark.proves("thm-gauss-markov", by="instances")
def test_weights_that_ignore_equal_variances_cost_precision(design):
    W = np.diag(np.arange(1.0, 9.0))
    A = np.linalg.solve(design.T @ W @ design, design.T @ W)
    np.testing.assert_allclose(A @ design, np.eye(3), atol=1e-12)
    assert (np.diag(A @ A.T) > np.diag(covariance(design, 1.0))).all()


@pytest.mark.proves("thm-gauss-markov", by="worst case")
def test_a_biased_rule_can_beat_it_so_unbiasedness_is_needed():
    beta = np.array([0.01])
    X = np.full((8, 1), 0.1)
    estimates = np.array([by_qr(X, X @ beta + e).beta for e in SIGNS])
    assert ((estimates - beta) ** 2).mean() > ((0 - beta) ** 2).mean()


@pytest.mark.proves("eq-residual-variance", by="truth")
def test_the_smallest_sum_of_squares_is_n_minus_p_variances_on_average(design):
    outcomes = design @ BETA + 0.7 * SIGNS
    smallest = [SumOfSquares(design, y)(by_qr(design, y).beta)[0] for y in outcomes]
    assert np.mean(smallest) == pytest.approx((8 - 3) * 0.49, rel=1e-12)


@pytest.mark.proves("eq-sandwich", by="truth")
def test_with_the_true_variances_the_sandwich_is_exact(design):
    sds = np.arange(1.0, 9.0)
    estimates = np.array([by_qr(design, design @ BETA + sds * e).beta for e in SIGNS])
    bread = np.linalg.inv(design.T @ design)
    filling = sum(sds[i] ** 2 * np.outer(design[i], design[i]) for i in range(8))
    exact = np.cov(estimates.T, bias=True)
    np.testing.assert_allclose(bread @ filling @ bread, exact, rtol=1e-10)
    assert not np.allclose(covariance(design, np.sqrt((sds**2).mean())), exact, rtol=0.1)


@pytest.mark.proves("eq-sandwich", by="truth")
def test_with_residuals_the_sandwich_approaches_the_true_variance(rng):
    n = 2_000
    x = rng.normal(size=n)
    X = np.column_stack([np.ones(n), x])
    true = np.linalg.pinv(X) ** 2 @ x**2  # variances of the coefficients, given X
    y = X @ np.array([1.0, 2.0]) + np.abs(x) * rng.normal(size=n)
    residual = y - X @ by_qr(X, y).beta
    bread = covariance(X, 1.0)
    sandwich = bread @ (X.T * residual**2) @ X @ bread
    np.testing.assert_allclose(np.diag(sandwich), true, rtol=0.2)


@pytest.mark.proves("eq-sampling-mean", "eq-sampling-variance", by="truth")
def test_monte_carlo_confirms_mean_spread_and_coverage(design, rng):
    n_draws = 4_000
    repeated = sampling.repeat(design, BETA, noise_sd=0.7, n_draws=n_draws, rng=rng)
    np.testing.assert_array_less(np.abs(repeated.bias), 4 * repeated.formula_sd / np.sqrt(n_draws))
    np.testing.assert_allclose(repeated.sd, repeated.formula_sd, rtol=4 / np.sqrt(2 * n_draws))
    np.testing.assert_allclose(repeated.coverage, 0.95, atol=4 * np.sqrt(0.0475 / n_draws))


def test_a_wrong_noise_sd_shows_in_the_coverage(design, rng):
    repeated = sampling.repeat(design, BETA, noise_sd=1.0, n_draws=500, rng=rng)
    too_sure = sampling.Repeated(BETA, repeated.estimates, repeated.formula_sd / 2)
    assert too_sure.coverage.max() < 0.8


def test_repeated_samples_print_a_row_a_coefficient(design, rng):
    repeated = sampling.repeat(design, BETA, noise_sd=0.7, n_draws=10, rng=rng)
    assert repeated.table().columns["beta"] == ["[0]", "[1]", "[2]"]
    assert repeated.table().columns["truth"] == ["1.000", "-2.000", "0.500"]


def test_the_prose_tells_the_largest_miss_of_any_coefficient():
    formula_sd = np.array([0.5, 2.0, 1.0])
    estimates = np.array([[1.0, 1.0, 1.0], [1.25, -1.0, 1.0]])
    prose = sampling.Repeated(np.array([1.0, 0.0, 1.0]), estimates, formula_sd).prose()
    assert (prose["ls_n_draws"], prose["ls_worst_bias"]) == ("2", "0.125")
    assert prose["ls_worst_sd"] == "100.0%"  # the last coefficient does not scatter at all
    assert prose["ls_inflation"] == "4.0"


@pytest.mark.bad_input
def test_a_covariance_needs_full_rank():
    with pytest.raises(ValueError, match="rank 1 for 2 columns"):
        covariance(np.ones((5, 2)), 1.0)
    with pytest.raises(ValueError, match=r"X\[:, None\]"):
        covariance(np.ones(5), 1.0)


def test_no_information_about_noise_is_left_when_n_is_p(rng):
    X = rng.normal(size=(4, 4))
    y = rng.normal(size=4)
    assert SumOfSquares(X, y)(minimum_norm(X, y).beta)[0] < 1e-20


# Advertising


CAMPAIGN = sampling.Campaign(sales_sd_usd=75.0, cost_usd=0.14, margin=0.5)


def two_groups(n):
    return np.column_stack([np.ones(n), np.arange(n) % 2])


@pytest.mark.proves("eq-ad-model", "eq-ad-variance", by="independent")
@pytest.mark.parametrize("n", [4, 10, 1_000])
def test_the_effect_of_an_ad_has_variance_four_sigma_squared_over_n(n):
    assert covariance(two_groups(n), noise_sd=75.0)[1, 1] == pytest.approx(4 * 75**2 / n)


@pytest.mark.proves("eq-ad-model", by="independent")
def test_the_coefficient_of_the_dummy_is_the_difference_of_means(rng):
    X, y = two_groups(50), rng.normal(size=50)
    difference = y[1::2].mean() - y[::2].mean()
    assert by_qr(X, y).beta[1] == pytest.approx(difference, rel=1e-12)


@pytest.mark.proves("eq-ad-return", by="independent")
def test_the_effect_gives_back_the_return():
    assert CAMPAIGN.effect(roi=0.25) == pytest.approx(0.35)
    profit = CAMPAIGN.margin * CAMPAIGN.effect(roi=0.25) - CAMPAIGN.cost_usd
    assert profit / CAMPAIGN.cost_usd == pytest.approx(0.25)


@pytest.mark.proves("eq-ad-power", by="truth")
def test_with_the_planned_sample_four_in_five_experiments_see_the_gap(rng):
    gap, n_draws = 40.0, 4_000
    n = CAMPAIGN.n_to_tell_apart(roi_gap=gap)
    assert 1_000 < n < 10_000
    estimates = rng.normal(gap, CAMPAIGN.roi_sd(n), size=n_draws)
    rejected = (np.abs(estimates) > 1.959964 * CAMPAIGN.roi_sd(n)).mean()
    assert rejected == pytest.approx(0.8, abs=4 * np.sqrt(0.16 / n_draws))


@pytest.mark.parametrize(("power", "size"), [(0.8, 0.05), (0.9, 0.01), (0.5, 0.1)])
def test_the_planned_sample_is_the_smallest_with_that_power(power, size):
    n = CAMPAIGN.n_to_tell_apart(roi_gap=2.0, power=power, size=size)
    border = stats.norm.isf(size / 2)  # in standard errors
    above, below = (stats.norm.sf(border - 2.0 / CAMPAIGN.roi_sd(m)) for m in (n, n - 1))
    assert below < power <= above


@pytest.mark.proves("eq-ad-power", "eq-ad-variance", "eq-ad-return", by="truth")
def test_the_planned_power_holds_in_simulated_regressions(rng):
    campaign = sampling.Campaign(sales_sd_usd=1.0, cost_usd=0.1, margin=0.5)
    n = 2 * round(campaign.n_to_tell_apart(roi_gap=2.0) / 2)
    sales = campaign.effect(roi=2.0) * two_groups(n)[:, 1] + rng.normal(size=(2_000, n))
    effects = sales[:, 1::2].mean(1) - sales[:, ::2].mean(1)
    returns = campaign.margin * effects / campaign.cost_usd - 1
    assert returns.std() == pytest.approx(campaign.roi_sd(n), rel=0.07)
    rejected = (np.abs(returns) > 1.959964 * campaign.roi_sd(n)).mean()
    assert rejected == pytest.approx(0.8, abs=0.04)


def test_the_prose_tells_the_r_squared_of_a_regression_on_the_ad(rng):
    campaign = sampling.Campaign(sales_sd_usd=2.0, cost_usd=1.0, margin=0.5)
    prose = campaign.prose(roi=0.25)
    shown = np.arange(200_000) % 2
    sales = float(prose["ls_ad_effect"]) / 100 * shown + 2.0 * rng.normal(size=shown.size)
    r_squared = np.corrcoef(shown, sales)[0, 1] ** 2
    assert float(prose["ls_ad_explained"]) / 1e6 == pytest.approx(r_squared, rel=0.05)
    many = campaign._replace(sales_sd_usd=2_000.0)
    needed = 1e6 * float(many.prose(roi=0.25)["ls_ad_needed"])
    assert needed == pytest.approx(many.n_to_tell_apart(roi_gap=0.25), rel=0.01)


def test_intervals_are_as_wide_as_two_standard_errors_say():
    (written,) = CAMPAIGN.intervals([1_000_000]).columns["95% interval for the ROI"]
    assert written == "± 105 percentage points"
    assert 196 * CAMPAIGN.roi_sd(1_000_000) == pytest.approx(105, abs=0.5)
