"""The convergence theorems: identities, instances, worst cases, counterexamples, misprints."""

import numpy as np
import pytest
import sympy
from sklearn.datasets import load_diabetes

from dlcourse import convergence
from dlcourse.losses import Quadratic
from dlcourse.optim import Backtracking, ExactLineSearch, GradientDescent, minimize
from dlcourse.optim.examples import AbsoluteValue, DoubleWell, Huber, Quartic

HALF_SQUARE = Quadratic(np.eye(1), np.zeros(1))
ONE = np.array([1.0])


@pytest.fixture(params=range(4))
def problem(request):
    """A random smooth convex problem with M = 1; every other one is strongly convex."""
    rng = np.random.default_rng(request.param)
    return convergence.random_problem(rng, p=5, m=0.1 * (request.param % 2))


@pytest.fixture
def strong():
    return [convergence.random_problem(np.random.default_rng(i), p=5, m=0.05) for i in range(10)]


def pairs(problem, rng, n=200):
    """Random pairs of points near and far from the minimizer."""
    scale = np.exp(rng.uniform(-2, 4, size=(2, n, 1)))
    return problem.minimizer + scale * rng.normal(size=(2, n, problem.minimizer.size))


# Smoothness and the descent lemma


@pytest.mark.proves("eq-gd-smooth", "def-gd-smooth")
def test_smoothness_constant_is_the_largest_curvature(problem, rng):
    x, y = pairs(problem, rng)
    distances = np.linalg.norm(x - y, axis=-1)
    moves = np.linalg.norm(problem.f(x)[1] - problem.f(y)[1], axis=-1)
    assert (moves <= problem.M * distances * (1 + 1e-12)).all()
    c = problem.minimizer
    hessian = np.stack(
        [(problem.f(c + h)[1] - problem.f(c - h)[1]) / 2e-5 for h in 1e-5 * np.eye(5)]
    )
    largest, vectors = np.linalg.eigh((hessian + hessian.T) / 2)
    np.testing.assert_allclose(largest[-1], problem.M, rtol=1e-6)  # both kinds are steepest there
    d = 1e-5 * vectors[:, -1]  # and along that axis the inequality is an equality
    np.testing.assert_allclose(
        np.linalg.norm(problem.f(c + d)[1] - problem.f(c)[1]), problem.M * 1e-5, rtol=1e-6
    )


@pytest.mark.proves("eq-gd-proof-integral")
def test_change_of_f_is_the_integral_of_its_slope(problem, rng):
    x, y = pairs(problem, rng, n=20)
    nodes, weights = np.polynomial.legendre.leggauss(400)
    s, weights = (nodes + 1) / 2, weights / 2
    slopes = (problem.f(x + s[:, None, None] * (y - x))[1] * (y - x)).sum(-1)
    value = problem.f(x)[0]
    np.testing.assert_allclose(weights @ slopes, problem.f(y)[0] - value, rtol=1e-4, atol=1e-9)
    excess = slopes - (problem.f(x)[1] * (y - x)).sum(-1)
    assert (excess <= problem.M * s[:, None] * ((y - x) ** 2).sum(-1) * (1 + 1e-9)).all()


@pytest.mark.proves("eq-gd-quadratic-bound", "lem-gd-quadratic-bound")
def test_quadratic_upper_bound(problem, rng):
    x, y = pairs(problem, rng)
    value, grad = problem.f(x)
    bound = value + (grad * (y - x)).sum(-1) + problem.M / 2 * ((y - x) ** 2).sum(-1)
    assert (problem.f(y)[0] <= bound * (1 + 1e-12) + 1e-12).all()


@pytest.mark.proves("eq-gd-quadratic-bound")
def test_quadratic_upper_bound_fails_with_a_smaller_constant(rng):
    x, y = rng.normal(size=(2, 50, 1))
    value, grad = HALF_SQUARE(x)
    bound = value + (grad * (y - x)).sum(-1) + 0.99 / 2 * ((y - x) ** 2).sum(-1)
    assert (HALF_SQUARE(y)[0] > bound).all()


@pytest.mark.proves("eq-gd-descent", "eq-gd-descent-best", "lem-gd-descent")
def test_descent_lemma_follows_from_the_quadratic_bound():
    t, L, gg = sympy.symbols("t L gg", positive=True)
    bound = -t * gg + L / 2 * (t**2 * gg)  # the bound at y = x - t g, less f(x)
    assert sympy.simplify(bound + t * (1 - L * t / 2) * gg) == 0
    assert sympy.solve(sympy.diff(bound, t), t) == [1 / L]
    assert sympy.simplify(bound.subs(t, 1 / L) + gg / (2 * L)) == 0
    assert sympy.solve(bound / (t * gg), t) == [2 / L]


