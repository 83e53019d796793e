"""Heavy ball on quadratics and Nesterov's method: their closed forms and their bounds."""

import numpy as np
import pytest
import sympy

from dlcourse.convergence import heavy_ball, nesterov, random_problem
from dlcourse.convergence.bench_momentum import bench_best_heavy_ball, bench_heavy_ball
from dlcourse.convergence.problems import random_bowl
from dlcourse.functions import Huber
from dlcourse.losses import Quadratic
from dlcourse.optim import GradientDescent, GrowingMomentum, HeavyBall, Nesterov, minimize
from tests.library.convergence.problems import STRONG, every_problem


@pytest.fixture
def plane(rng):
    """Random pairs (relative step, momentum), inside and outside the stable region."""
    return rng.uniform(-0.5, 4.5, 400), rng.uniform(0, 1, 400)


# Heavy ball on one axis


@pytest.mark.proves("eq-heavy-ball-matrix", by="independent")
@pytest.mark.parametrize(
    ("alpha", "beta", "lam"), [(0.1, 0.9, 3.0), (0.5, 0.0, 1.0), (2.0, 0.3, 2)]
)
def test_the_matrix_moves_velocity_and_point_as_the_optimizer_does(alpha, beta, lam):
    bowl, optimizer = Quadratic(lam * np.eye(1), np.zeros(1)), HeavyBall(alpha, beta)
    x, state = np.array([1.7]), optimizer.init(np.array([1.7]))
    pair = np.array([0.0, 1.7])
    for _ in range(20):
        x, state = optimizer.step(x, bowl(x)[1], state)
        pair = heavy_ball.iteration_matrix(alpha * lam, beta) @ pair
        np.testing.assert_allclose(pair, [alpha * state.velocity[0], x[0]], rtol=1e-9, atol=1e-12)


@pytest.mark.proves("eq-heavy-ball-eigenvalues", by="symbolic")
def test_the_formula_solves_the_characteristic_equation():
    h, beta, sigma = sympy.symbols("h beta sigma")
    R = sympy.Matrix([[beta, h], [-beta, 1 - h]])
    for sign in (1, -1):
        root = (1 + beta - h + sign * sympy.sqrt((1 + beta - h) ** 2 - 4 * beta)) / 2
        polynomial = R.charpoly(sigma).as_expr().subs(sigma, root)
        assert sympy.simplify(polynomial) == 0
    assert sympy.expand(R.det()) == beta
    assert sympy.expand(R.trace()) == 1 + beta - h


@pytest.mark.proves("eq-heavy-ball-eigenvalues", "eq-heavy-ball-radius", by="independent")
def test_eigenvalues_and_radius_agree_with_numpy(plane):
    R = heavy_ball.iteration_matrix(*plane)
    theirs = np.sort_complex(np.linalg.eigvals(R))
    np.testing.assert_allclose(
        np.sort_complex(heavy_ball.eigenvalues(*plane)), theirs, rtol=1e-6, atol=1e-6
    )
    radius = heavy_ball.spectral_radius(*plane)
    np.testing.assert_allclose(radius, np.abs(theirs).max(-1), rtol=1e-6)
    h, beta = plane
    oscillates = (h > (1 - np.sqrt(beta)) ** 2) & (h < (1 + np.sqrt(beta)) ** 2)
    assert oscillates.any()
    np.testing.assert_allclose(radius[oscillates], np.sqrt(beta[oscillates]))
    assert (np.abs(heavy_ball.eigenvalues(*plane).imag).max(-1) > 0)[oscillates].all()
    assert (radius[~oscillates] > np.sqrt(beta[~oscillates])).all()


@pytest.mark.proves("eq-heavy-ball-power", by="independent")
@pytest.mark.parametrize("k", [1, 2, 3, 10, 40])
def test_the_power_from_the_eigenvalues_is_the_power(plane, k):
    ours = heavy_ball.matrix_power(*plane, k)
    theirs = np.linalg.matrix_power(heavy_ball.iteration_matrix(*plane), k)
    scale = np.abs(theirs).max(axis=(1, 2), keepdims=True)
    assert (np.abs(ours - theirs) <= 1e-9 * scale).all()


