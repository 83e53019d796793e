"""SGD, heavy ball and Nesterov: against PyTorch, against the other forms, against the theory."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import torch

from dlcourse.losses import Quadratic
from dlcourse.optim import SGD, GradientDescent, HeavyBall, InverseDecay, Nesterov, minimize
from dlcourse.optim.momentum import MomentumState
from tests.library.optim.paths import N_STEPS, noisy_bowl, path, torch_path

TORCH_SGD = {
    "SGD": (SGD(0.05), partial(torch.optim.SGD, lr=0.05)),
    "heavy ball": (HeavyBall(0.02, 0.9), partial(torch.optim.SGD, lr=0.02, momentum=0.9)),
    "Nesterov": (
        Nesterov(0.02, 0.9),
        partial(torch.optim.SGD, lr=0.02, momentum=0.9, nesterov=True),
    ),
}


# (b) Does a trusted library agree?


@pytest.mark.parametrize("name", TORCH_SGD)
def test_200_steps_agree_with_torch(name, rng):
    ours, make = TORCH_SGD[name]
    gradient, x0 = noisy_bowl(rng, (5, 3)), rng.normal(size=(5, 3))
    theirs = torch_path(make, x0, gradient)
    np.testing.assert_allclose(path(ours, x0, gradient), theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("optimizer", [SGD, HeavyBall, Nesterov])
def test_a_schedule_agrees_with_torch(optimizer, rng):
    schedule = InverseDecay(0.05, n_steps=20)
    gradient, x0 = noisy_bowl(rng, (4,)), rng.normal(size=4)
    extra = {SGD: {}, HeavyBall: {"momentum": 0.9}, Nesterov: {"momentum": 0.9, "nesterov": True}}
    make = partial(torch.optim.SGD, lr=0.05, **extra[optimizer])
    theirs = torch_path(make, x0, gradient, schedule=schedule)
    np.testing.assert_allclose(path(optimizer(schedule), x0, gradient), theirs, atol=1e-12)


def test_sgd_with_the_full_gradient_is_gradient_descent(rng):
    bowl, x0 = Quadratic(np.diag([1.0, 5.0]), np.ones(2)), rng.normal(size=(6, 2))
    ours, theirs = (minimize(bowl, x0, make(0.1), max_steps=50) for make in (SGD, GradientDescent))
    np.testing.assert_array_equal(ours.points, theirs.points)


# Conventions: what is the same, and what is not.


def test_heavy_ball_is_polyaks_two_point_form(rng):
    gradient, x0 = noisy_bowl(rng, (4,)), rng.normal(size=4)
    points = [x0, x0 - 0.02 * gradient(0, x0)]
    for k in range(1, N_STEPS):
        x, before = points[-1], points[-2]
        points.append(x - 0.02 * gradient(k, x) + 0.9 * (x - before))
    np.testing.assert_allclose(path(HeavyBall(0.02), x0, gradient), points, rtol=0, atol=1e-12)


def sutskever_path(schedule, beta, x, gradient):
    velocity, points = np.zeros_like(x), [x]
    for k in range(N_STEPS):
        velocity = beta * velocity - schedule(k) * gradient(k, x)
        x = x + velocity
        points.append(x)
    return np.stack(points)


@pytest.mark.erratum("E14")
def test_sutskevers_form_is_heavy_ball_until_the_rate_changes(rng):
    gradient, x0 = noisy_bowl(rng, (4,)), rng.normal(size=4)
    same = sutskever_path(lambda k: 0.02, 0.9, x0, gradient)
    np.testing.assert_allclose(path(HeavyBall(0.02), x0, gradient), same, rtol=0, atol=1e-12)
    decay = InverseDecay(0.02, n_steps=5)
    changed = sutskever_path(decay, 0.9, x0, gradient)
    ours = path(HeavyBall(decay), x0, gradient)
    np.testing.assert_allclose(ours[1], changed[1], atol=1e-15)  # the first step is the same
    assert np.abs(ours[2:20] - changed[2:20]).max() > 0.01


@pytest.mark.erratum("E14")
def test_the_exponential_average_is_heavy_ball_at_a_smaller_rate(rng):
    gradient, x0, average = noisy_bowl(rng, (4,)), rng.normal(size=4), np.zeros(4)
    x, points = x0, [x0]
    for k in range(N_STEPS):
        average = 0.9 * average + 0.1 * gradient(k, x)
        x = x - 0.2 * average
        points.append(x)
    scaled = path(HeavyBall(0.02, 0.9), x0, gradient)  # 0.02 = 0.2 (1 - 0.9)
    np.testing.assert_allclose(scaled, points, rtol=0, atol=1e-12)


@pytest.mark.erratum("E14")
def test_dampening_is_not_the_exponential_average():
    x0, slope = np.ones(1), lambda k, x: np.ones(1)
    make = partial(torch.optim.SGD, lr=0.1, momentum=0.9, dampening=0.9)
    dampened = torch_path(make, x0, slope, n_steps=1)
    average = path(HeavyBall(0.1 * (1 - 0.9), 0.9), x0, slope, n_steps=1)
    assert dampened[1] == pytest.approx(0.900)
    assert average[1] == pytest.approx(0.990)


@pytest.mark.erratum("E14")
def test_under_a_constant_slope_the_step_grows_to_alpha_over_one_minus_beta():
    steps = np.diff(path(HeavyBall(0.1, 0.9), np.zeros(1), lambda k, x: np.ones(1)), axis=0)
    assert steps[0] == pytest.approx(-0.1)
    assert steps[-1] == pytest.approx(-0.1 / (1 - 0.9), rel=1e-8)


def test_nesterov_visits_the_points_ahead_of_the_textbook_form(rng):
    gradient, x0 = noisy_bowl(rng, (4,)), rng.normal(size=4)
    z, velocity, ahead = x0, np.zeros(4), []
    for k in range(N_STEPS):
        ahead.append(z + 0.9 * velocity)
        velocity = 0.9 * velocity - 0.02 * gradient(k, ahead[-1])
        z = z + velocity
    ours = path(Nesterov(0.02, 0.9), x0, gradient)
    np.testing.assert_allclose(ours[:-1], ahead, rtol=0, atol=1e-12)


# (c) Do we recover a known truth?


@pytest.mark.parametrize("kappa", [10.0, 100.0])
def test_the_best_heavy_ball_reaches_its_rate_on_a_quadratic(kappa, rng):
    root = np.sqrt(kappa)
    alpha, beta = 4 / (1 + root) ** 2, ((root - 1) / (root + 1)) ** 2  # curvatures 1 and kappa
    bowl = Quadratic(np.diag([1.0, kappa]), np.zeros(2))
    run = minimize(bowl, np.ones(2), HeavyBall(alpha, beta), max_steps=300)
    distance = np.linalg.norm(run.points, axis=-1)
    measured = (distance[150] / distance[50]) ** (1 / 100)
    assert measured == pytest.approx((root - 1) / (root + 1), abs=0.02)
    best_gd = minimize(bowl, np.ones(2), GradientDescent(2 / (1 + kappa)), max_steps=150)
    assert distance[150] < 1e-3 * np.linalg.norm(best_gd.x)


@pytest.mark.parametrize(
    ("curvature", "is_stable"), [(0.99 * 2 * 1.9 / 0.1, True), (1.01 * 2 * 1.9 / 0.1, False)]
)
def test_heavy_ball_is_stable_up_to_two_plus_two_beta(curvature, is_stable):
    bowl = Quadratic(np.array([[curvature]]), np.zeros(1))  # limit: alpha times it < 2 (1 + beta)
    run = minimize(bowl, np.ones(1), HeavyBall(0.1, 0.9), max_steps=2_000)
    assert (run.value < 1e-6) == is_stable


# (d) What must not change the answer?


@pytest.mark.parametrize("optimizer", [HeavyBall, Nesterov])
def test_a_plane_of_rates_and_momenta_equals_separate_runs(optimizer, rng):
    gradient, x0 = noisy_bowl(rng, (3,)), rng.normal(size=3)
    alpha, beta = np.array([0.01, 0.02, 0.03]), np.array([0.0, 0.5, 0.9])
    together = path(optimizer(alpha, beta), np.tile(x0, (3, 1)), gradient)
    for i in range(3):
        alone = path(optimizer(alpha[i], beta[i]), x0, gradient)
        np.testing.assert_array_equal(together[:, i], alone)


@pytest.mark.parametrize("optimizer", [HeavyBall, Nesterov])
def test_without_momentum_both_are_sgd(optimizer, rng):
    gradient, x0 = noisy_bowl(rng, (3,)), rng.normal(size=3)
    ours = path(optimizer(0.05, beta=0.0), x0, gradient)
    np.testing.assert_allclose(ours, path(SGD(0.05), x0, gradient), rtol=0, atol=1e-14)


# (e) Does a planted bug make the test fail?


@dataclass(frozen=True)
class StaleVelocity(HeavyBall):
    def step(self, x, grad, state):
        velocity = self.beta * state.velocity + grad
        return x - self.learning_rate * state.velocity, MomentumState(velocity, state.k)


@dataclass(frozen=True)
class Average(HeavyBall):
    def step(self, x, grad, state):
        velocity = self.beta * state.velocity + (1 - self.beta) * grad
        return x - self.learning_rate * velocity, MomentumState(velocity, state.k)


@dataclass(frozen=True)
class NotAhead(Nesterov):
    def step(self, x, grad, state):
        velocity = self.beta * state.velocity + grad
        x = x - self.learning_rate * (grad + self.beta * state.velocity)
        return x, MomentumState(velocity, state.k)


@pytest.mark.parametrize(
    ("planted", "name"),
    [(StaleVelocity, "heavy ball"), (Average, "heavy ball"), (NotAhead, "Nesterov")],
)
def test_the_comparison_with_torch_catches_planted_bugs(planted, name, rng):
    _, make = TORCH_SGD[name]
    gradient, x0 = noisy_bowl(rng, (5, 3)), rng.normal(size=(5, 3))
    difference = path(planted(0.02), x0, gradient) - torch_path(make, x0, gradient)
    assert np.abs(difference).max() > 1e-3


@pytest.mark.parametrize("optimizer", [HeavyBall, Nesterov])
@pytest.mark.parametrize("beta", [1.0, -0.1, 1.5, float("nan"), np.array([0.5, 1.0])])
def test_a_beta_outside_zero_to_one_is_refused(optimizer, beta):
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\), got .*Use 0.9"):
        optimizer(0.1, beta=beta)