@pytest.mark.proves("eq-gd-descent", "eq-gd-descent-best", "lem-gd-descent")
def test_descent_lemma_on_random_problems_with_every_step_size(problem, rng):
    x, _ = pairs(problem, rng)
    value, grad = problem.f(x)
    norm = np.linalg.norm(grad, axis=-1)
    for t in np.array([0.01, 0.5, 1.0, 1.5, 1.99, 2.5]) / problem.M:
        after = problem.f(x - t * grad)[0]
        bound = convergence.descent_bound(value, norm, t, problem.M)
        assert (after <= bound + 1e-12 * (1 + value)).all()
        if t <= 1 / problem.M:
            assert (after <= value - t / 2 * norm**2 + 1e-12 * (1 + value)).all()


@pytest.mark.proves("eq-gd-descent", "lem-gd-descent")
def test_descent_lemma_needs_no_convexity(rng):
    x = np.stack([rng.uniform(-1, 1, 500), rng.normal(size=500)], axis=-1)
    value, grad = DoubleWell()(x)
    t, L = 0.2, 2.0  # |3 u^2 - 1| <= 2 on [-1, 1], and the step leaves |u| <= 1
    after = DoubleWell()(x - t * grad)[0]
    bound = convergence.descent_bound(value, np.linalg.norm(grad, axis=-1), t, L)
    assert (np.abs((x - t * grad)[:, 0]) <= 1).all()
    assert (after <= bound + 1e-12).all()


@pytest.mark.proves("eq-gd-descent")
def test_bench_of_the_descent_lemma_and_a_planted_bound(rng):
    bench = convergence.bench_descent(rng)
    assert bench.is_within
    assert repr(bench) == "descent lemma: 20 problems, all within the bound: True"
    too_good = bench._replace(bound=-bench.at * (1 - bench.at / 3))
    assert not too_good.is_within


# Stationarity without convexity


@pytest.mark.proves("eq-gd-stationary-rate", "eq-gd-proof-sum", "thm-gd-stationary")
def test_gradients_become_small_on_a_non_convex_function(rng):
    well, t = DoubleWell(), 1 / 11  # |3 u^2 - 1| <= 11 on [-2, 2], where the paths stay
    run = minimize(well, rng.uniform(-2, 2, (100, 2)), GradientDescent(t), max_steps=200)
    assert (np.abs(run.points[..., 0]) <= 2).all()
    k = np.arange(1, 201)[:, None]
    smallest = np.minimum.accumulate(run.gradient_norms[:-1])
    assert (smallest <= convergence.stationary_bound(run.values[0], t, k)).all()
    falls = t / 2 * np.cumsum(run.gradient_norms[:-1] ** 2, axis=0)
    assert (falls <= run.values[0] - run.values[1:] + 1e-12).all()


@pytest.mark.proves("thm-gd-stationary")
def test_the_loop_ends_by_the_step_that_the_theorem_names(rng):
    well, t, tolerance = DoubleWell(), 1 / 11, 1e-2
    x0 = rng.uniform(-2, 2, (50, 2))
    limit = np.ceil(2 * well(x0)[0] / (t * tolerance**2)).max()
    run = minimize(well, x0, GradientDescent(t), max_steps=int(limit), tolerance=tolerance)
    assert run.is_converged.all()


# The O(1/k) theorem and its exact worst case


@pytest.mark.proves("eq-gd-convex-rate", "thm-gd-convex")
@pytest.mark.parametrize("relative_step", [0.1, 0.5, 1.0])
def test_convex_bound_on_random_problems(problem, relative_step):
    t = relative_step / problem.M
    run = minimize(problem.f, problem.x0, GradientDescent(t), max_steps=300)
    k = np.arange(1, 301)
    assert (run.values[1:] <= convergence.convex_bound(problem.distance, t, k)).all()
    needed = int(np.ceil(problem.M * problem.distance**2 / (2 * 0.1)))
    if relative_step == 1.0 and needed < 5_000:
        assert minimize(problem.f, problem.x0, GradientDescent(t), max_steps=needed).value <= 0.1


