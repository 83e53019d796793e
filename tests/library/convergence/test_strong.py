"""Strongly convex functions: the linear rate with its worst case; and rules that find a step."""

import numpy as np
import pytest
import sympy

from dlcourse import convergence
from dlcourse.losses import Quadratic
from dlcourse.optim import Backtracking, ExactLineSearch, GradientDescent, minimize
from tests.library.convergence.problems import STRONG, every_problem, pairs

# Strong convexity


@pytest.mark.proves("eq-gd-strongly-convex", "def-gd-strongly-convex", by="instances")
def test_strong_convexity_constant_is_the_smallest_curvature(rng):
    for problem in STRONG:
        x, y = pairs(problem, rng)
        value, grad = problem.f(x)
        lower = value + (grad * (y - x)).sum(-1) + problem.m / 2 * ((y - x) ** 2).sum(-1)
        assert (problem.f(y)[0] >= lower - 1e-10 * (1 + np.abs(lower))).all()
    bowls = [problem.f for problem in STRONG if isinstance(problem.f, Quadratic)]
    assert bowls
    for bowl in bowls:  # and along the flattest axis the inequality is an equality
        curvatures, axes = np.linalg.eigh(bowl.A)
        assert curvatures[0] == pytest.approx(0.05)
        along = bowl(bowl.center + axes[:, 0])[0]
        assert along == pytest.approx(0.05 / 2)


@pytest.mark.proves("eq-gd-dominance", "lem-gd-dominance", by="instances")
def test_gradient_bounds_the_gap(rng):
    for problem in STRONG:
        x, _ = pairs(problem, rng)
        value, grad = problem.f(x)
        assert (value <= (grad**2).sum(-1) / (2 * problem.m) * (1 + 1e-12) + 1e-12).all()


@pytest.mark.proves("eq-gd-dominance", "lem-gd-dominance", by="symbolic")
def test_the_minimum_of_the_lower_bowl():
    m, gx = sympy.symbols("m gx", positive=True)
    z = sympy.symbols("z", real=True)  # y - x along the gradient
    bowl = gx * z + m / 2 * z**2
    (best,) = sympy.solve(sympy.diff(bowl, z), z)
    assert sympy.simplify(bowl.subs(z, best) + gx**2 / (2 * m)) == 0


@pytest.mark.proves("eq-gd-linear-rate", "eq-gd-proof-contraction", "thm-gd-linear", by="instances")
def test_linear_rate_and_each_contraction_on_random_problems():
    k = np.arange(151)
    for problem in STRONG:
        run = minimize(problem.f, problem.x0, GradientDescent(1 / problem.M), max_steps=150)
        bound = convergence.linear_bound(run.values[0], k, problem.m, problem.M)
        assert (run.values <= bound * (1 + 1e-12)).all()
        one_step = run.values[:-1] - run.gradient_norms[:-1] ** 2 / (2 * problem.M)
        floor = 1e-13 * run.values[0]
        assert (run.values[1:] <= one_step + floor).all()
        assert (one_step <= (1 - problem.m / problem.M) * run.values[:-1] + floor).all()


@pytest.mark.proves("thm-gd-linear", by="instances")
def test_exact_line_search_has_the_linear_rate_too():
    for problem in STRONG:
        gaps = problem.relative_gaps(GradientDescent(ExactLineSearch(problem.f)), n_steps=60)
        bound = convergence.linear_bound(1.0, np.arange(61), problem.m, problem.M)
        assert (gaps <= bound * (1 + 1e-12)).all()
        fixed = problem.f(problem.x0 - problem.f(problem.x0)[1] / problem.M)[0]
        assert gaps[1] * problem.f(problem.x0)[0] <= fixed * (1 + 1e-9)


@pytest.mark.proves("eq-gd-steps", "thm-gd-linear", by="instances")
@pytest.mark.parametrize("target", [1e-1, 1e-3, 1e-6])
def test_the_number_of_steps_is_enough(target):
    for problem in STRONG:
        gap = problem.f(problem.x0)[0]
        k = convergence.n_steps_needed(gap, target, problem.m, problem.M)
        run = minimize(problem.f, problem.x0, GradientDescent(1 / problem.M), max_steps=k)
        assert run.value <= target * (1 + 1e-9)
        assert k <= np.ceil(problem.kappa * np.log(gap / target)) or gap <= target


@pytest.mark.proves("eq-gd-steps", by="symbolic")
def test_the_number_of_steps_solves_the_bound_for_k():
    gap, target, r, k = sympy.symbols("gap target r k", positive=True)  # r = 1 - m/M
    (solved,) = sympy.solve(sympy.Eq(r**k * gap, target), k)
    formula = sympy.log(gap / target) / sympy.log(1 / r)
    values = {
        gap: sympy.Rational(11, 2),
        target: sympy.Rational(1, 10**6),
        r: sympy.Rational(9, 10),
    }
    assert sympy.N(solved.subs(values) - formula.subs(values), 30, chop=True) == 0
    assert convergence.n_steps_needed(5.5, 1e-6, 1.0, 10.0) == sympy.ceiling(formula.subs(values))
    assert convergence.n_steps_needed(1.0, 2.0, 1.0, 10.0) == 0
    assert convergence.n_steps_needed(1.0, 1e-9, 3.0, 3.0) == 1


