"""Least squares: solvers against the definition, each other, and libraries; the three errors."""

import numpy as np
import pandas as pd
import pytest
import sympy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression

from dlcourse.chapters.least_squares.solvers import coefficients_by_solver
from dlcourse.gradcheck import check_gradient
from dlcourse.linear import least_squares
from dlcourse.linear.least_squares import (
    SOLVERS,
    back_substitution,
    by_cholesky,
    by_normal_equations,
    by_qr,
    covariance,
    forward_substitution,
    largest_curvature,
    minimum_norm,
    numerical_rank,
)
from dlcourse.losses import SquaredError, SumOfSquares
from dlcourse.optim import GradientDescent, minimize

every_solver = pytest.mark.parametrize("solve", SOLVERS.values(), ids=SOLVERS)
FULL_RANK = {name: solve for name, solve in SOLVERS.items() if solve is not minimum_norm}
every_full_rank_solver = pytest.mark.parametrize("solve", FULL_RANK.values(), ids=FULL_RANK)
random_problems = given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(2, 30),
    p=st.integers(1, 8),
    lost=st.integers(0, 3),
)


def problem(rng, n=40, p=4):
    return rng.normal(size=(n, p)), rng.normal(size=n)


def problem_of_rank(seed, n, p, lost):
    """A random problem whose design has rank min(n, p) - lost, at least 1."""
    rng = np.random.default_rng(seed)
    rank = max(1, min(n, p) - lost)
    X = rng.normal(size=(n, rank)) @ rng.normal(size=(rank, p))
    return rng, X, rng.normal(size=n), rank


def diabetes():
    features, y = load_diabetes(return_X_y=True)
    return np.column_stack([np.ones(len(y)), features / features.std(axis=0)]), y


# The minimizer


@every_solver
@pytest.mark.proves("eq-normal-equations", "eq-orthogonality", by="instances")
def test_the_residual_is_orthogonal_to_every_column(solve, rng):
    X, y = problem(rng)
    residual = y - X @ solve(X, y).beta
    np.testing.assert_allclose(X.T @ residual, 0, atol=1e-12)


@settings(deadline=None, derandomize=True)
@random_problems
@pytest.mark.proves(
    "thm-normal-equations", "eq-normal-equations", "eq-minimum-norm", by="instances"
)
def test_the_theorem_holds_at_every_rank(seed, n, p, lost):
    rng, X, y, rank = problem_of_rank(seed, n, p, lost)
    S, shortest = SumOfSquares(X, y), minimum_norm(X, y)
    assert shortest.rank == rank
    np.testing.assert_allclose(X.T @ X @ shortest.beta, X.T @ y, atol=1e-8 * np.abs(X.T @ y).max())
    others = shortest.beta + rng.normal(size=(20, p))
    lowest = S(shortest.beta)[0]
    assert (S(others)[0] >= lowest * (1 - 1e-12)).all()
    # Directions that X does not see lead to other minimizers, all of them longer.
    blind = (np.eye(p) - np.linalg.pinv(X) @ X) @ rng.normal(size=p)
    other = shortest.beta + blind
    np.testing.assert_allclose(X @ other, X @ shortest.beta, atol=1e-8 * np.abs(y).max())
    if rank < p:
        assert np.linalg.norm(other) > np.linalg.norm(shortest.beta)
        assert np.linalg.norm(blind) > 1e-6
    else:
        np.testing.assert_allclose(blind, 0, atol=1e-8)


@pytest.mark.proves("thm-normal-equations", by="instances")
def test_what_does_not_solve_the_normal_equations_can_be_improved(rng):
    X, y = problem(rng)
    beta = by_qr(X, y).beta + 1e-3 * rng.normal(size=4)
    value, gradient = SumOfSquares(X, y)(beta)
    assert SumOfSquares(X, y)(beta - 1e-4 * gradient)[0] < value


@pytest.mark.proves("eq-normal-equations-expansion", by="independent")
def test_the_expansion_of_the_sum_of_squares_is_an_identity(rng):
    X, y, beta, delta = (rng.integers(-9, 9, size) for size in ((7, 3), 7, 3, 3))
    left = ((y - X @ (beta + delta)) ** 2).sum()
    slope = delta @ X.T @ (y - X @ beta)
    assert left == ((y - X @ beta) ** 2).sum() - 2 * slope + ((X @ delta) ** 2).sum()  # integers


