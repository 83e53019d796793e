"""Smooth functions: descent, small gradients and the O(1/k) theorem with its worst case."""

import numpy as np
import pytest
import sympy

from dlcourse import convergence
from dlcourse.functions import DoubleWell, Huber
from dlcourse.losses import Quadratic
from dlcourse.optim import GradientDescent, minimize
from tests.library.convergence.problems import every_problem, pairs

HALF_SQUARE = Quadratic(np.eye(1), np.zeros(1))


# Smoothness and the descent lemma


@pytest.mark.proves("eq-gd-smooth", "def-gd-smooth", by="instances")
@every_problem
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


@pytest.mark.proves("eq-gd-proof-integral", by="independent")
@every_problem
def test_change_of_f_is_the_integral_of_its_slope(problem, rng):
    x, y = pairs(problem, rng, n=20)
    nodes, weights = np.polynomial.legendre.leggauss(400)
    s, weights = (nodes + 1) / 2, weights / 2
    slopes = (problem.f(x + s[:, None, None] * (y - x))[1] * (y - x)).sum(-1)
    value = problem.f(x)[0]
    np.testing.assert_allclose(weights @ slopes, problem.f(y)[0] - value, rtol=1e-4, atol=1e-9)
    excess = slopes - (problem.f(x)[1] * (y - x)).sum(-1)
    assert (excess <= problem.M * s[:, None] * ((y - x) ** 2).sum(-1) * (1 + 1e-9)).all()


@pytest.mark.proves("eq-gd-quadratic-bound", "lem-gd-quadratic-bound", by="instances")
@every_problem
def test_quadratic_upper_bound(problem, rng):
    x, y = pairs(problem, rng)
    value, grad = problem.f(x)
    bound = value + (grad * (y - x)).sum(-1) + problem.M / 2 * ((y - x) ** 2).sum(-1)
    assert (problem.f(y)[0] <= bound * (1 + 1e-12) + 1e-12).all()


@pytest.mark.proves("eq-gd-quadratic-bound", by="worst case")
def test_quadratic_upper_bound_fails_with_a_smaller_constant(rng):
    x, y = rng.normal(size=(2, 50, 1))
    value, grad = HALF_SQUARE(x)
    bound = value + (grad * (y - x)).sum(-1) + 0.99 / 2 * ((y - x) ** 2).sum(-1)
    assert (HALF_SQUARE(y)[0] > bound).all()


@pytest.mark.proves("eq-gd-descent", "eq-gd-descent-best", "lem-gd-descent", by="symbolic")
def test_descent_lemma_follows_from_the_quadratic_bound():
    t, L, gg = sympy.symbols("t L gg", positive=True)
    bound = -t * gg + L / 2 * (t**2 * gg)  # the bound at y = x - t g, less f(x)
    assert sympy.simplify(bound + t * (1 - L * t / 2) * gg) == 0
    assert sympy.solve(sympy.diff(bound, t), t) == [1 / L]
    assert sympy.simplify(bound.subs(t, 1 / L) + gg / (2 * L)) == 0
    assert sympy.solve(bound / (t * gg), t) == [2 / L]


@pytest.mark.proves("eq-gd-descent", "eq-gd-descent-best", "lem-gd-descent", by="instances")
@every_problem
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


@pytest.mark.proves("eq-gd-descent", "lem-gd-descent", by="instances")
def test_descent_lemma_needs_no_convexity(rng):
    x = np.stack([rng.uniform(-1, 1, 500), rng.normal(size=500)], axis=-1)
    value, grad = DoubleWell()(x)
    t, L = 0.2, 2.0  # |3 u^2 - 1| <= 2 on [-1, 1], and the step leaves |u| <= 1
    after = DoubleWell()(x - t * grad)[0]
    bound = convergence.descent_bound(value, np.linalg.norm(grad, axis=-1), t, L)
    assert (np.abs((x - t * grad)[:, 0]) <= 1).all()
    assert (after <= bound + 1e-12).all()