@pytest.mark.proves("eq-gd-proof-tangent", "eq-gd-proof-telescope")
def test_the_steps_of_the_convex_proof_hold_along_paths(problem):
    t, c = 0.7 / problem.M, problem.minimizer
    run = minimize(problem.f, problem.x0, GradientDescent(t), max_steps=100)
    x, grad = run.points[:-1], problem.f(run.points[:-1])[1]
    squared = t / 2 * (grad**2).sum(-1)
    tangent = (grad * (x - c)).sum(-1)
    assert (run.values[1:] <= run.values[:-1] - squared + 1e-10).all()
    assert (run.values[:-1] <= tangent + 1e-10).all()
    k = np.arange(1, 101)
    total = np.cumsum(run.values[1:])
    assert (k * run.values[1:] <= total + 1e-9).all()
    assert (total <= problem.distance**2 / (2 * t) + 1e-9).all()


@pytest.mark.proves("eq-gd-proof-square")
def test_completing_the_square_is_an_identity():
    t = sympy.symbols("t", positive=True)
    x, g = (sympy.Matrix(sympy.symbols(f"{name}1:4", real=True)) for name in "xg")
    left = g.dot(x) - t / 2 * g.dot(g)  # x is measured from the minimizer
    step = x - t * g
    right = (x.dot(x) - step.dot(step)) / (2 * t)
    assert sympy.simplify(left - right) == 0


@pytest.mark.proves("eq-gd-worst-case", "eq-gd-huber")
@pytest.mark.parametrize("k", [1, 2, 5, 20, 100])
@pytest.mark.parametrize("relative_step", [0.2, 1.0])
def test_the_huber_function_attains_the_worst_case(k, relative_step):
    distance, L = 3.0, 2.5
    t = relative_step / L
    f = convergence.worst_function(distance, t, k, L)
    x0 = distance * np.array([0.6, -0.8])
    gap = minimize(f, x0, GradientDescent(t), max_steps=k).value
    np.testing.assert_allclose(gap, convergence.convex_worst_case(distance, t, k, L), rtol=1e-12)
    for delta in f.delta * np.array([0.3, 0.9, 1.1, 3.0]):
        assert minimize(Huber(delta, L), x0, GradientDescent(t), max_steps=k).value < gap


@pytest.mark.proves("eq-gd-worst-case")
@pytest.mark.parametrize("k", [1, 2, 3, 7, 15])
@pytest.mark.parametrize("h", [0.1, 0.5, 1.0])
def test_no_smooth_convex_function_does_worse(k, h):
    """A certificate after Drori and Teboulle, for L = 1 and t = h.

    Every convex 1-smooth f satisfies, between any two points i and j of the path,
    f_i - f_j - g_j (x_i - x_j) - |g_i - g_j|^2 / 2 >= 0. Add these inequalities with weights >= 0
    that leave f_k - f_star: what remains is a quadratic form Q in (x_0 - x_star, g_0, ..., g_k),
    f_k - f_star <= Q. The bound follows if |x_0 - x_star|^2 / (4 h k + 2) - Q is never negative.
    """
    basis = np.eye(k + 2)
    distance, g = basis[0], basis[1:]
    x = distance - h * np.vstack([np.zeros(k + 2), np.cumsum(g[:-1], axis=0)])  # less x_star
    next_to = np.array([0] + [i / (2 * k + 1 - i) for i in range(1, k + 1)])  # pairs (i - 1, i)
    to_star = np.append(np.diff(next_to), 1 - next_to[-1])  # pairs (star, i)
    assert (next_to >= 0).all()
    assert (to_star >= 0).all()
    Q = np.zeros((k + 2, k + 2))
    for i in range(1, k + 1):
        jump = g[i - 1] - g[i]
        Q -= next_to[i] * (np.outer(g[i], x[i - 1] - x[i]) + np.outer(jump, jump) / 2)
    for i in range(k + 1):
        Q -= to_star[i] * (np.outer(g[i], -x[i]) + np.outer(g[i], g[i]) / 2)
    rest = np.outer(distance, distance) / (4 * h * k + 2) - (Q + Q.T) / 2
    assert np.linalg.eigvalsh(rest)[0] > -1e-12
    np.testing.assert_allclose(convergence.convex_worst_case(1.0, h, k, 1.0), 1 / (4 * h * k + 2))
    tighter = np.outer(distance, distance) / (4 * h * k + 2.1) - (Q + Q.T) / 2
    assert np.linalg.eigvalsh(tighter)[0] < -1e-6


