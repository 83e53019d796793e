"""What is lost with the condition number, and that squaring it loses twice the digits."""

import numpy as np
import pytest

from dlcourse.chapters.least_squares.conditioning import in_single, storage_errors
from dlcourse.datasets import design_with_singular_values
from dlcourse.linear.least_squares import (
    by_cholesky,
    by_normal_equations,
    by_qr,
    minimum_norm,
    units_of,
)


@pytest.mark.proves("eq-condition-number", "eq-squared-condition", by="truth")
@pytest.mark.parametrize("kappa", [1.0, 10.0, 1e4])
def test_the_condition_number_of_the_gram_matrix_is_the_square(rng, kappa):
    X = design_with_singular_values(20, np.geomspace(1.0, 1 / kappa, 4), rng)
    assert np.linalg.cond(X) == pytest.approx(kappa, rel=1e-8)
    assert np.linalg.cond(X.T @ X) == pytest.approx(kappa**2, rel=1e-4)


@pytest.mark.proves("eq-condition-number", by="worst case")
def test_an_error_in_the_data_grows_by_at_most_the_condition_number(rng):
    X = design_with_singular_values(20, np.geomspace(1.0, 1e-3, 4), rng)
    U, s, Vt = np.linalg.svd(X, full_matrices=False)
    growths = []
    for _ in range(200):
        y, change = X @ rng.normal(size=4), X @ rng.normal(size=4)
        moved = by_qr(X, y + change).beta - by_qr(X, y).beta
        relative_in = np.linalg.norm(change) / np.linalg.norm(y)
        relative_out = np.linalg.norm(moved) / np.linalg.norm(by_qr(X, y).beta)
        growths.append(relative_out / relative_in)
    assert max(growths) <= 1e3 * (1 + 1e-9)
    # The worst case is attained: an outcome along the first direction, an error along the last.
    y, change = U[:, 0], U[:, -1]
    moved = by_qr(X, y + change).beta - by_qr(X, y).beta
    assert np.linalg.norm(moved) / np.linalg.norm(by_qr(X, y).beta) == pytest.approx(1e3)


@pytest.mark.proves("eq-squared-condition", by="truth")
def test_storing_the_gram_matrix_loses_digits_twice_as_fast(rng):
    kappa = np.geomspace(100, 3e3, 8)
    errors = storage_errors(kappa, rng, n_draws=60)
    slopes = [np.polyfit(np.log(kappa), np.log(e), 1)[0] for e in (errors.design, errors.gram)]
    assert slopes == pytest.approx([1.0, 2.0], abs=0.2)


@pytest.mark.parametrize("solve", [by_normal_equations, by_cholesky])
def test_in_double_precision_the_same_price_is_paid(rng, solve):
    kappa, ratios = 1e6, []
    for _ in range(9):
        X = design_with_singular_values(60, np.geomspace(1.0, 1 / kappa, 6), rng)
        beta = rng.normal(size=6)
        y = X @ beta
        miss, reference, svd = (
            np.linalg.norm(f(X, y).beta - beta) for f in (solve, by_qr, minimum_norm)
        )
        assert max(reference, svd) < 1e-8 * np.linalg.norm(beta)
        ratios.append(miss / reference)
    assert np.median(ratios) > 1e3


def test_solvers_on_the_gram_matrix_refuse_before_it_turns_into_noise(rng):
    X = design_with_singular_values(60, np.geomspace(1.0, 1e-8, 6), rng)
    y = X @ np.ones(6)
    with pytest.raises(ValueError, match="read from X'X"):
        by_normal_equations(X, y)
    np.testing.assert_allclose(by_qr(X, y).beta, 1.0, rtol=1e-5)


def test_a_cubic_trend_in_calendar_years_is_beyond_the_normal_equations_in_any_units():
    years = np.arange(2_000.0, 2_025.0)
    X = np.vander(years, 4)
    for units in (1.0, units_of(X), [1e-9, 1e-6, 1e-3, 1.0]):
        assert np.linalg.cond(X / units) > 1e8
        with pytest.raises(ValueError, match="rank 3 for 4 columns"):
            by_normal_equations(X / units, years)
    np.testing.assert_allclose(X @ by_qr(X, years).beta, years, rtol=1e-8)


def test_single_precision_keeps_seven_digits(rng):
    x = rng.normal(size=1_000)
    relative = np.abs(in_single(x) / x - 1)
    assert 1e-8 < relative.max() < 6e-8
    assert in_single(x).dtype == np.float64


def test_the_errors_print_where_the_condition_is_worst(rng):
    lines = repr(storage_errors(np.array([10.0, 1e3]), rng, n_draws=3)).splitlines()
    assert lines[0] == "relative error of beta at condition number 1e+03"
    assert len(lines) == 3
