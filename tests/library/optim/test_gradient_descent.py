"""Optimizers: the algorithm against its plain form, torch, and closed forms."""

import numpy as np
import pandas as pd
import pytest
import sympy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dlcourse import gradcheck
from dlcourse.functions import (
    AbsoluteValue,
    DoubleWell,
    Huber,
    KinkedBowl,
    LessardBowl,
    LogCosh,
    Quartic,
    Slope,
    SlowSlope,
    Washboard,
    Waves,
)
from dlcourse.losses import Quadratic, SquaredError
from dlcourse.optim import (
    Backtracking,
    ExactLineSearch,
    GradientDescent,
    HeavyBall,
    minimize,
    walk,
)

EXAMPLES = {
    "absolute value": AbsoluteValue(),
    "quartic": Quartic(),
    "double well": DoubleWell(tilt=0.3),
    "huber": Huber(delta=0.7, L=2.0),
    "ridged huber": Huber(delta=0.7, L=2.0, m=0.3),
    "kinked bowl": KinkedBowl(m=0.3),
    "waves": Waves(np.array([[1.0, 2.0], [0.5, -1.0], [3.0, 0.0]]), m=0.2),
    "washboard": Washboard(slope=0.7, L=1.3),
    "lessard bowl": LessardBowl(),
    "slope": Slope(),
    "slow slope": SlowSlope(),
    "log cosh": LogCosh(np.array([[1.0, 2.0], [0.5, -1.0], [3.0, 0.0]]), np.ones(2), m=0.2),
}


def random_bowl(rng, p=4, m=0.5, M=8.0):
    """A quadratic with curvatures from m to M around a random center, and its spectrum."""
    axes = np.linalg.qr(rng.normal(size=(p, p)))[0]
    spectrum = np.linspace(m, M, p)
    root = axes * np.sqrt(spectrum)
    return Quadratic(root @ root.T, rng.normal(size=p)), axes, spectrum


def plain_descent(f, x, t, tolerance, max_steps):
    """Algorithm 1 of the lecture, word by word, with the limit on the number of steps."""
    k = 0
    while np.sqrt((f(x)[1] ** 2).sum()) >= tolerance and k < max_steps:
        x = x - t * f(x)[1]
        k += 1
    return x, k


def torch_path(loss, x0, learning_rate, n_steps):
    torch.set_num_threads(1)
    x = torch.from_numpy(x0.copy()).requires_grad_()
    sgd = torch.optim.SGD([x], lr=learning_rate)
    path = [x0]
    for _ in range(n_steps):
        sgd.zero_grad()
        loss(x).sum().backward()
        sgd.step()
        path.append(x.detach().numpy().copy())
    return np.stack(path)


# (a) Is the derivative right?


@pytest.mark.parametrize("name", EXAMPLES)
def test_gradients_of_the_examples(name, rng):
    for _ in range(20):
        x = rng.choice([-1, 1], size=2) * rng.uniform(0.1, 3, size=2)
        gradcheck.check_gradient(EXAMPLES[name], x, rng)


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_treat_runs_as_they_treat_points(name, rng):
    x = rng.normal(size=(5, 2))
    values, gradients = EXAMPLES[name](x)
    assert values.shape == (5,)
    for i in range(5):
        value, gradient = EXAMPLES[name](x[i])
        np.testing.assert_allclose(values[i], value, rtol=1e-13)
        np.testing.assert_allclose(gradients[i], gradient, rtol=1e-13)


def test_log_cosh_does_not_overflow():
    value, gradient = LogCosh(np.eye(1), np.zeros(1))(np.array([1e4]))
    np.testing.assert_allclose(value, 1e4 - np.log(2))
    np.testing.assert_allclose(gradient, 1.0)


# (b) Do a trusted library and an independent path agree?


@pytest.mark.proves("eq-gd-step", by="independent")
def test_path_equals_torch_sgd_to_rounding(rng):
    bowl, _, _ = random_bowl(rng)
    A, center = torch.from_numpy(bowl.A), torch.from_numpy(bowl.center)
    x0 = rng.normal(size=(3, 4))
    theirs = torch_path(lambda x: ((x - center) @ A * (x - center)).sum(-1) / 2, x0, 0.1, 200)
    ours = minimize(bowl, x0, GradientDescent(0.1), max_steps=200).points
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-13)


