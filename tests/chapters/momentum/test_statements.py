"""The equations of the chapter book/momentum.ipynb, and the modules of dlcourse.acceleration."""

import importlib
import inspect

import numpy as np
import pytest
import sympy as sp
import torch

from dlcourse.chapters.momentum import conventions, noise, plane, race
from dlcourse.convergence import heavy_ball
from dlcourse.convergence.problems import least_squares_problem
from dlcourse.functions import LessardBowl
from dlcourse.losses import Quadratic
from dlcourse.optim import HeavyBall, InverseDecay, Nesterov, minimize, walk


def torch_path(x0, gradients, rates=None, **settings):
    """Points of torch.optim.SGD after each of the gradients."""
    x = torch.from_numpy(x0.copy()).requires_grad_()
    sgd, points = torch.optim.SGD([x], **settings), [x0]
    for k, grad in enumerate(gradients):
        for group in sgd.param_groups:
            group["lr"] = settings["lr"] if rates is None else rates(k)
        x.grad = torch.from_numpy(grad)
        sgd.step()
        points.append(x.detach().numpy().copy())
    return np.stack(points)


@pytest.fixture
def gradients(rng):
    return rng.normal(size=(40, 3))


def our_path(optimizer, gradients):
    return walk(optimizer, np.zeros(3), lambda k, x: gradients[k], len(gradients))


# The velocity


@pytest.mark.proves("eq-heavy-ball-step", by="independent")
def test_heavy_ball_is_torch(gradients):
    theirs = torch_path(np.zeros(3), gradients, lr=0.1, momentum=0.8)
    for rule in (HeavyBall, conventions.Polyak):
        np.testing.assert_allclose(our_path(rule(0.1, 0.8), gradients), theirs, atol=1e-13)


@pytest.mark.proves("eq-heavy-ball-sum", by="independent")
def test_the_velocity_is_the_faded_sum_of_the_gradients(gradients):
    moves = -np.diff(torch_path(np.zeros(3), gradients, lr=0.1, momentum=0.8), axis=0) / 0.1
    for k in (0, 5, 39):
        faded = 0.8 ** (k - np.arange(k + 1))
        np.testing.assert_allclose(moves[k], faded @ gradients[: k + 1], atol=1e-12)


@pytest.mark.proves("eq-heavy-ball-terminal", "eq-heavy-ball-cancel", by="symbolic")
def test_the_two_series_of_gradients_that_agree_and_that_alternate():
    beta, j = sp.Rational(9, 10), sp.symbols("j", integer=True, nonnegative=True)
    assert sp.summation(beta**j, (j, 0, sp.oo)) == 1 / (1 - beta) == 10
    assert sp.summation((-beta) ** j, (j, 0, sp.oo)) == 1 / (1 + beta)


@pytest.mark.proves("eq-heavy-ball-terminal", "eq-heavy-ball-cancel", by="independent")
@pytest.mark.parametrize(("sign", "speed"), [(1, 1 / (1 - 0.8)), (-1, 1 / (1 + 0.8))])
def test_moves_settle_at_the_terminal_speed(sign, speed):
    slopes = np.ones((200, 1)) * (float(sign) ** np.arange(200))[:, None]
    moves = np.abs(np.diff(torch_path(np.zeros(1), slopes, lr=0.1, momentum=0.8), axis=0))
    assert moves[-1, 0] == pytest.approx(0.1 * speed, rel=1e-9)


@pytest.mark.proves("eq-heavy-ball-two-point", by="independent")
def test_the_velocity_can_be_eliminated(gradients):
    x = torch_path(np.zeros(3), gradients, lr=0.1, momentum=0.8)
    before = np.vstack([x[:1], x[:-2]])
    np.testing.assert_allclose(
        x[1:], x[:-1] - 0.1 * gradients + 0.8 * (x[:-1] - before), atol=1e-12
    )


# The plane