@pytest.mark.proves("eq-heavy-ball-power", by="independent")
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("beta", [0.0, 0.25, 0.81])
def test_the_power_where_the_two_eigenvalues_are_one(beta, sign):
    h, k = (1 + sign * np.sqrt(beta)) ** 2, np.array([1, 2, 7, 30])
    ours = heavy_ball.matrix_power(h, beta, k)
    R = heavy_ball.iteration_matrix(h, beta)
    theirs = np.stack([np.linalg.matrix_power(R, n) for n in k])
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-9)


@pytest.mark.proves("eq-heavy-ball-stable", "thm-hb-stability", by="independent")
def test_stable_is_where_the_radius_is_below_one(plane):
    stable = heavy_ball.is_stable(*plane)
    assert stable.any()
    assert not stable.all()
    theirs = np.abs(np.linalg.eigvals(heavy_ball.iteration_matrix(*plane))).max(-1)
    np.testing.assert_array_equal(stable, theirs < 1)


@pytest.mark.proves("eq-heavy-ball-stable", "thm-hb-stability", by="truth")
@pytest.mark.parametrize("beta", [0.0, 0.3, 0.9])
def test_runs_just_inside_the_limit_arrive_and_just_outside_leave(beta):
    bowl, limit = Quadratic(np.diag([0.5, 2.0]), np.zeros(2)), (2 + 2 * beta) / 2.0
    inside, outside = (
        minimize(bowl, np.ones(2), HeavyBall(share * limit, beta), max_steps=4_000)
        for share in (0.99, 1.01)
    )
    assert inside.value < 1e-12
    assert outside.value > 1e6


@pytest.mark.proves("eq-heavy-ball-distance", "thm-hb-stability", by="instances")
def test_distances_stay_under_their_bound_with_any_parameters(rng):
    bench = bench_heavy_ball(rng, n_problems=100)
    assert bench.is_within
    assert not bench._replace(bound=bench.bound / 3).is_within  # the start alone breaks this


@pytest.mark.proves("eq-heavy-ball-distance", by="worst case")
@pytest.mark.parametrize("beta", [0.01, 0.25, 0.9])
def test_the_bound_is_met_where_the_eigenvalues_meet_at_the_negative_root(beta):
    k, rate = np.arange(1, 60), np.sqrt(beta)
    positions = heavy_ball.position_after((1 + rate) ** 2, beta, k)
    bound = heavy_ball.distance_bound(1.0, rate, k)
    np.testing.assert_allclose(np.abs(positions), bound, rtol=1e-9)
    assert (np.sign(positions) == (-1.0) ** k).all()


@pytest.mark.proves("eq-heavy-ball-distance", by="symbolic")
def test_the_points_follow_from_the_divided_powers_of_the_eigenvalues():
    h, beta = sympy.Rational(7, 5), sympy.Rational(1, 3)
    R = sympy.Matrix([[beta, h], [-beta, 1 - h]])
    first, second = R.eigenvals()
    for k in (1, 2, 5):
        divided = [(first**j - second**j) / (first - second) for j in (k + 1, k)]
        expected = sympy.expand((R**k)[1, 1])
        assert sympy.simplify(divided[0] - beta * divided[1] - expected) == 0


# Heavy ball, optimal parameters