@pytest.mark.proves("eq-gd-step", by="independent")
def test_path_on_a_non_convex_function_equals_torch_sgd(rng):
    x0 = rng.uniform(-1.5, 1.5, size=(20, 2))

    def well(x):
        return (x[:, 0] ** 2 - 1) ** 2 / 4 + 0.1 * x[:, 0] + x[:, 1] ** 2 / 2

    ours = minimize(DoubleWell(tilt=0.1), x0, GradientDescent(0.1), max_steps=200).points
    np.testing.assert_allclose(ours, torch_path(well, x0, 0.1, 200), rtol=0, atol=1e-12)


@pytest.mark.proves("alg-gradient-descent", by="independent")
@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10_000),
    exponent=st.integers(-8, 2),
    max_steps=st.integers(0, 60),
    t=st.floats(0.01, 0.24),
)
def test_the_loop_is_algorithm_1(seed, exponent, max_steps, t):
    rng = np.random.default_rng(seed)
    bowl, _, _ = random_bowl(rng)
    x0, tolerance = rng.normal(size=4), 10.0**exponent
    x, k = plain_descent(bowl, x0, t, tolerance, max_steps)
    run = minimize(bowl, x0, GradientDescent(t), max_steps=max_steps, tolerance=tolerance)
    assert run.n_steps == k
    assert run.is_converged == (run.gradient_norm < tolerance)
    assert run.is_converged or k == max_steps
    np.testing.assert_allclose(run.x, x, rtol=1e-12, atol=1e-14)


@pytest.mark.proves("eq-gd-armijo", by="independent")
def test_backtracking_takes_the_first_step_of_its_sequence_that_passes(rng):
    f = EXAMPLES["log cosh"]
    x = rng.normal(size=(50, 2)) * 5
    value, grad = f(x)
    found = Backtracking(f, first_step=20.0, shrink=0.7, c=0.3)(0, x, grad)
    for i in range(50):
        t = 20.0
        while f(x[i] - t * grad[i])[0] > value[i] - 0.3 * t * grad[i] @ grad[i]:
            t *= 0.7
        np.testing.assert_allclose(found[i], t, rtol=1e-12)


@pytest.mark.proves("eq-gd-exact-step", by="independent")
def test_exact_line_search_finds_the_closed_form_of_a_quadratic(rng):
    bowl, _, _ = random_bowl(rng)
    x = rng.normal(size=(30, 4)) * 10
    grad = bowl(x)[1]
    closed = (grad**2).sum(-1) / np.einsum("ri,ij,rj->r", grad, bowl.A, grad)
    for first_step in (1e-3, 1.0, 1e3):
        found = ExactLineSearch(bowl, first_step)(0, x, grad)
        np.testing.assert_allclose(found, closed, rtol=1e-9)


@pytest.mark.proves("eq-gd-exact-step", by="symbolic")
def test_exact_step_minimizes_along_the_ray_symbolically():
    t, gg, gAg = sympy.symbols("t gg gAg", positive=True)
    along = -t * gg + t**2 * gAg / 2
    (best,) = sympy.solve(sympy.diff(along, t), t)
    assert best == gg / gAg
    assert sympy.diff(along, t, 2) == gAg
    assert sympy.simplify(along.subs(t, best) + best / 2 * gg) == 0  # exercise on Armijo's 1/2


def test_exact_line_search_is_right_off_quadratics(rng):
    f = EXAMPLES["log cosh"]
    x = rng.normal(size=(10, 2)) * 3
    grad = f(x)[1]
    t = ExactLineSearch(f)(0, x, grad)
    grid = np.linspace(0.5, 1.5, 201) * t[:, None]
    values = f(x[:, None] - grid[..., None] * grad[:, None])[0]
    assert (f(x - t[:, None] * grad)[0] <= values.min(axis=1) + 1e-12).all()
    next_grad = f(x - t[:, None] * grad)[1]
    np.testing.assert_allclose((grad * next_grad).sum(-1), 0, atol=1e-9)


# (c) Do we recover a known truth?