@pytest.mark.proves("eq-gd-descent", by="instances")
def test_bench_of_the_descent_lemma_and_a_planted_bound(rng):
    bench = convergence.bench_descent(rng, n_problems=20)
    assert bench.is_within
    assert repr(bench) == "descent lemma: 20 problems, all within the bound: True"
    too_good = bench._replace(bound=-bench.at * (1 - bench.at / 3))
    assert not too_good.is_within


# Stationarity without convexity


@pytest.mark.proves("eq-gd-stationary-rate", "eq-gd-proof-sum", "thm-gd-stationary", by="instances")
def test_gradients_become_small_on_a_non_convex_function(rng):
    well, t = DoubleWell(), 1 / 11  # |3 u^2 - 1| <= 11 on [-2, 2], where the paths stay
    run = minimize(well, rng.uniform(-2, 2, (100, 2)), GradientDescent(t), max_steps=200)
    assert (np.abs(run.points[..., 0]) <= 2).all()
    k = np.arange(1, 201)[:, None]
    smallest = np.minimum.accumulate(run.gradient_norms[:-1])
    assert (smallest <= convergence.stationary_bound(run.values[0], t, k)).all()
    falls = t / 2 * np.cumsum(run.gradient_norms[:-1] ** 2, axis=0)
    assert (falls <= run.values[0] - run.values[1:] + 1e-12).all()


@pytest.mark.proves("thm-gd-stationary", by="instances")
def test_the_loop_ends_by_the_step_that_the_theorem_names(rng):
    well, t, tolerance = DoubleWell(), 1 / 11, 1e-2
    x0 = rng.uniform(-2, 2, (50, 2))
    limit = np.ceil(2 * well(x0)[0] / (t * tolerance**2)).max()
    run = minimize(well, x0, GradientDescent(t), max_steps=int(limit), tolerance=tolerance)
    assert run.is_converged.all()


# The O(1/k) theorem and its exact worst case


@pytest.mark.proves("eq-gd-convex-rate", "thm-gd-convex", by="instances")
@pytest.mark.parametrize("relative_step", [0.1, 0.5, 1.0])
@every_problem
def test_convex_bound_on_random_problems(problem, relative_step):
    t = relative_step / problem.M
    run = minimize(problem.f, problem.x0, GradientDescent(t), max_steps=300)
    k = np.arange(1, 301)
    assert (run.values[1:] <= convergence.convex_bound(problem.distance, t, k)).all()
    needed = int(np.ceil(problem.M * problem.distance**2 / (2 * 0.1)))
    if relative_step == 1.0 and needed < 5_000:
        assert minimize(problem.f, problem.x0, GradientDescent(t), max_steps=needed).value <= 0.1


@pytest.mark.proves("eq-gd-proof-tangent", "eq-gd-proof-telescope", by="instances")
@every_problem
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


@pytest.mark.proves("eq-gd-proof-square", by="symbolic")
def test_completing_the_square_is_an_identity():
    t = sympy.symbols("t", positive=True)
    x, g = (sympy.Matrix(sympy.symbols(f"{name}1:4", real=True)) for name in "xg")
    left = g.dot(x) - t / 2 * g.dot(g)  # x is measured from the minimizer
    step = x - t * g
    right = (x.dot(x) - step.dot(step)) / (2 * t)
    assert sympy.simplify(left - right) == 0


@pytest.mark.proves("eq-gd-worst-case", "eq-gd-huber", by="worst case")
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


@pytest.mark.proves("eq-gd-worst-case", by="worst case")
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
    convex = convergence.bench_convex(rng, n_problems=20)
    strong = convergence.bench_strongly_convex(rng, kappa=20, n_problems=20)
    for bench in (convex, strong):
        assert bench.is_within
        assert not bench._replace(bound=bench.bound**3).is_within
    half_as_good = (convex.values / convex.bound).max()
    assert not convex._replace(bound=half_as_good / 2 * convex.bound).is_within