@pytest.mark.proves("eq-closed-form", by="symbolic")
@every_solver
def test_solvers_reach_the_exact_fractions_of_the_closed_form(solve):
    X = sympy.Matrix([[1, 2], [1, 5], [1, 7], [1, 8]])
    y = sympy.Matrix([1, 2, 3, 3])
    exact = (X.T * X).inv() * X.T * y
    assert list(exact) == [sympy.Rational(2, 7), sympy.Rational(5, 14)]
    found = solve(np.array(X, float), np.array(y, float).ravel()).beta
    np.testing.assert_allclose(found, [2 / 7, 5 / 14], rtol=1e-12)


@pytest.mark.proves("eq-pythagoras", by="instances")
@every_solver
def test_squares_of_fit_and_residual_add_up(solve, rng):
    X, y = problem(rng)
    fitted = X @ solve(X, y).beta
    assert y @ y == pytest.approx(fitted @ fitted + (y - fitted) @ (y - fitted), rel=1e-13)


def test_with_an_intercept_residuals_have_mean_zero():
    X, y = diabetes()
    assert abs((y - X @ by_qr(X, y).beta).mean()) < 1e-11


# The solvers


@every_solver
def test_scikit_learn_agrees(solve):
    X, y = diabetes()
    theirs = LinearRegression(fit_intercept=False).fit(X, y).coef_
    np.testing.assert_allclose(solve(X, y).beta, theirs, rtol=1e-10)


@every_solver
def test_torch_agrees(solve, rng):
    X, y = problem(rng)
    theirs = torch.linalg.lstsq(torch.tensor(X), torch.tensor(y)[:, None]).solution.ravel()
    np.testing.assert_allclose(solve(X, y).beta, theirs.numpy(), rtol=1e-10)


@every_solver
def test_the_truth_comes_back_from_data_without_noise(solve, rng):
    X, beta = rng.normal(size=(30, 5)), rng.normal(size=5)
    np.testing.assert_allclose(solve(X, X @ beta).beta, beta, rtol=1e-11)


@pytest.mark.proves("eq-cholesky", by="independent")
def test_cholesky_takes_the_steps_of_its_equation(rng):
    X, y = problem(rng)
    R = np.linalg.cholesky(X.T @ X).T
    np.testing.assert_allclose(R.T @ R, X.T @ X, rtol=1e-12)
    np.testing.assert_allclose(R.T @ (R @ by_cholesky(X, y).beta), X.T @ y, rtol=1e-10)


@pytest.mark.proves("eq-qr", "eq-qr-split", by="independent")
def test_the_triangle_of_qr_gives_the_sum_of_squares_at_every_beta(rng):
    X, y = problem(rng)
    Q, triangle = np.linalg.qr(np.column_stack([X, y]))
    R, w, tau = triangle[:4, :4], triangle[:4, 4], triangle[4, 4]
    np.testing.assert_allclose(R @ by_qr(X, y).beta, w, rtol=1e-12)
    np.testing.assert_allclose(Q.T @ Q, np.eye(5), atol=1e-13)
    np.testing.assert_allclose(np.abs(R), np.abs(np.linalg.cholesky(X.T @ X).T), rtol=1e-10)
    for beta in rng.normal(size=(5, 4)):
        split = ((R @ beta - w) ** 2).sum() + tau**2
        assert SumOfSquares(X, y)(beta)[0] == pytest.approx(split, rel=1e-12)
    assert SumOfSquares(X, y)(by_qr(X, y).beta)[0] == pytest.approx(tau**2, rel=1e-12)


@settings(deadline=None, derandomize=True)
@random_problems
@pytest.mark.proves("eq-minimum-norm", by="independent")
def test_minimum_norm_is_the_pseudo_inverse(seed, n, p, lost):
    _, X, y, _ = problem_of_rank(seed, n, p, lost)
    theirs = np.linalg.pinv(X) @ y
    np.testing.assert_allclose(minimum_norm(X, y).beta, theirs, atol=1e-8 * np.abs(theirs).max())


def test_substitution_solves_triangular_systems(rng):
    R, b = np.triu(rng.normal(size=(5, 5))) + 3 * np.eye(5), rng.normal(size=(5, 2))
    np.testing.assert_allclose(R @ back_substitution(R, b), b, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(R.T @ forward_substitution(R.T, b), b, rtol=1e-12, atol=1e-12)


@every_solver
def test_the_order_of_rows_does_not_matter(solve, rng):
    (X, y), order = problem(rng), rng.permutation(40)
    np.testing.assert_allclose(solve(X[order], y[order]).beta, solve(X, y).beta, rtol=1e-11)


@every_full_rank_solver
def test_units_of_features_and_outcome_carry_over_to_the_coefficients(solve, rng):
    (X, y), units = problem(rng), np.array([1.0, 10.0, 0.1, 5.0])
    changed = solve(X * units, 100 * y).beta
    np.testing.assert_allclose(changed, 100 * solve(X, y).beta / units, rtol=1e-11)


@every_solver
def test_the_data_are_left_as_they_were(solve, rng):
    X, y = problem(rng)
    before = X.copy(), y.copy()
    solve(X, y)
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(y, before[1])


@every_solver
def test_single_precision_stays_single(solve, rng):
    X, y = problem(rng)
    found = solve(X.astype(np.float32), y.astype(np.float32)).beta
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, by_qr(X, y).beta, rtol=1e-3)