@pytest.mark.proves("eq-gd-modes", by="independent")
def test_path_on_a_bowl_equals_its_eigen_decomposition(rng):
    bowl, axes, spectrum = random_bowl(rng)
    x0, k = rng.normal(size=4), np.arange(101)
    for t in (0.05, 0.2, 0.26):  # the last one is beyond 2 / 8 and diverges
        points = minimize(bowl, x0, GradientDescent(t), max_steps=100).points
        start = axes.T @ (x0 - bowl.center)
        closed = (1 - t * spectrum) ** k[:, None] * start
        np.testing.assert_allclose((points - bowl.center) @ axes, closed, rtol=1e-9, atol=1e-12)


@pytest.mark.proves("eq-gd-modes", by="worst case")
@pytest.mark.parametrize(("relative_step", "converges"), [(1.99, True), (2.01, False)])
def test_the_limit_of_the_step_is_two_over_the_largest_curvature(relative_step, converges, rng):
    bowl, _, spectrum = random_bowl(rng)
    t = relative_step / spectrum[-1]
    run = minimize(bowl, rng.normal(size=4), GradientDescent(t), max_steps=3_000)
    assert (run.value < 1e-12) == converges
    assert converges or run.value > run.values[0]


@pytest.mark.parametrize("rule", [Backtracking, ExactLineSearch])
def test_line_searches_reach_the_minimizer_of_a_regression(rule, rng):
    X, y = rng.normal(size=(60, 5)), rng.normal(size=60)
    loss = SquaredError(X, y)
    run = minimize(loss, np.zeros(5), GradientDescent(rule(loss)), tolerance=1e-10)
    assert run.is_converged
    np.testing.assert_allclose(run.x, np.linalg.lstsq(X, y, rcond=None)[0], atol=1e-9)


@pytest.mark.proves("eq-gd-stationary", by="truth")
def test_points_of_rest_are_the_stationary_points_and_only_those(rng):
    well = DoubleWell()
    u = sympy.symbols("u", real=True)
    roots = sympy.solve(sympy.diff((u**2 - 1) ** 2 / 4, u), u)
    for root in roots:  # two minima and, at zero, a saddle
        x0 = np.array([float(root), 0.0])
        np.testing.assert_array_equal(minimize(well, x0, GradientDescent(0.1), max_steps=5).x, x0)
    ends = minimize(well, rng.uniform(-2, 2, (100, 2)), GradientDescent(0.1), tolerance=1e-9).x
    distance = np.abs(ends[:, :1] - np.array([float(root) for root in roots])).min(axis=1)
    assert distance.max() < 1e-8
    moved = minimize(well, np.array([0.5, 0.0]), GradientDescent(0.1), max_steps=1).x
    assert moved[0] != 0.5


def test_a_saddle_catches_only_a_start_on_its_ridge():
    starts = np.array([[0.0, 1.5], [1e-6, 1.5], [-1e-6, 1.5]])
    ends = minimize(DoubleWell(), starts, GradientDescent(0.1), max_steps=1_000).x
    np.testing.assert_allclose(ends, [[0, 0], [1, 0], [-1, 0]], atol=1e-8)


# (d) What must not change the answer?


def test_step_is_pure_and_runs_do_not_mix(rng):
    bowl, _, _ = random_bowl(rng)
    optimizer, x0 = GradientDescent(0.1), rng.normal(size=(7, 4))
    kept = x0.copy()
    together = minimize(bowl, x0, optimizer, max_steps=300)
    np.testing.assert_array_equal(x0, kept)
    assert together.value.max() < 1e-10
    for i in range(7):
        alone = minimize(bowl, x0[i], optimizer, max_steps=300)
        np.testing.assert_allclose(together.points[:, i], alone.points, rtol=0, atol=1e-13)


@pytest.mark.parametrize("rule", [Backtracking, ExactLineSearch])
def test_runs_do_not_mix_in_line_searches(rule, rng):
    f = EXAMPLES["log cosh"]
    x0 = rng.normal(size=(6, 2)) * 4
    together = minimize(f, x0, GradientDescent(rule(f)), max_steps=30)
    for i in range(6):
        alone = minimize(f, x0[i], GradientDescent(rule(f)), max_steps=30)
        np.testing.assert_allclose(together.points[:, i], alone.points, rtol=0, atol=1e-8)


