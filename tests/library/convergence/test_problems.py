"""Convergence: condition numbers, classes of functions, misprints, counterexamples."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes

from dlcourse import convergence
from dlcourse.chapters.gradient_descent import race
from dlcourse.functions import AbsoluteValue, DoubleWell, Quartic
from dlcourse.losses import Quadratic
from dlcourse.optim import GradientDescent, minimize

HALF_SQUARE = Quadratic(np.eye(1), np.zeros(1))
ONE = np.array([1.0])


@pytest.mark.parametrize(("s1", "s2"), [(2.0e6, 0.1), (3.0, 3.0)])
def test_condition_number_of_two_uncorrelated_features(s1, s2):  # exercise
    columns = np.array([[1, 1, -1, -1], [1, -1, 1, -1]]).T * [s1, s2]
    y = np.arange(4.0)
    problem = convergence.least_squares_problem(columns, y)
    assert problem.kappa == pytest.approx(max(s1, s2) ** 2 / min(s1, s2) ** 2)
    in_thousands = convergence.least_squares_problem(columns / [1000, 1], y)
    by_deviation = convergence.least_squares_problem(columns / columns.std(axis=0), y)
    assert by_deviation.kappa == pytest.approx(1)
    if s1 > 1000 * s2:
        assert problem.kappa / in_thousands.kappa == pytest.approx(1e6)


def test_the_race_on_data_and_its_table():
    X, y = load_diabetes(return_X_y=True, scaled=False)
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    problem = convergence.least_squares_problem(Z, y - y.mean())
    singular = np.linalg.svd(Z, compute_uv=False)
    assert problem.kappa == pytest.approx((singular[0] / singular[-1]) ** 2)
    races = race.gaps_by_step_rule({"diabetes": problem}, n_steps=100)
    fixed = races.gaps["diabetes"]["fixed 1/M"]
    values = minimize(problem.f, problem.x0, GradientDescent(1 / problem.M), max_steps=100).values
    best = problem.f(problem.minimizer)[0]
    np.testing.assert_allclose(fixed, (values - best) / (values[0] - best))
    assert repr(races).splitlines()[0].split()[:2] == ["problem", "κ"]
    assert "470" in races._repr_html_()


# What the classes of functions cost: one bad function each, run with its method


def gap_of_subgradients(k):
    """The best of k subgradient steps on a maximum of k + 1 coordinates, from distance 1."""
    x, t, best = np.zeros(k + 1), 1 / np.sqrt(k + 1), np.inf
    for _ in range(k + 1):
        best = min(best, x.max())
        x = x - t * (np.arange(k + 1) == x.argmax())  # a subgradient of the largest coordinate
    return best + 1 / np.sqrt(k + 1)  # its minimum over the unit ball is -1 / sqrt(k + 1)


def gap_of_acceleration(k, deltas):
    """Nesterov's method on Huber functions from distance 1: the worst gap after k steps."""
    delta = deltas[:, None]
    x = y = np.ones((len(deltas), 1))
    for j in range(k):
        new_x = y - y * np.minimum(1, delta / np.maximum(np.abs(y), 1e-300))
        y = new_x + j / (j + 3) * (new_x - x)
        x = new_x
    inside = np.minimum(np.abs(x), delta)
    return (inside * (np.abs(x) - inside / 2)).max()


def slope(k, gaps):
    return np.polyfit(np.log(k), np.log(gaps), 1)[0]


@pytest.mark.erratum("E12")
def test_steps_to_a_gap_by_class_of_functions():
    k = np.array([16, 32, 64, 128, 256])
    deltas = np.geomspace(1e-5, 1, 400)
    kinks = [gap_of_subgradients(n) for n in k]
    smooth = [
        minimize(
            convergence.worst_function(1.0, 1.0, int(n), 1.0),
            ONE,
            GradientDescent(1.0),
            max_steps=n,
        ).value
        for n in k
    ]
    fast = [gap_of_acceleration(n, deltas) for n in k]
    assert slope(k, kinks) == pytest.approx(-1 / 2, abs=0.02)  # steps grow like 1 / epsilon^2
    assert slope(k, smooth) == pytest.approx(-1, abs=0.02)  # like 1 / epsilon
    assert slope(k, fast) == pytest.approx(-2, abs=0.1)  # like 1 / sqrt(epsilon)
    # "O(1/epsilon) for convex functions", without smoothness, would need kinks to keep this bound:
    assert kinks[-1] > 10 * convergence.convex_bound(1.0, 1.0, k[-1])


@pytest.mark.erratum("E12")
def test_steps_are_proportional_to_the_condition_number():
    kappas, steps = np.array([10.0, 100.0, 1000.0]), []
    for kappa in kappas:
        flat = Quadratic(np.diag([1 / kappa, 1.0]), np.zeros(2))
        run = minimize(flat, np.ones(2), GradientDescent(1.0), max_steps=20_000, tolerance=1e-8)
        steps.append(run.n_steps * np.log(10) / np.log(1e8 / kappa))
    assert np.polyfit(np.log(kappas), np.log(steps), 1)[0] == pytest.approx(1, abs=0.05)