def test_worst_case_lies_under_the_bound_by_two_to_three():
    k = np.arange(1, 1000)
    ratio = convergence.convex_bound(1.0, 1.0, k) / convergence.convex_worst_case(1.0, 1.0, k, 1.0)
    assert ratio[0] == pytest.approx(3)
    assert (np.diff(ratio) < 0).all()
    assert ratio[-1] == pytest.approx(2, abs=1e-2)


def test_benches_of_the_rates_and_planted_bounds(rng):
    convex = convergence.bench_convex(rng)
    strong = convergence.bench_strongly_convex(rng, kappa=20)
    for bench in (convex, strong):
        assert bench.is_within
        assert not bench._replace(bound=bench.bound**3).is_within
    half_as_good = (convex.values / convex.bound).max()
    assert not convex._replace(bound=half_as_good / 2 * convex.bound).is_within


# Strong convexity


@pytest.mark.proves("eq-gd-strongly-convex", "def-gd-strongly-convex")
def test_strong_convexity_constant_is_the_smallest_curvature(strong, rng):
    for problem in strong:
        x, y = pairs(problem, rng)
        value, grad = problem.f(x)
        lower = value + (grad * (y - x)).sum(-1) + problem.m / 2 * ((y - x) ** 2).sum(-1)
        assert (problem.f(y)[0] >= lower - 1e-10 * (1 + np.abs(lower))).all()
    bowls = [problem.f for problem in strong if isinstance(problem.f, Quadratic)]
    assert bowls
    for bowl in bowls:  # and along the flattest axis the inequality is an equality
        curvatures, axes = np.linalg.eigh(bowl.A)
        assert curvatures[0] == pytest.approx(0.05)
        along = bowl(bowl.center + axes[:, 0])[0]
        assert along == pytest.approx(0.05 / 2)


@pytest.mark.proves("eq-gd-dominance", "lem-gd-dominance")
def test_gradient_bounds_the_gap(strong, rng):
    for problem in strong:
        x, _ = pairs(problem, rng)
        value, grad = problem.f(x)
        assert (value <= (grad**2).sum(-1) / (2 * problem.m) * (1 + 1e-12) + 1e-12).all()


@pytest.mark.proves("eq-gd-dominance", "lem-gd-dominance")
def test_the_minimum_of_the_lower_bowl():
    m, gx = sympy.symbols("m gx", positive=True)
    z = sympy.symbols("z", real=True)  # y - x along the gradient
    bowl = gx * z + m / 2 * z**2
    (best,) = sympy.solve(sympy.diff(bowl, z), z)
    assert sympy.simplify(bowl.subs(z, best) + gx**2 / (2 * m)) == 0


@pytest.mark.proves("eq-gd-linear-rate", "eq-gd-proof-contraction", "thm-gd-linear")
def test_linear_rate_and_each_contraction_on_random_problems(strong):
    k = np.arange(151)
    for problem in strong:
        run = minimize(problem.f, problem.x0, GradientDescent(1 / problem.M), max_steps=150)
        bound = convergence.linear_bound(run.values[0], k, problem.m, problem.M)
        assert (run.values <= bound * (1 + 1e-12)).all()
        one_step = run.values[:-1] - run.gradient_norms[:-1] ** 2 / (2 * problem.M)
        floor = 1e-13 * run.values[0]
        assert (run.values[1:] <= one_step + floor).all()
        assert (one_step <= (1 - problem.m / problem.M) * run.values[:-1] + floor).all()


@pytest.mark.proves("thm-gd-linear")
def test_exact_line_search_has_the_linear_rate_too(strong):
    for problem in strong:
        gaps = problem.relative_gaps(GradientDescent(ExactLineSearch(problem.f)), n_steps=60)
        bound = convergence.linear_bound(1.0, np.arange(61), problem.m, problem.M)
        assert (gaps <= bound * (1 + 1e-12)).all()
        fixed = problem.f(problem.x0 - problem.f(problem.x0)[1] / problem.M)[0]
        assert gaps[1] * problem.f(problem.x0)[0] <= fixed * (1 + 1e-9)


@pytest.mark.proves("eq-gd-steps", "thm-gd-linear")
@pytest.mark.parametrize("target", [1e-1, 1e-3, 1e-6])
def test_the_number_of_steps_is_enough(strong, target):
    for problem in strong:
        gap = problem.f(problem.x0)[0]
        k = convergence.n_steps_needed(gap, target, problem.m, problem.M)
        run = minimize(problem.f, problem.x0, GradientDescent(1 / problem.M), max_steps=k)
        assert run.value <= target * (1 + 1e-9)
        assert k <= np.ceil(problem.kappa * np.log(gap / target)) or gap <= target