def test_each_run_stops_on_its_own_and_then_rests(rng):
    bowl, _, _ = random_bowl(rng)
    x0 = bowl.center + np.array([[1e-9], [1.0], [100.0]]) * rng.normal(size=4)
    run = minimize(bowl, x0, GradientDescent(0.1), tolerance=1e-6)
    assert run.n_steps[0] == 0
    assert run.n_steps[0] < run.n_steps[1] < run.n_steps[2]
    for i, n_steps in enumerate(run.n_steps):
        assert (run.gradient_norms[:n_steps, i] >= 1e-6).all()
        assert (run.points[n_steps:, i] == run.x[i]).all()


def test_one_step_size_a_run_equals_separate_runs(rng):
    bowl, _, _ = random_bowl(rng)
    sizes, x0 = np.array([0.01, 0.1, 0.2]), rng.normal(size=4)
    together = minimize(bowl, np.tile(x0, (3, 1)), GradientDescent(sizes), max_steps=50)
    for i, t in enumerate(sizes):
        alone = minimize(bowl, x0, GradientDescent(float(t)), max_steps=50)
        np.testing.assert_allclose(together.points[:, i], alone.points, atol=1e-12)


@pytest.mark.parametrize("factor", [0.01, 100.0])
def test_scaling_the_loss_and_the_step_against_it_changes_nothing(factor, rng):
    bowl, _, _ = random_bowl(rng)
    x0 = rng.normal(size=4)

    def scaled(x):
        value, grad = bowl(x)
        return factor * value + 7.0, factor * grad

    plain = minimize(bowl, x0, GradientDescent(0.1), max_steps=50).points
    other = minimize(scaled, x0, GradientDescent(0.1 / factor), max_steps=50).points
    np.testing.assert_allclose(other, plain, rtol=0, atol=1e-12)


def test_a_rotation_rotates_the_path(rng):
    bowl, axes, spectrum = random_bowl(rng)
    turn, x0 = np.linalg.qr(rng.normal(size=(4, 4)))[0], rng.normal(size=4)
    root = turn @ axes * np.sqrt(spectrum)
    turned = Quadratic(root @ root.T, turn @ bowl.center)
    path = minimize(bowl, x0, GradientDescent(0.1), max_steps=50).points
    other = minimize(turned, turn @ x0, GradientDescent(0.1), max_steps=50).points
    np.testing.assert_allclose(other, path @ turn.T, rtol=0, atol=1e-12)


def test_units_and_step_sizes_by_coordinate_are_one_choice(rng):  # exercise on units
    bowl, _, _ = random_bowl(rng)
    scale, z0 = np.array([1.0, 0.5, 2.0, 0.3]), rng.normal(size=4)

    def in_other_units(z):
        value, grad = bowl(scale * z)
        return value, scale * grad

    path = minimize(in_other_units, z0, GradientDescent(0.05), max_steps=30).points * scale
    x = scale * z0
    for point in path:
        np.testing.assert_allclose(point, x, atol=1e-12)
        x = x - 0.05 * scale**2 * bowl(x)[1]


def test_a_schedule_is_a_step_rule(rng):
    bowl, _, _ = random_bowl(rng)
    x0 = rng.normal(size=4)
    run = minimize(bowl, x0, GradientDescent(lambda k, x, grad: 0.1 / (k + 1)), max_steps=3)
    x = x0
    for k in range(3):
        x = x - 0.1 / (k + 1) * bowl(x)[1]
    np.testing.assert_allclose(run.x, x, rtol=1e-12)


@pytest.mark.parametrize("c", [0.5, 0.9])
def test_armijo_with_one_half_accepts_the_exact_step_and_with_more_rejects_it(c, rng):
    bowl, _, _ = random_bowl(rng)
    x = rng.normal(size=(20, 4)) * 10
    value, grad = bowl(x)
    squared = (grad**2).sum(-1)
    t = squared / np.einsum("ri,ij,rj->r", grad, bowl.A, grad)
    fall = value - bowl(x - t[:, None] * grad)[0]
    np.testing.assert_allclose(fall, t * squared / 2, rtol=1e-10)
    assert (fall >= c * t * squared * (1 - 1e-9)).all() == (c == 0.5)


