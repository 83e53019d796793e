"""What losses estimate, how the training error flatters, and orders learned from demand."""

import itertools

import numpy as np
import pytest
from scipy import integrate
from sklearn.linear_model import QuantileRegressor

from dlcourse import datasets
from dlcourse.chapters.supervised_learning import constants, families, newsvendor, optimism
from dlcourse.linear.three_errors import nodes

TRUTH = datasets.Lognormal(intercept=4.0, slope=1.2, log_sd=0.6)
KIOSK = newsvendor.Product(price_usd=5.0, cost_usd=1.0)


def density(y, x):
    """The lognormal density, written out."""
    z = (np.log(y) - TRUTH.intercept - TRUTH.slope * x) / TRUTH.log_sd
    return np.exp(-(z**2) / 2) / (y * TRUTH.log_sd * np.sqrt(2 * np.pi))


@pytest.mark.proves("eq-erm-demand", by="independent")
@pytest.mark.parametrize("x", [-0.7, 0.0, 0.9])
def test_the_moments_of_demand_are_integrals_of_its_density(x):
    order = 80.0

    def integral(of, low=0.0, high=np.inf):
        return integrate.quad(lambda y: of(y) * density(y, x), low, high, limit=200)[0]

    assert np.isclose(TRUTH.mean(x), integral(lambda y: y), rtol=1e-7)
    assert np.isclose(TRUTH.exceeds(x, order), integral(lambda y: 1.0, order), rtol=1e-7)
    shortfall = integral(lambda y: y - order, order)
    assert np.isclose(TRUTH.expected_shortfall(x, order), shortfall, rtol=1e-6)
    assert np.isclose(integral(lambda y: 1.0, 0, TRUTH.quantile(x, 0.3)), 0.3, rtol=1e-7)


@pytest.mark.parametrize(
    ("loss", "statistic"),
    [
        (constants.squared, np.mean),
        (constants.absolute, np.median),
        (lambda f, y: constants.pinball(f, y, 0.9), lambda y: np.quantile(y, 0.9, method="higher")),
    ],
)
def test_the_best_constant_is_the_statistic_that_the_loss_asks_for(rng, loss, statistic):
    y = rng.normal(size=1_001) ** 3
    found = constants.best_constant(loss, y, y.min(), y.max())
    assert np.isclose(found, statistic(y), atol=1e-6)


def test_draws_of_demand_follow_its_law(rng):
    data = datasets.skewed_demand(20_000, TRUTH, rng)
    assert np.isclose((data.y > TRUTH.quantile(data.x, 0.8)).mean(), 0.2, atol=0.012)
    assert np.isclose(data.y.mean(), TRUTH.mean(data.x).mean(), rtol=0.03)


@pytest.mark.proves("eq-erm-linear-program", by="independent")
@pytest.mark.parametrize("level", [0.2, 0.5, 0.8])
def test_the_linear_program_is_quantile_regression(rng, level):
    data = datasets.skewed_demand(80, TRUTH, rng)
    X = newsvendor.features(data.x)
    ours = newsvendor.fit_quantile(X, data.y, level)
    theirs = QuantileRegressor(quantile=level, alpha=0.0, fit_intercept=False).fit(X, data.y).coef_
    risks = [constants.pinball(X @ beta, data.y, level).mean() for beta in (ours, theirs)]
    assert np.isclose(*risks, rtol=1e-9)
    for _ in range(50):  # nothing nearby is better
        nearby = ours + rng.normal(size=3)
        assert constants.pinball(X @ nearby, data.y, level).mean() >= risks[0]