@pytest.mark.proves("eq-heavy-ball-optimal", "eq-heavy-ball-rate", "thm-hb-optimal", by="instances")
@pytest.mark.parametrize("kappa", [1.0, 1.5, 10.0, 1000.0])
def test_no_other_parameters_have_a_smaller_rate(kappa, rng):
    curvatures = np.geomspace(1, kappa, 50)[:, None]
    best = heavy_ball.optimal_parameters(1.0, kappa)
    rate = heavy_ball.optimal_rate(1.0, kappa)
    at_best = heavy_ball.spectral_radius(best.learning_rate * curvatures, best.beta).max()
    assert at_best == pytest.approx(rate, abs=1e-6)
    anywhere = rng.uniform(0, 4 / kappa, 2_000), rng.uniform(0, 1, 2_000)
    spread = np.exp(0.1 * rng.normal(size=(2, 2_000)))
    nearby = best.learning_rate * spread[0], np.minimum(best.beta * spread[1], 0.999999)
    for alpha, beta in (anywhere, nearby):
        rates = heavy_ball.spectral_radius(alpha * curvatures, beta).max(axis=0)
        assert (rates >= rate - 1e-9).all()


@pytest.mark.proves("eq-heavy-ball-optimal", "eq-heavy-ball-rate", "thm-hb-optimal", by="symbolic")
def test_the_optimal_parameters_put_both_ends_on_a_double_root():
    m, M = sympy.symbols("m M", positive=True)
    alpha = (2 / (sympy.sqrt(m) + sympy.sqrt(M))) ** 2
    rate = (sympy.sqrt(M) - sympy.sqrt(m)) / (sympy.sqrt(M) + sympy.sqrt(m))
    assert sympy.simplify(alpha * m - (1 - rate) ** 2) == 0
    assert sympy.simplify(alpha * M - (1 + rate) ** 2) == 0
    r, beta = sympy.symbols("r beta", positive=True)  # the ends of the steps of rate r
    low, high = (1 - r) * (1 - beta / r), (1 + r) * (1 + beta / r)
    assert sympy.expand(1 + beta - (r + beta / r) - low) == 0
    assert sympy.expand(1 + beta + (r + beta / r) - high) == 0
    growth = sympy.simplify(sympy.diff(high / low, beta) * (r - beta) ** 2 * (1 - r))
    assert sympy.simplify(growth - 2 * r * (1 + r)) == 0  # positive: the ratio grows with beta


def test_the_optimal_distances_of_random_bowls_and_a_planted_bound(rng):
    bench = bench_best_heavy_ball(rng, kappa=10, n_problems=20)
    assert bench.is_within
    assert not bench._replace(bound=bench.bound / 3).is_within


def test_the_optimal_rate_beats_the_best_step_without_momentum():
    bowl, m, M = Quadratic(np.diag([1.0, 100.0]), np.zeros(2)), 1.0, 100.0
    best = HeavyBall(*heavy_ball.optimal_parameters(m, M))
    runs = [
        minimize(bowl, np.ones(2), optimizer, max_steps=100)
        for optimizer in (best, GradientDescent(2 / (m + M)))
    ]
    assert runs[0].value < 1e-6 * runs[1].value


# Nesterov, convex


def textbook(f, x0, alpha, momentum, n_steps):
    """The points x_1, ..., x_n of the scheme, momentum(k) the factor after k gradients."""
    x, ahead, points = x0, x0, []
    for k in range(1, n_steps + 1):
        x, before = ahead - alpha * f(ahead)[1], x
        ahead = x + momentum(k) * (x - before)
        points.append(x)
    return np.stack(points)


def our_points(problem, momentum, n_steps, alpha=1.0):
    run = minimize(problem.f, problem.x0, Nesterov(alpha, momentum), max_steps=n_steps - 1)
    return nesterov.points_behind(problem.f, run.points, alpha)


@pytest.mark.proves("eq-nesterov-scheme", "eq-nesterov-growing", by="independent")
@every_problem
@pytest.mark.parametrize("momentum", [GrowingMomentum(), lambda *_: 0.7], ids=["growing", "0.7"])
def test_the_optimizer_visits_the_points_of_the_textbook(problem, momentum):
    theirs = textbook(problem.f, problem.x0, 0.8, lambda k: float(momentum(k)), 50)
    np.testing.assert_allclose(our_points(problem, momentum, 50, alpha=0.8), theirs, atol=1e-9)


