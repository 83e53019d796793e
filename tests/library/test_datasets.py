import numpy as np
import pytest
from scipy import special, stats

from dlcourse import datasets
from dlcourse.chapters.logistic_regression import brands, separation, three_errors
from dlcourse.linear import logit_inference

BETA = np.array([1.0, -2.0, 0.5])


@pytest.mark.proves("eq-linear-model", by="independent")
def test_without_noise_the_outcome_is_x_beta(rng):
    data = datasets.linear_model(20, BETA, noise_sd=0.0, rng=rng)
    np.testing.assert_allclose(data.y, [row @ BETA for row in data.X], rtol=1e-14)


@pytest.mark.proves("eq-linear-model", by="truth")
def test_errors_are_normal_with_the_stated_sd_and_unrelated_to_the_features(rng):
    data = datasets.linear_model(20_000, BETA, noise_sd=3.0, rng=rng)
    errors = (data.y - data.X @ data.beta) / data.noise_sd
    assert stats.kstest(errors, "norm").pvalue > 0.01
    assert np.abs(data.X.T @ errors / len(errors)).max() < 4 / np.sqrt(len(errors))


@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_features_have_the_stated_correlation_and_an_intercept(rng, correlation):
    X = datasets.linear_model(20_000, BETA, 1.0, rng, correlation).X
    np.testing.assert_array_equal(X[:, 0], 1.0)
    np.testing.assert_allclose(X[:, 1:].std(0), 1.0, atol=0.03)
    assert np.corrcoef(X[:, 1:].T)[0, 1] == pytest.approx(correlation, abs=0.03)


@pytest.mark.parametrize("correlation", [-0.1, 1.0, np.nan])
def test_an_impossible_correlation_is_refused(rng, correlation):
    with pytest.raises(ValueError, match=r"`correlation` must lie in \[0, 1\)"):
        datasets.linear_model(10, BETA, 1.0, rng, correlation)


@pytest.mark.converted
def test_integer_coefficients_are_converted():
    whole, floats = (
        datasets.linear_model(10, beta, 1.0, np.random.default_rng(0)).y
        for beta in ([1, 2], np.array([1.0, 2.0]))
    )
    np.testing.assert_array_equal(whole, floats)


@pytest.mark.parametrize("beta", [2.0, [], [[1.0, 2.0]], ["a"], [np.nan]])
@pytest.mark.bad_input
def test_coefficients_that_are_no_vector_of_numbers_are_refused(beta, rng):
    with pytest.raises(ValueError, match="`beta` must"):
        datasets.linear_model(10, beta, 1.0, rng)


GENERATORS = {
    "linear_model": lambda n, rng: datasets.linear_model(n, BETA, 1.0, rng),
    "decoy": datasets.decoy,
    "design": lambda n, rng: datasets.design_with_singular_values(n, np.ones(2), rng),
    "sales_response": lambda n, rng: datasets.sales_response(n, 0.1, rng),
    "skewed_demand": lambda n, rng: datasets.skewed_demand(
        n, datasets.Lognormal(4.0, 1.0, 0.5), rng
    ),
    "logit_data": lambda n, rng: logit_inference.logit_data(n, BETA, rng),
    "purchases": three_errors.purchases,
    "two_groups": lambda n, rng: separation.two_groups(n, 0.4, rng),
    "panel": lambda n, rng: brands.panel(n, 2, np.zeros(3), rng),
}


@pytest.mark.parametrize("draw", GENERATORS.values(), ids=GENERATORS)
@pytest.mark.bad_input
def test_a_seed_is_no_generator_and_a_float_no_count(draw, rng):
    with pytest.raises(ValueError, match=r"got 0. Use `np.random.default_rng\(0\)`"):
        draw(10, 0)
    for bad, cure in ((10.0, r"Use `int\(10.0\)`"), (0, "1 or more"), (True, "whole number")):
        with pytest.raises(ValueError, match=cure):
            draw(bad, rng)


@pytest.mark.parametrize("values", [[1.0], [5.0, 2.0, 1e-3]])
def test_a_design_has_the_singular_values_it_was_asked_for(rng, values):
    X = datasets.design_with_singular_values(12, np.array(values), rng)
    assert X.shape == (12, len(values))
    np.testing.assert_allclose(np.linalg.svd(X, compute_uv=False), values, rtol=1e-10)


def test_more_singular_values_than_rows_are_refused(rng):
    with pytest.raises(ValueError, match="`n` must be at least"):
        datasets.design_with_singular_values(2, np.ones(3), rng)


@pytest.mark.proves("eq-s-curve", by="independent")
def test_the_s_curve_is_a_logistic_function_with_slope_6_at_0_point_2():
    x = np.linspace(-1, 1, 101)
    np.testing.assert_allclose(datasets.s_curve(x), special.expit(6 * (x - 0.2)), rtol=1e-13)
    slope = np.diff(datasets.s_curve(np.array([0.2 - 1e-6, 0.2 + 1e-6])))[0] / 2e-6
    assert slope == pytest.approx(6 / 4)  # of p (1 - p) times 6


def test_sales_scatter_around_their_curve(rng):
    data = datasets.sales_response(20_000, noise_sd=0.3, rng=rng)
    errors = (data.y - data.truth(data.x)) / 0.3
    assert stats.kstest(errors, "norm").pvalue > 0.01
    assert stats.kstest(data.x, "uniform", args=(-1, 2)).pvalue > 0.01


def test_the_decoy_explains_most_and_is_not_in_the_truth(rng):
    X, y, beta, noise_sd = datasets.decoy(20_000, rng)
    correlations = [np.corrcoef(x, y)[0, 1] for x in X.T]
    assert np.argmax(correlations) == 4
    assert correlations[4] == pytest.approx(4 / np.sqrt(4.09 * 4.64), abs=0.02)
    found = np.linalg.lstsq(X, y, rcond=None)[0]
    np.testing.assert_allclose(found, beta, atol=5 * noise_sd / 0.8 / np.sqrt(20_000))
    assert stats.kstest((y - X @ beta) / noise_sd, "norm").pvalue > 0.01


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng: datasets.linear_model(10, BETA, 1.0, rng).y,
        lambda rng: datasets.design_with_singular_values(5, np.ones(2), rng),
        lambda rng: datasets.sales_response(10, 0.3, rng).y,
        lambda rng: datasets.decoy(10, rng).y,
    ],
)
def test_the_generator_alone_decides_what_is_drawn(draw):
    first, again, other = (draw(np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_data_say_what_they_are(rng):
    assert repr(datasets.linear_model(10, BETA, 0.5, rng)) == (
        "10 observations of a linear model with 3 coefficients\n"
        "true beta = [ 1.  -2.   0.5], noise sd = 0.5"
    )
    assert repr(datasets.sales_response(10, 0.3, rng)) == (
        "10 observations of s_curve, noise sd = 0.3"
    )
