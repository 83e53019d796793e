"""SGD under noise: the contraction, and both bounds with the bowl that attains them."""

import numpy as np
import pytest
import sympy

from dlcourse.convergence import Problem, bench_stochastic, random_problem, stochastic
from dlcourse.convergence.bench_stochastic import expected_squares
from dlcourse.losses import Quadratic
from dlcourse.optim import SGD, minimize
from tests.library.convergence.problems import STRONG, pairs


def flat(m, distance=1.0):
    """The bowl with curvature m, from a distance; as a problem with M = 1."""
    bowl = Quadratic(m * np.eye(1), np.zeros(1))
    return Problem(bowl, np.array([distance]), np.zeros(1), m, 1.0)


def gaussian_squares(problem, schedule, sigma, n_steps, rng):
    """Mean squared distances of many runs with Gaussian noise, and their standard errors."""
    x = np.tile(problem.x0, (4_000, 1))
    p, means, errors = problem.x0.size, [], []
    for k in range(n_steps):
        noise = sigma / np.sqrt(p) * rng.normal(size=x.shape)
        x = x - schedule(k) * (problem.f(x)[1] + noise)
        squares = ((x - problem.minimizer) ** 2).sum(-1)
        means.append(squares.mean())
        errors.append(squares.std() / np.sqrt(len(squares)))
    return np.array(means), np.array(errors)


# One exact step


@pytest.mark.proves("eq-sgd-contraction", "lem-sgd-contraction", by="instances")
@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_one_step_comes_closer_by_the_factor(share, rng):
    for problem in STRONG:
        x, _ = pairs(problem, rng)
        alpha = share * stochastic.longest_step(problem.m, problem.M)
        after = np.linalg.norm(x - alpha * problem.f(x)[1] - problem.minimizer, axis=-1)
        distance = np.linalg.norm(x - problem.minimizer, axis=-1)
        bound = stochastic.contraction_bound(distance, alpha, problem.m)
        assert (after <= bound * (1 + 1e-12)).all()


@pytest.mark.proves("eq-sgd-contraction", "lem-sgd-contraction", by="symbolic")
def test_the_square_in_the_contraction_is_an_identity():
    alpha, m, M = sympy.symbols("alpha m M", positive=True)
    d, q = (sympy.Matrix(sympy.symbols(f"{name}1:3", real=True)) for name in "dq")
    moved = d - alpha * (m * d + q)  # the gradient is m d + q
    square = (1 - alpha * m) ** 2 * d.dot(d) - 2 * alpha * (1 - alpha * m) * q.dot(d)
    assert sympy.simplify(moved.dot(moved) - square - alpha**2 * q.dot(q)) == 0
    bracket = alpha * (M - m) - 2 * (1 - alpha * m)  # after |q|^2 <= (M - m) q^T d
    assert sympy.expand(bracket - (alpha * (m + M) - 2)) == 0
    assert sympy.solve(bracket, alpha) == [2 / (M + m)]


@pytest.mark.proves("lem-sgd-contraction", by="instances")
def test_the_gradient_less_its_bowl_is_co_coercive(rng):
    for problem in STRONG:
        x, y = pairs(problem, rng)
        q = problem.f(x)[1] - problem.f(y)[1] - problem.m * (x - y)
        product = (q * (x - y)).sum(-1)
        scale = ((x - y) ** 2).sum(-1)
        assert ((q**2).sum(-1) <= (problem.M - problem.m) * product + 1e-10 * scale).all()


# Noise


@pytest.mark.proves("eq-sgd-noise", by="truth")
def test_tosses_of_a_coin_satisfy_the_hypotheses_on_the_noise(rng):
    noise = rng.normal(size=(3, 4))
    signs = bench_stochastic.all_signs(3)
    assert sorted(map(tuple, signs)) == sorted(set(map(tuple, signs)))  # each of the 8 once
    sums = signs.T @ signs
    np.testing.assert_array_equal(sums, 8 * np.eye(3))  # independent, and with mean zero
    assert (signs.sum(axis=0) == 0).all()
    flat_function = Quadratic(np.zeros((4, 4)), np.zeros(4))
    still = Problem(flat_function, np.zeros(4), np.zeros(4), 0.0, 1.0)
    squares = expected_squares(still, SGD(1.0), noise)  # the squares of independent noise add up
    np.testing.assert_allclose(squares, np.cumsum((noise**2).sum(axis=1)))


def test_expectations_over_all_paths_agree_with_averages_of_random_ones(rng):
    problem, noise = random_problem(rng, p=3, m=0.1), rng.normal(size=(5, 3))
    signs = rng.choice([-1, 1], size=(20_000, 5, 1))
    x = np.tile(problem.x0, (20_000, 1))
    for k in range(5):
        x = x - problem.f(x)[1] - signs[:, k] * noise[k]
    squares = ((x - problem.minimizer) ** 2).sum(-1)
    error = squares.std() / np.sqrt(len(squares))
    assert abs(expected_squares(problem, SGD(1.0), noise)[-1] - squares.mean()) < 4 * error