@pytest.mark.proves("eq-nesterov-growing", by="truth")
def test_the_momentum_starts_at_zero_and_grows_towards_one():
    k = np.arange(1, 200)
    t = (k + 1) / 2
    np.testing.assert_allclose(GrowingMomentum()(k), (t - 1) / ((k + 2) / 2))
    assert GrowingMomentum()(0) == GrowingMomentum()(1) == 0
    assert (np.diff(GrowingMomentum()(k)) > 0).all()
    following = (k + 2) / 2
    assert (following**2 - following <= t**2).all()  # what the proof needs


@pytest.mark.proves("eq-nesterov-convex-rate", "thm-nesterov-convex", by="instances")
@every_problem
@pytest.mark.parametrize("alpha", [0.3, 1.0])
def test_the_convex_bound_and_the_energy_of_its_proof(problem, alpha):
    n = 200
    x = our_points(problem, GrowingMomentum(), n, alpha) - problem.minimizer
    k, gaps = np.arange(1, n + 1), problem.f(x + problem.minimizer)[0]
    bound = nesterov.convex_bound(problem.distance, alpha, k)
    assert (gaps <= bound).all()
    t = ((k + 1) / 2)[:, None]
    before = np.vstack([problem.x0 - problem.minimizer, x[:-1]])
    energy = t[:, 0] ** 2 * gaps + ((t * x - (t - 1) * before) ** 2).sum(-1) / (2 * alpha)
    first = problem.distance**2 / (2 * alpha)
    assert (np.diff(energy, prepend=first) <= 1e-9 * first).all()


@pytest.mark.proves("thm-nesterov-convex", by="symbolic")
def test_the_square_of_the_convex_proof_is_an_identity():
    t, alpha, k = sympy.symbols("t alpha k", positive=True)
    x, before, g = (sympy.Matrix(sympy.symbols(f"{name}1:3", real=True)) for name in "xbg")
    t_k = (k + 1) / 2  # everything is measured from the minimizer
    following = (k + 2) / 2
    y = x + (k - 1) / (k + 2) * (x - before)
    w = following * y - (following - 1) * x
    assert sympy.simplify(w - (t_k * x - (t_k - 1) * before)) == sympy.zeros(2, 1)
    new = following * (y - alpha * g) - (following - 1) * x
    assert sympy.simplify(w - alpha * following * g - new) == sympy.zeros(2, 1)
    left = t * g.dot(w) - alpha / 2 * t**2 * g.dot(g)
    moved = w - alpha * t * g
    assert sympy.simplify(left - (w.dot(w) - moved.dot(moved)) / (2 * alpha)) == 0


@pytest.mark.parametrize("make", [HeavyBall, Nesterov])
def test_a_momentum_that_changes_is_the_same_in_place(make, rng):
    optimizer, x = make(0.1, GrowingMomentum()), rng.normal(size=5)
    moved, state, moved_state = x.copy(), optimizer.init(x), optimizer.init(x)
    for _ in range(10):
        grad = rng.normal(size=5)
        x, state = optimizer.step(x, grad, state)
        optimizer.update(moved, grad, moved_state)
        np.testing.assert_allclose(moved, x, rtol=1e-12, atol=1e-14)
    expected = np.zeros(5)  # the velocity by hand
    fresh = optimizer.init(expected)
    for k, momentum in enumerate([0.0, 0.0, 0.25]):
        _, fresh = optimizer.step(np.zeros(5), np.ones(5), fresh)
        expected = momentum * expected + 1
        np.testing.assert_allclose(fresh.velocity, expected)
        assert fresh.k == k + 1


@every_problem
def test_fistas_momentum_keeps_the_same_bound(problem):
    t = [1.0]
    for _ in range(100):
        t.append((1 + np.sqrt(1 + 4 * t[-1] ** 2)) / 2)
    points = textbook(problem.f, problem.x0, 1.0, lambda k: (t[k - 1] - 1) / t[k], 100)
    bound = nesterov.convex_bound(problem.distance, 1.0, np.arange(1, 101))
    assert (problem.f(points)[0] <= bound).all()