@pytest.mark.proves("eq-heavy-ball-radius", by="truth")
def test_long_runs_shrink_at_the_computed_rate():
    rates = plane.rate_plane()
    assert rates.n_as_predicted == len(rates.measured) == 56
    assert rates.largest_error < 0.005
    short = plane.rate_plane(n_steps=20)
    assert short.largest_error > 0.02  # the rate is that of the long run


@pytest.mark.proves("eq-heavy-ball-proof-ratio", by="symbolic")
def test_the_ratio_in_the_proof_of_the_best_parameters():
    r, beta = sp.symbols("r beta", positive=True)
    ratio = (1 + r) * (1 + beta / r) / ((1 - r) * (1 - beta / r))
    assert sp.simplify(ratio.subs(beta, r**2) - ((1 + r) / (1 - r)) ** 2) == 0
    slope = sp.simplify(sp.diff(ratio, beta) * (r - beta) ** 2 * (1 - r))
    assert sp.simplify(slope - 2 * r * (1 + r)) == 0  # positive


@pytest.mark.proves("eq-heavy-ball-steps", by="symbolic")
def test_the_numbers_of_steps_for_large_condition_numbers():
    s = sp.symbols("s", positive=True)  # the root of kappa
    per_step = {s**2 / 2: (s**2 - 1) / (s**2 + 1), s / 2: (s - 1) / (s + 1)}
    for steps, rate in per_step.items():
        assert sp.limit(-1 / sp.log(rate) / steps, s, sp.oo) == 1


@pytest.mark.proves("eq-heavy-ball-steps", by="truth")
def test_counted_steps_grow_like_kappa_and_like_its_root(rng):
    savings = race.steps_by_condition([20, 200], rng, target=1e-4)
    assert savings.slope("gradient descent") == pytest.approx(1.0, abs=0.1)
    assert savings.slope("heavy ball") == pytest.approx(0.5, abs=0.1)


@pytest.mark.proves("eq-heavy-ball-critical", by="worst case")
@pytest.mark.parametrize("h", [0.01, 0.2, 0.9])
def test_no_momentum_is_faster_than_the_critical_one(h):
    critical = plane.critical_momentum(h)
    others = heavy_ball.spectral_radius(h, np.linspace(0, 0.999, 5_000))
    best = np.abs(np.linalg.eigvals(heavy_ball.iteration_matrix(h, critical))).max()
    assert best == pytest.approx(1 - np.sqrt(h), abs=1e-6)
    assert (others >= best - 1e-6).all()


@pytest.mark.proves("eq-heavy-ball-memory", by="symbolic")
def test_the_memory_is_one_over_one_minus_beta_steps():
    beta = sp.symbols("beta", positive=True)
    assert sp.limit(1 - beta ** (1 / (1 - beta)), beta, 1) == 1 - sp.exp(-1)


@pytest.mark.parametrize("guess", [0.25, 4.0])
def test_a_wrong_smallest_curvature_slows_heavy_ball_down_as_stated(guess):
    m, M = 1.0, 100.0
    alpha, beta = heavy_ball.optimal_parameters(guess * m, M)
    rates = heavy_ball.spectral_radius(alpha * np.geomspace(m, M, 500), beta)
    assert (rates < 1).all()
    if guess < 1:
        assert rates.max() == pytest.approx(heavy_ball.optimal_rate(guess * m, M), rel=1e-6)
    else:
        assert rates.argmax() == 0
        assert rates[0] > heavy_ball.optimal_rate(m, M)


# Conventions


@pytest.mark.proves("eq-heavy-ball-sutskever", by="independent")
def test_sutskevers_form_is_torch_at_a_fixed_rate_only(gradients):
    rule, fall = conventions.Sutskever, InverseDecay(0.1, n_steps=5)
    same = torch_path(np.zeros(3), gradients, lr=0.1, momentum=0.8)
    np.testing.assert_allclose(our_path(rule(0.1, 0.8), gradients), same, atol=1e-13)
    other = torch_path(np.zeros(3), gradients, fall, lr=0.1, momentum=0.8)
    assert np.abs(our_path(rule(fall, 0.8), gradients) - other).max() > 0.01


