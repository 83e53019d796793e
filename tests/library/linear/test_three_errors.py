"""Approximation, estimation and optimization error, each by a second road."""

import numpy as np
import pytest
from scipy import integrate

from dlcourse import datasets
from dlcourse.linear import three_errors
from dlcourse.linear.three_errors import (
    BASES,
    approximation_errors,
    descend,
    distance,
    estimation_errors,
    legendre,
    measure,
    nodes,
    powers,
    project,
)


@pytest.fixture
def data(rng):
    return datasets.sales_response(400, noise_sd=0.3, rng=rng)


def mean_over_x(function):
    """The mean of a function at a uniform x, by SciPy's adaptive quadrature."""
    return integrate.quad(lambda x: function(np.array([x]))[0], -1, 1, epsabs=1e-13)[0] / 2


@pytest.mark.proves("eq-distance", by="independent")
@pytest.mark.parametrize("other", [np.zeros_like, np.sin, lambda x: x**3])
def test_the_distance_is_a_root_mean_square(other):
    x, _ = nodes()
    ours = distance(datasets.s_curve(x), other(x))
    theirs = mean_over_x(lambda x: (datasets.s_curve(x) - other(x)) ** 2)
    assert ours == pytest.approx(np.sqrt(theirs), rel=1e-10)


def test_legendre_features_are_uncorrelated_with_mean_square_one():
    x, weights = nodes()
    phi = legendre(x, 12)
    np.testing.assert_allclose((phi.T * weights) @ phi, np.eye(13), atol=1e-12)


def test_both_bases_span_the_same_polynomials():
    x = np.linspace(-1, 1, 50)
    both = np.column_stack([legendre(x, 5), powers(x, 5)])
    assert np.linalg.matrix_rank(both) == 6


@pytest.mark.proves("eq-best-coefficients", by="independent")
def test_coefficients_are_the_written_integrals():
    ours = project(datasets.s_curve, 6)
    for j in range(7):
        theirs = mean_over_x(lambda x, j=j: datasets.s_curve(x) * legendre(x, 6)[:, j])
        assert ours[j] == pytest.approx(theirs, abs=1e-12)


@pytest.mark.proves("eq-best-coefficients", by="instances")
def test_no_polynomial_is_nearer_than_the_projection(rng):
    x, _ = nodes()
    best, phi = project(datasets.s_curve, 4), legendre(x, 4)
    nearest = distance(phi @ best, datasets.s_curve(x))
    others = best + 1e-3 * rng.normal(size=(50, 5))
    assert (distance(others @ phi.T, datasets.s_curve(x)) > nearest).all()


def test_approximation_ends_where_the_truth_is_a_polynomial():
    errors = approximation_errors(lambda x: x**3 - x, range(5))
    assert (errors[:3] > 0.1).all()
    assert (errors[3:] < 1e-13).all()


@pytest.mark.proves(
    "thm-three-errors", "eq-three-errors", "eq-three-errors-pythagoras", by="instances"
)
@pytest.mark.parametrize("basis", BASES)
def test_the_approximation_error_stands_at_a_right_angle(data, basis):
    x, weights = nodes()
    curves, fit = descend(data, degree=4, n_steps=30, features=BASES[basis])
    truth, best = data.truth(x), legendre(x, 4) @ project(data.truth, 4)
    a = distance(best, truth)
    for curve in (*curves, fit):
        np.testing.assert_allclose(
            distance(curve, truth) ** 2, a**2 + distance(curve, best) ** 2, rtol=1e-11
        )
        assert abs(weights @ ((best - truth) * (curve - best))) < 1e-12
        parts = (best - truth) + (fit - best) + (curve - fit)
        np.testing.assert_allclose(curve - truth, parts, atol=1e-13)


@pytest.mark.proves("thm-three-errors", "eq-three-errors-triangle", by="instances")
def test_estimation_and_optimization_add_up_to_at_least_what_they_leave(data):
    x, _ = nodes()
    best = legendre(x, 4) @ project(data.truth, 4)
    curves, fit = descend(data, degree=4, n_steps=200, features=powers)
    total, bound = distance(curves, best), distance(fit, best) + distance(curves, fit)
    assert (total <= bound + 1e-14).all()
    assert total.min() < 0.99 * bound.min()  # strict: errors at an angle do not add up


@pytest.mark.proves("eq-estimation-rate", by="truth")
@pytest.mark.parametrize(("degree", "noise_sd"), [(2, 0.3), (5, 0.3), (3, 0.0), (5, 1.0)])
def test_the_mean_squared_estimation_error_is_p_over_n_variances(degree, noise_sd):
    n, n_draws = 800, 300
    squared = [
        estimation_errors(
            datasets.sales_response(n, noise_sd, np.random.default_rng(seed)), degree, [n]
        )[0]
        ** 2
        for seed in range(n_draws)
    ]
    a = approximation_errors(datasets.s_curve, [degree])[0]
    predicted = (degree + 1) / n * (noise_sd**2 + a**2)
    assert np.mean(squared) == pytest.approx(predicted, rel=0.2)


def test_a_distance_of_curves_is_a_distance_of_legendre_coefficients(data):
    x, _ = nodes()
    _, fit = descend(data, degree=5, n_steps=1, features=legendre)
    best = legendre(x, 5) @ project(data.truth, 5)
    assert estimation_errors(data, 5, [400])[0] == pytest.approx(distance(fit, best), rel=1e-10)


def test_the_basis_moves_the_optimization_error_only(data):
    fits = {name: descend(data, 5, 300, features) for name, features in BASES.items()}
    np.testing.assert_allclose(fits["powers"][1], fits["legendre"][1], rtol=1e-9)
    gaps = {name: distance(curves[-1], fit) for name, (curves, fit) in fits.items()}
    assert gaps["legendre"] < 1e-8 < 1e-3 < gaps["powers"]


def test_measure_collects_what_the_parts_compute(data):
    errors = measure(data, degree=4, n_steps=50)
    assert errors.parts() == (
        approximation_errors(data.truth, [4])[0],
        estimation_errors(data, 4, [400])[0],
        errors.optimization["powers"][50],
    )
    assert errors.sizes[0] == 4 * 5
    assert errors.sizes[-1] == 400
    x, _ = nodes()
    (curves, _) = descend(data, 4, 50, powers)
    assert errors.total == pytest.approx(distance(curves[-1], data.truth(x)))


def test_the_three_errors_print_as_a_table(data):
    table = measure(data, degree=4, n_steps=50).table()
    assert table.columns["here"] == ["4", "400", "50", "50"]
    assert table.columns["distance"][-1] == f"< {three_errors.FLOOR:g}"


def test_too_few_observations_for_a_curve_are_refused(data):
    with pytest.raises(
        ValueError, match="at least 8 observations a coefficient, here 408, .*got 400"
    ):
        measure(data, degree=50, n_steps=1)