# Divergence is a result.


def test_a_run_that_overflows_stops_at_its_last_finite_point_without_warning():
    bowl = Quadratic(np.diag([1.0, 10.0]), np.zeros(2))
    run = minimize(bowl, np.ones((2, 2)), GradientDescent(np.array([0.1, 1.0])), max_steps=500)
    assert run.is_diverged.tolist() == [False, True]
    assert not run.is_converged.any()
    assert run.n_steps.tolist()[0] == 500
    assert np.isfinite(run.points).all()
    assert run.value[1] > 1e300
    assert "0 converged, 1 diverged, 1 not yet converged" in repr(run)


def test_a_diverged_run_says_so():
    run = minimize(Quartic(), np.array([10.0]), GradientDescent(1.0))
    assert run.is_diverged
    assert repr(run).startswith("diverged after ")
    minimum = minimize(Quartic(), np.array([0.0]), GradientDescent(1.0), tolerance=1e-9)
    assert repr(minimum) == "converged after 0 steps: f = about 0, gradient norm about 0"


# Bad input: what, expected, got, and the cure.


def test_a_step_in_single_precision_stays_there():
    x = np.ones(3, np.float32)
    for learning_rate in (0.1, np.float64(0.1), lambda k, x, grad: np.float64(0.1)):
        optimizer = GradientDescent(learning_rate)
        assert optimizer.step(x, x, optimizer.init(x))[0].dtype == np.float32


@pytest.mark.parametrize(
    "learning_rate", [0, -0.1, np.nan, np.inf, "0.1", None, np.array([0.1, -1.0])]
)
@pytest.mark.bad_input
def test_bad_learning_rates_are_refused(learning_rate):
    with pytest.raises(ValueError, match="`learning_rate` must be positive .* A safe start"):
        GradientDescent(learning_rate)


@pytest.mark.parametrize(
    ("x0", "message"),
    [
        (np.array(["a"]), "must hold floats, got dtype <U1"),
        (np.zeros(0), r"at least one coordinate, got shape \(0,\)"),
        (np.array([1.0, np.nan]), "must be finite"),
        (np.float64(1.0), r"got a single number.*np.array\(\[x0\]\)"),
    ],
)
@pytest.mark.bad_input
def test_bad_starts_are_refused(x0, message):
    with pytest.raises(ValueError, match=message):
        minimize(lambda x: ((x**2).sum(-1), 2 * x), x0, GradientDescent(0.1))


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (lambda x: (x**2).sum(-1), r"must return \(value, gradient\), got ndarray"),
        (lambda x: ((x**2).sum(-1), x[..., :1]), r"shape of `x0`, \(3, 2\), got \(3, 1\)"),
        (lambda x: ((x**2).sum(), 2 * x), r"shape \(3,\), one number a run, got \(\)"),
        (lambda x: (np.full(3, np.nan), 2 * x), r"`f\(x0\)` must be finite"),
    ],
)
def test_bad_functions_are_refused(f, message):
    with pytest.raises(ValueError, match=message):
        minimize(f, np.ones((3, 2)), GradientDescent(0.1))


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"max_steps": -1}, "`max_steps` must be a whole number"),
        ({"max_steps": 1.5}, "`max_steps` must be a whole number"),
        ({"max_steps": 1e3}, r"whole number, 0 or more, got 1000.0. Use `int\(1000.0\)`"),
        ({"max_steps": np.nan}, "`max_steps` must be a whole number"),
        ({"max_steps": True}, "`max_steps` must be a whole number"),
        ({"tolerance": -1e-3}, "`tolerance` must be 0 or more"),
        ({"tolerance": np.nan}, "`tolerance` must be 0 or more"),
    ],
)
def test_bad_limits_are_refused(limits, message):
    with pytest.raises(ValueError, match=message):
        minimize(lambda x: ((x**2).sum(-1), 2 * x), np.ones(2), GradientDescent(0.1), **limits)