@pytest.mark.proves("eq-erm-critical-ratio", by="independent")
def test_the_best_order_is_the_quantile_at_the_critical_ratio(rng):
    x = 0.3
    best = TRUTH.quantile(x, KIOSK.level)
    losses_usd = KIOSK.expected_loss(TRUTH, x, best * np.linspace(0.5, 2, 301))
    assert np.isclose(np.linspace(0.5, 2, 301)[losses_usd.argmin()], 1.0, atol=0.01)
    demand = TRUTH.quantile(x, rng.uniform(size=400_000))
    lost = 4.0 * np.maximum(demand - best, 0) + 1.0 * np.maximum(best - demand, 0)
    assert np.isclose(KIOSK.expected_loss(TRUTH, x, best), lost.mean(), rtol=0.01)
    assert np.allclose(lost, 5.0 * constants.pinball(best, demand, KIOSK.level))


def test_no_rule_beats_the_true_quantile_and_the_right_loss_comes_nearest(rng):
    rules = newsvendor.profits_by_rule(datasets.skewed_demand(400, TRUTH, rng), KIOSK)
    *learned, truth = rules.excess_usd.values()
    assert truth == 0
    assert min(learned) == learned[-1] > 0


def test_over_samples_each_rule_wastes_less_than_the_next_in_paired_differences(rng):
    wasted = [
        newsvendor.profits_by_rule(datasets.skewed_demand(500, TRUTH, rng), KIOSK).excess_usd
        for _ in range(12)
    ]
    names = ("smallest empirical risk", "predicted mean + safety stock", "predicted mean")
    for better, worse in itertools.pairwise((*names, "quantile of all days")):
        gains = np.array([rules[worse] - rules[better] for rules in wasted])
        assert gains.mean() > 4 * gains.std(ddof=1) / np.sqrt(len(gains))


def test_noise_features_lower_the_training_error_alone(rng):
    X = np.column_stack([np.ones(120), rng.normal(size=(120, 3))])
    y = X @ np.array([1.0, 2.0, -1.0, 0.5]) + rng.normal(size=120)
    fits = optimism.add_noise_features(X, y, 60, rng)
    assert (np.diff(fits.training) <= 1e-12).all()
    assert fits.held_out[-1] > 1.5 * fits.held_out[0]
    assert fits.p[0] == 4
    assert fits.p[-1] == 64
    with pytest.raises(ValueError, match="at most 102 for 120 rows and 4 features, got 103"):
        optimism.add_noise_features(X, y, 103, rng)


def test_cross_validation_predicts_each_row_without_its_part(rng):
    X, y, fold = rng.normal(size=(12, 2)), rng.normal(size=12), rng.permutation(12) % 4
    predictions = optimism.held_out_predictions(optimism.least_squares, X, y, fold)
    for row in range(12):
        others = fold != fold[row]
        beta = np.linalg.lstsq(X[others], y[others], rcond=None)[0]
        assert np.isclose(predictions[row], X[row] @ beta)


def test_selection_before_validation_makes_coins_predictable(rng):
    leak = optimism.select_then_validate(n=50, p=500, n_kept=15, rng=rng)
    assert leak.wrong.mean() > 0.7
    for honest in (leak.right, leak.fresh):
        assert abs(honest.mean() - 0.5) < 4 * 0.5 / np.sqrt(50 * len(honest))


@pytest.mark.proves("eq-erm-decomposition", by="independent")
def test_the_risk_of_a_fit_is_noise_plus_squared_distance(rng):
    data = datasets.sales_response(200, 0.3, rng)
    fits = families.fits_by_size(data, [40, 200], n_steps=50, rng=rng)
    fresh = datasets.sales_response(400_000, 0.3, rng)
    for name, curves in fits.curves.items():
        predictions = np.interp(fresh.x, nodes()[0], curves[-1])
        measured = ((fresh.y - predictions) ** 2).mean()
        assert np.isclose(fits.risk[name][-1], measured, rtol=0.01), name
    assert fits.best(200) in fits.risk


def test_more_observations_than_there_are_is_an_error(rng):
    data = datasets.sales_response(20, 0.3, rng)
    with pytest.raises(ValueError, match="go up to 30, but there are 20"):
        families.fits_by_size(data, [10, 30], n_steps=5, rng=rng)