def test_a_solver_that_loses_the_last_row_is_caught(rng):
    X, y = problem(rng)
    residual = y - X @ by_qr(X[:-1], y[:-1]).beta
    assert np.abs(X.T @ residual).max() > 1e-3


# The rank


@every_full_rank_solver
@pytest.mark.parametrize("case", ["twin column", "dummy trap", "more columns than rows"])
def test_below_full_rank_the_error_names_rank_and_cure(solve, case, rng):
    X, y = problem(rng)
    seasons = np.eye(4)[np.arange(40) % 4]
    X, rank = {
        "twin column": (np.column_stack([X, X[:, 0]]), 4),
        "dummy trap": (np.column_stack([np.ones(40), seasons]), 4),
        "more columns than rows": (rng.normal(size=(40, 50)), 40),
    }[case]
    with pytest.raises(ValueError, match=rf"rank {rank} for {X.shape[1]} columns.*minimum_norm"):
        solve(X, y)
    assert minimum_norm(X, y).rank == rank
    theirs = np.linalg.lstsq(X, y, rcond=None)[0]
    np.testing.assert_allclose(minimum_norm(X, y).beta, theirs, rtol=1e-8, atol=1e-10)


@pytest.mark.erratum("E02")
def test_the_closed_form_without_its_condition_gives_no_least_squares_solution(rng):
    X, y = problem(rng)
    X = np.column_stack([X, X.sum(axis=1) / 3])  # redundant, but not a copy bit by bit
    try:
        as_printed = np.linalg.inv(X.T @ X) @ X.T @ y
    except np.linalg.LinAlgError:
        as_printed = np.full(5, np.inf)
    shortest = minimum_norm(X, y)
    assert not np.allclose(X.T @ X @ as_printed, X.T @ y, rtol=1e-6)
    np.testing.assert_allclose(X.T @ X @ shortest.beta, X.T @ y, rtol=1e-10)
    np.testing.assert_allclose(shortest.beta, np.linalg.pinv(X) @ y, rtol=1e-10)
    assert shortest.rank == 4


def test_twins_share_their_coefficient_and_leave_the_fit_alone():
    X, y = diabetes()
    alone, twins = by_qr(X, y), minimum_norm(np.column_stack([X, X[:, 3]]), y)
    assert twins.beta[3] == pytest.approx(twins.beta[-1], rel=1e-10)
    assert twins.beta[3] + twins.beta[-1] == pytest.approx(alone.beta[3], rel=1e-10)


def test_normal_equations_refuse_what_qr_can_still_solve(rng):
    X = rng.normal(size=(50, 3))
    X[:, 2] = X[:, 0] + 1e-9 * X[:, 2]
    y = X @ np.ones(3)
    np.testing.assert_allclose(by_qr(X, y).beta, 1.0, rtol=1e-4)
    for solve in (by_normal_equations, by_cholesky):
        with pytest.raises(ValueError, match="rank 2 for 3 columns.*read from X'X.*`by_qr`"):
            solve(X, y)


def test_the_rank_is_the_one_numpy_sees(rng):
    for rank in range(1, 6):
        X = rng.normal(size=(30, rank)) @ rng.normal(size=(rank, 5))
        ours = numerical_rank(np.linalg.svd(X, compute_uv=False), X.shape)
        assert ours == np.linalg.matrix_rank(X) == rank


def test_a_design_of_zeros_has_rank_zero_and_the_shortest_solution_zero():
    found = minimum_norm(np.zeros((3, 2)), np.ones(3))
    assert found.rank == 0
    np.testing.assert_array_equal(found.beta, 0)


@every_solver
@pytest.mark.bad_input
def test_bad_input_is_refused_with_the_cure(solve, rng):
    X, y = problem(rng)
    for bad, cure in (
        ((X, y[:, None]), "ravel"),
        ((X, y[:-1]), "one entry a row"),
        ((X[:, 0], y), r"X\[:, None\]"),
        ((X.astype(str), y), "must hold floats"),
        ((X, np.where(y > 0, np.nan, y)), "must be finite"),
    ):
        with pytest.raises(ValueError, match=cure):
            solve(*bad)