@pytest.mark.parametrize(
    ("rule", "settings", "message"),
    [
        (Backtracking, {"first_step": 0.0}, "`first_step` must be a positive number"),
        (Backtracking, {"shrink": 1.0}, "`shrink` must lie between 0 and 1"),
        (Backtracking, {"c": -0.5}, "`c` must lie between 0 and 1"),
        (ExactLineSearch, {"first_step": -1.0}, "`first_step` must be a positive number"),
    ],
)
def test_bad_step_rules_are_refused(rule, settings, message):
    with pytest.raises(ValueError, match=message):
        rule(Quartic(), **settings)


@pytest.mark.parametrize("x0", [[3, -4], np.array([3, -4]), pd.Series([3.0, -4.0], [7, 8])])
@pytest.mark.converted
def test_a_start_is_converted_once(x0):
    bowl = Quadratic(np.eye(2), np.zeros(2))
    ours = minimize(bowl, x0, GradientDescent(0.5), max_steps=3)
    theirs = minimize(bowl, np.array([3.0, -4.0]), GradientDescent(0.5), max_steps=3)
    assert ours.x.dtype == float
    np.testing.assert_array_equal(ours.points, theirs.points)


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (GradientDescent, r"got the class `GradientDescent`. Call it: `GradientDescent\(...\)`"),
        ("adam", r"methods `init` and `step`, got 'adam'. Use one of `dlcourse.optim`"),
    ],
)
def test_what_is_no_optimizer_is_refused_by_both_loops(optimizer, message):
    with pytest.raises(ValueError, match=message):
        minimize(lambda x: ((x**2).sum(-1), 2 * x), np.ones(2), optimizer)
    with pytest.raises(ValueError, match=message):
        walk(optimizer, np.ones(2), lambda k, x: x, n_steps=1)


# The walk along gradients that come otherwise


@pytest.mark.converted
def test_a_walk_along_the_gradient_of_a_function_is_its_minimization():
    bowl, optimizer = Quadratic(np.diag([1.0, 3.0]), np.ones(2)), HeavyBall(0.1)
    points = walk(optimizer, [[2, 0], [5, 5]], lambda k, x: bowl(x)[1], n_steps=20)
    run = minimize(bowl, np.array([[2.0, 0.0], [5.0, 5.0]]), optimizer, max_steps=20)
    np.testing.assert_array_equal(points, run.points)


@pytest.mark.converted
def test_a_walk_asks_for_the_gradient_of_each_step():
    points = walk(GradientDescent(1.0), np.zeros(2), lambda k, x: np.full(2, -k), 4)
    np.testing.assert_array_equal(points.sum(1), [0, 0, 2, 6, 12])


@pytest.mark.bad_input
def test_a_walk_refuses_gradients_of_another_shape_and_broken_counts():
    with pytest.raises(ValueError, match="`grad` and `x` must have one shape"):
        walk(GradientDescent(0.1), np.ones(2), lambda k, x: x[:1], n_steps=1)
    with pytest.raises(ValueError, match="`n_steps` must be a whole number"):
        walk(GradientDescent(0.1), np.ones(2), lambda k, x: x, n_steps=2.0)
    with pytest.raises(ValueError, match="`start` must be finite"):
        walk(GradientDescent(0.1), [np.nan], lambda k, x: x, n_steps=2)


# (e) Does a planted bug make the tests fail?


class ForgetsTheSign(GradientDescent):
    def step(self, x, grad, state):
        x, state = super().step(x, -grad, state)
        return x, state


class StepsInPlace(GradientDescent):
    def step(self, x, grad, state):
        x -= self.learning_rate * grad
        return x, state


class HalvesTheStep(GradientDescent):
    def step(self, x, grad, state):
        return x - self.learning_rate / 2 * grad, state


@pytest.mark.parametrize("planted", [ForgetsTheSign, StepsInPlace, HalvesTheStep])
def test_planted_optimizers_leave_the_path_of_torch(planted, rng):
    x0 = rng.normal(size=(2, 3))
    theirs = torch_path(lambda x: (x**2).sum(-1), x0, 0.1, 20)
    ours = minimize(lambda x: ((x**2).sum(-1), 2 * x), x0, planted(0.1), max_steps=20).points
    assert not np.allclose(ours, theirs)
    right = minimize(lambda x: ((x**2).sum(-1), 2 * x), x0, GradientDescent(0.1), max_steps=20)
    np.testing.assert_allclose(right.points, theirs, atol=1e-13)