@pytest.mark.proves("eq-heavy-ball-average", "eq-heavy-ball-dampening", by="independent")
@pytest.mark.parametrize("rates", [None, InverseDecay(0.1, n_steps=5)], ids=["fixed", "falling"])
def test_average_and_dampening_are_torch_with_the_right_settings(gradients, rates):
    shrunk = None if rates is None else lambda k: 0.2 * rates(k)
    average = torch_path(np.zeros(3), gradients, shrunk, lr=0.1 * (1 - 0.8), momentum=0.8)
    dampened = torch_path(np.zeros(3), gradients, rates, lr=0.1, momentum=0.8, dampening=0.8)
    ours = rates or 0.1
    np.testing.assert_allclose(
        our_path(conventions.Averaged(ours, 0.8), gradients), average, atol=1e-13
    )
    np.testing.assert_allclose(
        our_path(conventions.Dampened(ours, 0.8), gradients), dampened, atol=1e-13
    )
    assert np.abs(average - dampened).max() > 0.01


def test_the_quoted_lines_are_in_torch():
    sgd = inspect.getsource(importlib.import_module("torch.optim.sgd"))
    assert "buf.mul_(momentum).add_(grad, alpha=1 - dampening)" in sgd
    assert "buf = grad.detach().clone()" in sgd
    muon = importlib.import_module("torch.optim._muon")
    assert "buf.lerp_(grad, 1 - momentum)" in inspect.getsource(muon)


@pytest.mark.parametrize("beta", [0.5, 0.9])
def test_speeds_down_a_slope(beta):
    moves = conventions.speeds(0.1, beta).moves
    cut_at = conventions.speeds(0.1, beta).cut_at
    fast, slow = 0.1 / (1 - beta), 0.1
    terminal = {"heavy ball": fast, "Sutskever": fast, "average": slow, "dampening": slow}
    first = {"heavy ball": 0.1, "Sutskever": 0.1, "average": 0.1 * (1 - beta), "dampening": 0.1}
    for name, move in moves.items():
        assert move[0] == pytest.approx(first[name])
        assert move[cut_at - 1] == pytest.approx(terminal[name], rel=1e-5)
        assert move[-1] == pytest.approx(terminal[name] / 10, rel=1e-4)
    assert moves["heavy ball"][cut_at] == pytest.approx(fast / 10, rel=1e-5)
    assert moves["Sutskever"][cut_at] == pytest.approx(beta * fast + 0.01, rel=1e-5)


# Nesterov


@pytest.mark.proves("eq-nesterov-velocity", by="independent")
def test_the_form_with_a_velocity_is_that_of_torch(gradients):
    theirs = torch_path(np.zeros(3), gradients, lr=0.1, momentum=0.8, nesterov=True)
    np.testing.assert_allclose(our_path(Nesterov(0.1, 0.8), gradients), theirs, atol=1e-13)


@pytest.mark.proves("eq-nesterov-velocity", by="symbolic")
def test_both_forms_make_the_same_move():
    x, g, v, alpha, beta, following = sp.symbols("x g v alpha beta beta_next")
    y = x - alpha * beta * v  # the point ahead, x_k being behind by the last move
    new_v = beta * v + g
    new_x = y - alpha * g
    assert sp.expand(new_x - (x - alpha * new_v)) == 0
    ahead = new_x + following * (new_x - x)
    assert sp.expand(ahead - (y - alpha * (g + following * new_v))) == 0


@pytest.mark.proves("eq-nesterov-restart", by="truth")
def test_the_velocity_points_uphill_where_the_product_is_negative(rng):
    bowl = Quadratic(np.diag([0.01, 1.0]), np.zeros(2))
    x = np.array([3.0, 0.1])
    optimizer = HeavyBall(0.5, 0.95)
    state, seen = optimizer.init(x), set()
    for _ in range(200):
        grad = bowl(x)[1]
        _, state = optimizer.step(x, grad, state)
        product = grad @ state.velocity
        nearby = bowl(x - 1e-6 * state.velocity)[0] - bowl(x)[0]
        seen.add(product < 0)
        assert (nearby > 0) == (product < 0)
        x = x - 0.5 * state.velocity
    assert seen == {True, False}