@every_solver
@pytest.mark.converted
def test_the_data_may_be_integers_lists_or_tables(solve, rng):
    X, y = rng.integers(-5, 6, size=(20, 3)), rng.integers(-5, 6, size=20)
    expected = solve(X.astype(float), y.astype(float)).beta
    shuffled = rng.permutation(20)  # an index in another order must not align anything
    for as_given in (np.asarray, np.ndarray.tolist, lambda a: pd.DataFrame(a, index=shuffled)):
        outcome = pd.Series(y, index=shuffled) if as_given is not np.asarray else y
        np.testing.assert_array_equal(solve(as_given(X), outcome).beta, expected)


@every_solver
def test_units_decide_nothing(solve, rng):
    X, y = problem(rng)
    reference = by_qr(X, y).beta
    for units in 10.0 ** rng.integers(-150, 150, size=(5, X.shape[1])):
        found = solve(X * units, y)
        assert found.rank == X.shape[1]
        np.testing.assert_allclose(found.beta * units, reference, rtol=1e-9)
    spread = 10.0 ** np.linspace(-8, 8, X.shape[1])
    np.testing.assert_allclose(solve(X * spread, y).beta * spread, reference, rtol=1e-9)
    sds = np.sqrt(np.diag(covariance(X * spread, 1.0))) * spread
    np.testing.assert_allclose(sds, np.sqrt(np.diag(covariance(X, 1.0))), rtol=1e-9)


@every_full_rank_solver
def test_a_redundant_column_is_seen_in_any_units(solve, rng):
    X, y = problem(rng)
    with pytest.raises(ValueError, match="rank 4 for 5 columns"):
        solve(np.column_stack([X, 1e-12 * (X[:, 0] + X[:, 1])]), y)


@pytest.mark.converted
def test_integers_are_no_trap_for_substitution():
    np.testing.assert_array_equal(back_substitution(np.array([[2]]), np.array([1])), [0.5])
    np.testing.assert_array_equal(forward_substitution([[2]], [1]), [0.5])


def test_a_solution_prints_itself_without_rounding_noise():
    solution = least_squares.Solution(np.array([1.0, -1e-17, 0.25]), rank=2, method="QR")
    assert repr(solution) == "QR: rank 2 of 3\nbeta = [1.   0.   0.25]"


# Gradient descent as a solver


@pytest.mark.erratum("E01")
def test_solvers_of_one_estimator_agree_to_1e_8():
    compared = coefficients_by_solver(*diabetes())
    assert set(compared.distances) == {*SOLVERS, "gradient descent"}
    assert max(compared.distances.values()) < 1e-8
    # Another estimator, least squares without the largest outcomes, has another answer.
    X, y = diabetes()
    trimmed = by_qr(X[y < 250], y[y < 250]).beta
    assert np.linalg.norm(trimmed - compared.solutions["QR"].beta) > 1


def test_a_comparison_says_which_solver_is_not_finished():
    compared = coefficients_by_solver(*diabetes(), max_steps=100)
    verdicts = compared.table().columns["agrees with QR to 1e-8"]
    assert verdicts == ["True"] * 4 + ["False"]


@pytest.mark.proves("eq-gd-least-squares", by="independent")
def test_a_step_of_gradient_descent_is_the_written_sum(rng):
    (X, y), beta = problem(rng), rng.normal(size=4)
    optimizer, (_, gradient) = GradientDescent(0.3), SquaredError(X, y)(beta)
    ours, _ = optimizer.step(beta, gradient, optimizer.init(beta))
    plain = [
        beta[j] - 0.3 / 40 * sum((X[i] @ beta - y[i]) * X[i, j] for i in range(40))
        for j in range(4)
    ]
    np.testing.assert_allclose(ours, plain, rtol=1e-12)