@pytest.mark.proves("eq-sgd-constant", "eq-sgd-floor", "thm-sgd-constant", by="instances")
@pytest.mark.parametrize("sigma", [0.0, 0.5, 5.0])
def test_the_constant_step_bound_holds_with_gaussian_noise(sigma, rng):
    problem, k = STRONG[0], np.arange(1, 61)
    m, alpha = problem.m, stochastic.longest_step(problem.m, problem.M)
    means, errors = gaussian_squares(problem, lambda _: alpha, sigma, 60, rng)
    bound = stochastic.constant_step_bound(problem.distance, alpha, k, m, sigma)
    assert (means - 4 * errors <= bound * (1 + 1e-12)).all()
    floor = stochastic.noise_floor(alpha, m, sigma)
    assert floor <= alpha * sigma**2 / m
    far = stochastic.constant_step_bound(problem.distance, alpha, 10_000, m, sigma)
    assert far == pytest.approx(floor, abs=1e-12)


@pytest.mark.proves("eq-sgd-constant", "thm-sgd-constant", by="worst case")
@pytest.mark.parametrize("alpha", [0.3, 1.0, 1.8])
def test_the_flat_bowl_attains_the_constant_step_bound(alpha):
    m, sigma, k = 0.1, 0.7, np.arange(1, 9)
    squares = expected_squares(flat(m, 2.0), SGD(alpha), np.full((8, 1), sigma))
    bound = stochastic.constant_step_bound(2.0, alpha, k, m, sigma)
    np.testing.assert_allclose(squares, bound, rtol=1e-12)


@pytest.mark.proves("eq-sgd-constant", "eq-sgd-floor", by="symbolic")
def test_the_constant_step_bound_solves_its_recursion():
    alpha, m, sigma, R2, k = sympy.symbols("alpha m sigma R2 k", positive=True)
    q = (1 - alpha * m) ** 2
    floor = alpha * sigma**2 / (m * (2 - alpha * m))
    assert sympy.simplify(q * floor + alpha**2 * sigma**2 - floor) == 0  # a step leaves the floor
    bound = q**k * R2 + (1 - q**k) * floor
    after = q * bound + alpha**2 * sigma**2
    assert sympy.simplify(after - (q ** (k + 1) * R2 + (1 - q ** (k + 1)) * floor)) == 0


@pytest.mark.proves("eq-sgd-decaying", "eq-sgd-decaying-step", "thm-sgd-decaying", by="instances")
@pytest.mark.parametrize("sigma", [0.0, 0.5, 5.0])
@pytest.mark.parametrize("larger", [1, 5])
def test_the_decaying_step_bound_holds_with_gaussian_noise(sigma, larger, rng):
    problem, k = STRONG[0], np.arange(1, 101)
    k0 = larger * stochastic.smallest_offset(problem.m, problem.M)
    schedule = stochastic.decaying_schedule(problem.m, problem.M, k0)
    np.testing.assert_allclose(schedule(k), 1 / (problem.m * (k + k0)))
    means, errors = gaussian_squares(problem, schedule, sigma, 100, rng)
    bound = stochastic.decaying_step_bound(problem.distance, k, k0, problem.m, sigma)
    assert (means - 4 * errors <= bound * (1 + 1e-12)).all()


@pytest.mark.proves("eq-sgd-decaying", "thm-sgd-decaying", by="worst case")
def test_the_flat_bowl_attains_the_decaying_step_bound():
    m, sigma, k = 0.1, 0.7, np.arange(1, 9)
    schedule = stochastic.decaying_schedule(m, 1.0)
    squares = expected_squares(flat(m, 2.0), SGD(schedule), np.full((8, 1), sigma))
    bound = stochastic.decaying_step_bound(2.0, k, schedule.n_steps, m, sigma)
    np.testing.assert_allclose(squares, bound, rtol=1e-12)


@pytest.mark.proves("eq-sgd-decaying", "eq-sgd-decaying-step", by="symbolic")
def test_the_decaying_step_bound_telescopes():
    m, sigma, k, k0, R2 = sympy.symbols("m sigma k k0 R2", positive=True)
    K = k + k0
    alpha = 1 / (m * K)
    assert sympy.simplify(1 - alpha * m - (K - 1) / K) == 0

    def bound(k):
        return ((k0 - 1) ** 2 * R2 + k * sigma**2 / m**2) / (k + k0 - 1) ** 2

    after = (1 - alpha * m) ** 2 * bound(k) + alpha**2 * sigma**2
    assert sympy.simplify(after - bound(k + 1)) == 0
    assert sympy.simplify(bound(0) - R2) == 0


@pytest.mark.proves("thm-sgd-decaying", by="worst case")
def test_decaying_steps_forget_the_noise_and_constant_ones_do_not():
    m, sigma, k = 0.1, 1.0, np.array([1e2, 1e4, 1e6])
    decaying = stochastic.decaying_step_bound(1.0, k, 6, m, sigma)
    np.testing.assert_allclose(decaying * k * m**2 / sigma**2, 1, atol=0.1)
    constant = stochastic.constant_step_bound(1.0, 1.0, k, m, sigma)
    np.testing.assert_allclose(constant, stochastic.noise_floor(1.0, m, sigma), rtol=1e-6)


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_an_overestimated_m_makes_the_path_crawl(share):
    m = 0.1
    schedule = stochastic.decaying_schedule(m, 1.0)
    true = flat(share * m)
    run = minimize(true.f, true.x0, SGD(schedule), max_steps=20_000)
    k = np.array([200, 20_000])
    slope = np.diff(np.log(run.points[k, 0] ** 2)) / np.diff(np.log(k))
    assert slope[0] == pytest.approx(-2 * share, rel=0.02)


def test_an_offset_that_is_too_small_is_refused():
    assert stochastic.smallest_offset(1.0, 10.0) == 6
    with pytest.raises(ValueError, match="`k0` must be at least 6, got 5"):
        stochastic.decaying_schedule(1.0, 10.0, k0=5)