# Data


def test_steps_are_counted_to_the_last_crossing():
    assert race.steps_to(np.array([1.0, 0.1, 0.3, 0.1]), 0.2) == 3
    assert race.steps_to(np.array([0.1]), 0.2) == 0
    with pytest.raises(ValueError, match="is not reached in 1 steps"):
        race.steps_to(np.array([1.0, 0.5]), 0.2)


def test_an_exact_regression_has_its_condition_number_and_minimizer(rng):
    problem = race.exact_regression(50.0, rng)
    again = least_squares_problem(problem.f.X, problem.f.y)
    assert again.kappa == pytest.approx(50.0)
    assert again.M == pytest.approx(1.0)
    np.testing.assert_allclose(again.minimizer, problem.minimizer, atol=1e-9)


def test_the_ridged_logit_has_its_minimizer_and_its_bounds_on_the_curvature(rng):
    X = rng.normal(size=(80, 3))
    y = (X[:, 0] + rng.logistic(size=80) > 0) * 1.0
    problem = race.ridged_logit(X, y, lam=0.05)
    assert np.linalg.norm(problem.f(problem.minimizer)[1]) < 1e-10
    for beta in rng.normal(size=(20, 3)):
        step = 1e-4 * np.eye(3)
        H = [(problem.f(beta + e)[1] - problem.f(beta - e)[1]) / 2e-4 for e in step]
        curvatures = np.linalg.eigvalsh(np.array(H))
        assert problem.m <= curvatures[0] + 1e-6
        assert curvatures[-1] <= problem.M + 1e-6


def test_every_method_of_the_race_arrives_and_momentum_sooner(rng):
    races = race.steps_by_method({"drawn": race.exact_regression(100.0, rng)}, n_steps=1_500)
    steps = {name: column[0] for name, column in races.steps.items()}
    assert max(steps["heavy ball"], steps["Nesterov"]) < steps["gradient descent"] / 2
    assert "drawn" in repr(races)


def test_the_valley_keeps_to_its_bounds(rng):
    valley = race.flat_valley(rng, n_steps=300)
    assert "below the bounds at every step: True" in repr(valley)
    assert valley.slope("Nesterov, growing") < valley.slope("gradient descent") - 0.3


# Where it breaks


@pytest.mark.proves("lem-hb-floor", "eq-heavy-ball-floor", by="symbolic")
def test_the_floor_solves_the_equation_of_the_covariance():
    alpha, beta, lam, sigma = sp.symbols("alpha beta lambda sigma", positive=True)
    variance, across, lagged = sp.symbols("variance across lagged")
    A = sp.Matrix([[1 + beta - alpha * lam, -beta], [1, 0]])  # of (x_k, x_{k-1})
    P = sp.Matrix([[variance, across], [across, lagged]])
    noise_covariance = sp.Matrix([[alpha**2 * sigma**2, 0], [0, 0]])
    solution = sp.solve(list(A * P * A.T + noise_covariance - P), [variance, across, lagged])
    floor = noise.noise_floor(alpha, beta, lam, sigma)
    assert sp.simplify(solution[variance] - floor) == 0


@pytest.mark.proves("lem-hb-floor", "eq-heavy-ball-floor", by="truth")
def test_noisy_runs_settle_on_the_floor(rng):
    runs = noise.noisy_runs([(0.2, 0.0), (0.02, 0.9), (0.5, 0.5)], rng, lam=0.5)
    np.testing.assert_allclose(runs.measured, runs.floors, rtol=0.06)
    assert noise.noise_floor(0.2, 0.0, 0.5, 1.0) == pytest.approx(0.2 / (0.5 * (2 - 0.1)))


def test_heavy_ball_runs_in_a_circle_on_three_parabolas():
    run = minimize(LessardBowl(), np.array([3.3]), HeavyBall(1 / 9, 4 / 9), max_steps=3_000)
    np.testing.assert_allclose(run.points[-3:], run.points[-6:-3], atol=1e-9)
    assert np.abs(run.points[-3:]).min() > 0.5