@settings(deadline=None, derandomize=True, max_examples=50)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(2, 20),
    p=st.integers(1, 6),
    lost=st.integers(0, 3),
    share=st.floats(0.05, 1.95),
)
@pytest.mark.proves(
    "thm-gd-least-squares", "eq-gd-least-squares-rate", "eq-gd-least-squares-error", by="instances"
)
def test_gradient_descent_obeys_its_theorem_at_every_rank(seed, n, p, lost, share):
    rng, X, y, rank = problem_of_rank(seed, n, p, lost)
    H, start = X.T @ X / n, rng.normal(size=p)
    eigenvalues = np.linalg.eigvalsh(H)[::-1][:rank]
    t = share / eigenvalues[0]
    blind = (np.eye(p) - np.linalg.pinv(X) @ X) @ start
    nearest = minimum_norm(X, y).beta + blind
    errors = minimize(SquaredError(X, y), start, GradientDescent(t), max_steps=40).points - nearest
    powers = [np.linalg.matrix_power(np.eye(p) - t * H, k) @ errors[0] for k in range(41)]
    size = np.linalg.norm(errors[0]) + np.linalg.norm(nearest)
    np.testing.assert_allclose(errors, powers, atol=1e-9 * size)
    rate = np.abs(1 - t * eigenvalues[[0, -1]]).max()
    assert rate < 1
    bounds = rate ** np.arange(41) * np.linalg.norm(errors[0])
    assert (np.linalg.norm(errors, axis=1) <= bounds + 1e-9 * size).all()


@pytest.mark.proves("thm-gd-least-squares", by="independent")
def test_from_zero_gradient_descent_finds_the_shortest_solution(rng):
    X, y = rng.normal(size=(10, 25)), rng.normal(size=10)
    t = 1 / largest_curvature(X)
    found = minimize(SquaredError(X, y), np.zeros(25), GradientDescent(t), max_steps=3_000).x
    np.testing.assert_allclose(found, minimum_norm(X, y).beta, atol=1e-10)


@pytest.mark.proves("eq-usable-steps", "eq-gd-least-squares-rate", by="worst case")
@pytest.mark.erratum("E03")
@pytest.mark.parametrize(("share", "converges"), [(0.99, True), (1.01, False)])
def test_the_usable_step_of_the_sum_is_2n_times_smaller(share, converges):
    X, y = diabetes()
    n, limit = len(y), 2 / largest_curvature(X)
    start = by_qr(X, y).beta + np.linalg.eigh(X.T @ X)[1][:, -1]
    for loss, t in (
        (SquaredError(X, y), share * limit),
        (SumOfSquares(X, y), share * limit / (2 * n)),
    ):
        errors = minimize(loss, start, GradientDescent(t), max_steps=50).points - by_qr(X, y).beta
        assert (np.linalg.norm(errors[-1]) < np.linalg.norm(errors[0])) == converges
    with_the_step_of_J = GradientDescent(share * limit)
    assert minimize(SumOfSquares(X, y), start, with_the_step_of_J, max_steps=200).is_diverged


def test_doubling_the_rows_halves_the_usable_step_of_the_sum_only():
    X, y = diabetes()
    XX, yy = np.vstack([X, X]), np.concatenate([y, y])
    assert largest_curvature(XX) == pytest.approx(largest_curvature(X), rel=1e-12)
    beta = np.ones(11)
    twice, once = SumOfSquares(XX, yy)(beta)[1], SumOfSquares(X, y)(beta)[1]
    np.testing.assert_allclose(twice, 2 * once, rtol=1e-12)
    np.testing.assert_allclose(
        SquaredError(XX, yy)(beta)[1], SquaredError(X, y)(beta)[1], rtol=1e-12
    )


@pytest.mark.erratum("E05")
def test_updating_in_place_is_another_algorithm(rng):
    (X, y), start, t = problem(rng), rng.normal(size=4), 0.2
    loss = SquaredError(X, y)
    together, in_turn = start.copy(), start.copy()
    for j in range(4):
        together[j] = start[j] - t * loss(start)[1][j]
        in_turn[j] = in_turn[j] - t * loss(in_turn)[1][j]
    step, _ = GradientDescent(t).step(start, loss(start)[1], GradientDescent(t).init(start))
    np.testing.assert_allclose(step, together, rtol=1e-14)
    assert in_turn[0] == together[0]
    assert np.abs(in_turn - together).max() > 1e-3


def test_the_gradient_check_passes_on_real_data(rng):
    check_gradient(SquaredError(*diabetes()), rng.normal(size=11), rng)


# An exercise: partialling out


@pytest.mark.proves("eq-partialling-out", by="independent")
def test_residuals_on_residuals_give_the_coefficients_of_interest(rng):
    X, y = problem(rng, p=6)
    X1, X2 = X[:, :4], X[:, 4:]
    M1X2 = np.column_stack([x - X1 @ by_qr(X1, x).beta for x in X2.T])
    M1y = y - X1 @ by_qr(X1, y).beta
    np.testing.assert_allclose(by_qr(M1X2, M1y).beta, by_qr(X, y).beta[4:], rtol=1e-11)