@pytest.mark.proves("eq-gd-linear-worst-case", by="worst case")
def test_the_flattest_bowl_attains_the_square_and_none_exceeds_it():
    m, M, k = 0.05, 1.0, np.arange(101)
    flattest = Quadratic(m * np.eye(3), np.zeros(3))
    values = minimize(flattest, np.ones(3), GradientDescent(1 / M), max_steps=100).values
    np.testing.assert_allclose(values / values[0], (1 - m / M) ** (2 * k), rtol=1e-12)
    for problem in STRONG:
        gaps = problem.relative_gaps(GradientDescent(1 / problem.M), n_steps=100)
        assert (gaps <= (1 - m / M) ** (2 * k) * (1 + 1e-9)).all()


@pytest.mark.parametrize(("m", "M"), [(0.0, 1.0), (2.0, 1.0), (-1.0, 1.0), (np.nan, 1.0)])
def test_impossible_curvatures_are_refused(m, M):
    for call in (
        lambda: convergence.linear_bound(1.0, 3, m, M),
        lambda: convergence.n_steps_needed(1.0, 0.1, m, M),
    ):
        with pytest.raises(ValueError, match="`m` and `M` must satisfy 0 < m <= M"):
            call()
    with pytest.raises(ValueError, match="`target` must be a positive number"):
        convergence.n_steps_needed(1.0, 0.0, 1.0, 2.0)


# Step rules


@pytest.mark.proves("eq-gd-backtracking-floor", "lem-gd-backtracking", by="instances")
@pytest.mark.parametrize("first_step", [0.3, 1.0, 37.0])
@pytest.mark.parametrize("shrink", [0.5, 0.9])
@every_problem
def test_backtracking_never_goes_below_its_floor(problem, rng, first_step, shrink):
    x, _ = pairs(problem, rng)
    rule = Backtracking(problem.f, first_step, shrink)
    t = rule(0, x, problem.f(x)[1])
    assert (t >= min(first_step, shrink / problem.M) * (1 - 1e-12)).all()


@pytest.mark.proves("lem-gd-backtracking", by="instances")
@every_problem
def test_backtracking_keeps_the_convex_rate(problem):
    optimizer = GradientDescent(Backtracking(problem.f, first_step=5.0))
    values = minimize(problem.f, problem.x0, optimizer, max_steps=200).values
    bound = convergence.convex_bound(problem.distance, 0.5 / problem.M, np.arange(1, 201))
    assert (values[1:] <= bound).all()


@pytest.mark.proves("eq-gd-zigzag", by="worst case")
@pytest.mark.parametrize("kappa", [3.0, 10.0, 100.0])
def test_exact_line_search_zigzags_at_the_rate_of_the_formula(kappa):
    problem = convergence.zigzag_bowl(kappa)
    run = minimize(problem.f, problem.x0, GradientDescent(ExactLineSearch(problem.f)), max_steps=30)
    rate = (kappa - 1) / (kappa + 1)
    np.testing.assert_allclose(run.values / run.values[0], rate ** (2 * np.arange(31)), rtol=1e-6)
    signs = np.sign(run.points[:, 1])
    assert (signs[1:] == -signs[:-1]).all()


@pytest.mark.proves("eq-gd-zigzag", by="symbolic")
def test_one_exact_step_from_the_zigzag_start_symbolically():
    kappa = sympy.symbols("kappa", positive=True)
    A, x = sympy.diag(1, kappa), sympy.Matrix([kappa, 1])
    g = A * x
    t = g.dot(g) / g.dot(A * g)
    rate = (kappa - 1) / (kappa + 1)
    expected = rate * sympy.Matrix([kappa, -1])
    assert sympy.simplify(x - t * g - expected) == sympy.zeros(2, 1)


def test_no_start_is_slower_for_exact_line_search_than_the_zigzag(rng):
    problem = convergence.zigzag_bowl(10.0)
    x0 = rng.normal(size=(500, 2)) * [10, 1]
    values = minimize(
        problem.f, x0, GradientDescent(ExactLineSearch(problem.f)), max_steps=1
    ).values
    assert (values[1] / values[0] <= (9 / 11) ** 2 + 1e-12).all()


@pytest.mark.parametrize(("m", "M"), [(1.0, 10.0), (0.3, 0.4)])
def test_the_best_fixed_step_for_bowls(m, M):  # exercise
    grid = np.linspace(1e-3, 2.5 / M, 20_001)
    worst = np.maximum(np.abs(1 - grid * m), np.abs(1 - grid * M))
    kappa = M / m
    assert grid[worst.argmin()] == pytest.approx(2 / (m + M), abs=2e-4 / M)
    assert worst.min() == pytest.approx((kappa - 1) / (kappa + 1), abs=1e-3)