# Misprints: the printed version fails, the correct one holds


@pytest.mark.erratum("E07")
def test_descent_inequality_holds_for_its_step_only():
    for t in (0.01, 0.1, 0.5, 1.0, 1.5, 1.9):
        after = minimize(HALF_SQUARE, ONE, GradientDescent(t), max_steps=1).value
        printed = 0.5 - 1 / 2 * 1.0**2  # f - |grad|^2 / (2 L), whatever the step
        assert (after <= printed + 1e-15) == (t == 1.0)
        assert after == pytest.approx(convergence.descent_bound(0.5, 1.0, t, L=1.0))


@pytest.mark.erratum("E08")
def test_the_gradient_must_be_lipschitz_not_the_function(rng):
    run = minimize(AbsoluteValue(), np.array([0.35]), GradientDescent(0.1), max_steps=1_000)
    x, y = rng.normal(size=(2, 100, 1))
    assert (np.abs(AbsoluteValue()(x)[0] - AbsoluteValue()(y)[0]) <= np.abs(x - y)[:, 0]).all()
    np.testing.assert_allclose(np.abs(run.points[5:, 0]), 0.05)  # Lipschitz, and it stalls
    assert (run.points[5:-1, 0] * run.points[6:, 0] < 0).all()
    square = minimize(HALF_SQUARE, np.array([0.35]), GradientDescent(0.1), max_steps=1_000)
    assert square.value < 1e-80  # not Lipschitz, and it converges
    steepness = HALF_SQUARE(np.array([1e6]))[0] - HALF_SQUARE(np.array([1e6 - 1]))[0]
    assert steepness > 1e5


@pytest.mark.erratum("E09")
def test_the_convex_bound_needs_the_step_size():
    gap = minimize(HALF_SQUARE, ONE, GradientDescent(0.01), max_steps=10).value
    assert gap == pytest.approx(0.409, abs=5e-4)
    assert gap > 1 / (2 * 10)  # as printed
    assert gap <= convergence.convex_bound(1.0, 0.01, 10) == pytest.approx(5.0)


@pytest.mark.erratum("E11")
def test_the_linear_rate_needs_the_right_step_and_the_right_names():
    bowl, x0 = Quadratic(np.diag([1.0, 10.0]), np.zeros(2)), np.ones(2)
    k = convergence.n_steps_needed(bowl(x0)[0], 1e-6, m=1.0, M=10.0)
    assert k == 148
    by_M = minimize(bowl, x0, GradientDescent(1 / 10), max_steps=k).value
    by_m = minimize(bowl, x0, GradientDescent(1 / 1), max_steps=k).value
    assert by_M == pytest.approx(1.4e-14, rel=0.05)
    assert by_m == pytest.approx(1.4e283, rel=0.05)


# Counterexamples: one dropped hypothesis each


@pytest.mark.proves("thm-gd-convex", by="worst case")
def test_a_step_beyond_two_over_L_diverges():
    values = minimize(HALF_SQUARE, ONE, GradientDescent(2.1), max_steps=60).values
    np.testing.assert_allclose(values[1:] / values[:-1], 1.1**2)


@pytest.mark.proves("thm-gd-linear", by="worst case")
def test_without_strong_convexity_the_linear_rate_is_lost():
    k = np.arange(1, 20_001)
    values = minimize(Quartic(), ONE, GradientDescent(1 / 3), max_steps=20_000).values
    shares = values[1:] / values[:-1]
    assert (np.diff(shares) > -1e-12).all()
    assert 0.9998 < shares[-1] < 1
    assert (values[1:] <= convergence.convex_bound(1.0, 1 / 3, k)).all()
    # x falls like (2 t k)^(-1/2), so f falls like 1 / (4 (2 t k)^2): polynomially
    assert slope(k[1000:], values[1001:]) == pytest.approx(-2, abs=0.01)


@pytest.mark.proves("thm-gd-convex", by="worst case")
def test_without_convexity_the_end_depends_on_the_start(rng):
    well = DoubleWell(tilt=0.1)
    run = minimize(well, rng.uniform(-2, 2, (200, 2)), GradientDescent(0.1), tolerance=1e-9)
    roots = np.sort(np.roots([1, 0, -1, 0.1]).real)
    assert run.is_converged.all()
    assert set(np.round(run.x[:, 0], 6)) == set(np.round(roots[[0, 2]], 6))
    lower, higher = (well(np.array([u, 0.0]))[0] for u in roots[[0, 2]])
    assert lower < higher
    assert {round(v, 9) for v in run.value.tolist()} == {round(lower, 9), round(higher, 9)}