# Nesterov, strongly convex


@pytest.mark.proves("eq-nesterov-strong-rate", "thm-nesterov-strong", by="instances")
@pytest.mark.parametrize("i", range(len(STRONG)))
def test_the_linear_bound_and_the_energy_of_its_proof(i):
    problem, n = STRONG[i], 100
    m, M, star = problem.m, problem.M, problem.minimizer
    x = our_points(problem, nesterov.constant_momentum(m, M), n)
    gaps, k = problem.f(x)[0], np.arange(1, n + 1)
    first = problem.f(problem.x0)[0]
    assert (gaps <= nesterov.linear_bound(first, problem.distance, k, m, M) + 1e-13 * first).all()
    q = np.sqrt(m / M)
    before = np.vstack([problem.x0, x[:-1]])
    w = before + (x - before) / q
    energy = gaps + m / 2 * ((w - star) ** 2).sum(-1)
    energies = np.concatenate([[first + m / 2 * problem.distance**2], energy])
    assert (energies[1:] <= (1 - q) * energies[:-1] + 1e-12 * energies[0]).all()


@pytest.mark.proves("eq-nesterov-constant", "thm-nesterov-strong", by="symbolic")
def test_the_auxiliary_point_of_the_strong_proof_moves_as_stated():
    q, m = sympy.symbols("q m", positive=True)
    x, before, g = (sympy.Matrix(sympy.symbols(f"{name}1:3", real=True)) for name in "xbg")
    M, beta = m / q**2, (1 - q) / (1 + q)
    kappa = M / m
    constant = (sympy.sqrt(kappa) - 1) / (sympy.sqrt(kappa) + 1)
    assert sympy.simplify(constant - beta) == 0
    y = x + beta * (x - before)
    w = y + (y - x) / q
    assert sympy.simplify(w - (before + (x - before) / q)) == sympy.zeros(2, 1)
    new_x = y - g / M
    new_w = x + (new_x - x) / q
    assert sympy.simplify(new_w - ((1 - q) * w + q * y - q / m * g)) == sympy.zeros(2, 1)
    mean = (1 - q) * w + q * y
    assert sympy.simplify(q * mean - (q * y + (1 - q) * (y - x))) == sympy.zeros(2, 1)


@pytest.mark.proves("eq-nesterov-strong-rate", by="worst case")
def test_a_strong_bound_with_twice_the_exponent_would_be_false():
    m, k = 0.01, np.arange(1, 40)
    f = Huber(delta=1e-4, m=m)
    run = minimize(f, np.ones(1), Nesterov(1.0, nesterov.constant_momentum(m, 1.0)), max_steps=38)
    gaps = f(nesterov.points_behind(f, run.points, 1.0))[0]
    first = f(np.ones(1))[0]
    assert (gaps <= nesterov.linear_bound(first, 1.0, k, m, 1.0)).all()
    assert (gaps > nesterov.linear_bound(first, 1.0, 2 * k, m, 1.0)).any()


def test_random_bowls_have_the_curvatures_that_they_are_asked_for(rng):
    problem = random_bowl(rng, p=6, m=0.02)
    curvatures = np.linalg.eigvalsh(problem.f.A)
    assert curvatures[0] == pytest.approx(0.02)
    assert curvatures[-1] == pytest.approx(1.0)
    assert problem.distance == pytest.approx(1.0)


@pytest.mark.parametrize("call", [heavy_ball.optimal_rate, nesterov.constant_momentum])
def test_impossible_curvatures_are_refused(call):
    with pytest.raises(ValueError, match="`m` and `M` must satisfy 0 < m <= M"):
        call(2.0, 1.0)


def test_acceleration_helps_on_narrow_bowls(rng):
    problem = random_problem(rng, p=20, m=1e-3)
    plain = minimize(problem.f, problem.x0, GradientDescent(1.0), max_steps=300).value
    fast = problem.f(our_points(problem, nesterov.constant_momentum(1e-3, 1.0), 300))[0][-1]
    assert fast < plain / 100