@pytest.mark.proves("eq-gd-steps")
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


@pytest.mark.proves("eq-gd-linear-worst-case")
def test_the_flattest_bowl_attains_the_square_and_none_exceeds_it(strong):
    m, M, k = 0.05, 1.0, np.arange(101)
    flattest = Quadratic(m * np.eye(3), np.zeros(3))
    values = minimize(flattest, np.ones(3), GradientDescent(1 / M), max_steps=100).values
    np.testing.assert_allclose(values / values[0], (1 - m / M) ** (2 * k), rtol=1e-12)
    for problem in strong:
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


@pytest.mark.proves("eq-gd-backtracking-floor", "lem-gd-backtracking")
@pytest.mark.parametrize("first_step", [0.3, 1.0, 37.0])
@pytest.mark.parametrize("shrink", [0.5, 0.9])
def test_backtracking_never_goes_below_its_floor(problem, rng, first_step, shrink):
    x, _ = pairs(problem, rng)
    rule = Backtracking(problem.f, first_step, shrink)
    t = rule(0, x, problem.f(x)[1])
    assert (t >= min(first_step, shrink / problem.M) * (1 - 1e-12)).all()


@pytest.mark.proves("lem-gd-backtracking")
def test_backtracking_keeps_the_convex_rate(problem):
    optimizer = GradientDescent(Backtracking(problem.f, first_step=5.0))
    values = minimize(problem.f, problem.x0, optimizer, max_steps=200).values
    bound = convergence.convex_bound(problem.distance, 0.5 / problem.M, np.arange(1, 201))
    assert (values[1:] <= bound).all()


@pytest.mark.proves("eq-gd-zigzag")
@pytest.mark.parametrize("kappa", [3.0, 10.0, 100.0])
def test_exact_line_search_zigzags_at_the_rate_of_the_formula(kappa):
    problem = convergence.zigzag_bowl(kappa)
    run = minimize(problem.f, problem.x0, GradientDescent(ExactLineSearch(problem.f)), max_steps=30)
    rate = (kappa - 1) / (kappa + 1)
    np.testing.assert_allclose(run.values / run.values[0], rate ** (2 * np.arange(31)), rtol=1e-6)
    signs = np.sign(run.points[:, 1])
    assert (signs[1:] == -signs[:-1]).all()


@pytest.mark.proves("eq-gd-zigzag")
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
    races = convergence.race({"diabetes": problem}, n_steps=100)
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


@pytest.mark.proves("thm-gd-convex")
def test_a_step_beyond_two_over_L_diverges():
    values = minimize(HALF_SQUARE, ONE, GradientDescent(2.1), max_steps=60).values
    np.testing.assert_allclose(values[1:] / values[:-1], 1.1**2)


@pytest.mark.proves("thm-gd-linear")
def test_without_strong_convexity_the_linear_rate_is_lost():
    k = np.arange(1, 20_001)
    values = minimize(Quartic(), ONE, GradientDescent(1 / 3), max_steps=20_000).values
    shares = values[1:] / values[:-1]
    assert (np.diff(shares) > -1e-12).all()
    assert 0.9998 < shares[-1] < 1
    assert (values[1:] <= convergence.convex_bound(1.0, 1 / 3, k)).all()
    # x falls like (2 t k)^(-1/2), so f falls like 1 / (4 (2 t k)^2): polynomially
    assert slope(k[1000:], values[1001:]) == pytest.approx(-2, abs=0.01)


@pytest.mark.proves("thm-gd-convex")
def test_without_convexity_the_end_depends_on_the_start(rng):
    well = DoubleWell(tilt=0.1)
    run = minimize(well, rng.uniform(-2, 2, (200, 2)), GradientDescent(0.1), tolerance=1e-9)
    roots = np.sort(np.roots([1, 0, -1, 0.1]).real)
    assert run.is_converged.all()
    assert set(np.round(run.x[:, 0], 6)) == set(np.round(roots[[0, 2]], 6))
    lower, higher = (well(np.array([u, 0.0]))[0] for u in roots[[0, 2]])
    assert lower < higher
    assert {round(v, 9) for v in run.value.tolist()} == {round(lower, 9), round(higher, 9)}
