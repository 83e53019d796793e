"""What the chapter on Adam states: its equations, lemmas and theorems, and its exercises."""

from functools import partial
from itertools import product

import numpy as np
import pytest
import sympy
import torch
from scipy.optimize import minimize as scipy_minimize

from dlcourse.chapters.adam import counterexample, lengths
from dlcourse.chapters.adam.parts import Assembled, Average
from dlcourse.losses import LogisticLoss
from dlcourse.optim import Adam, AdamW, AMSGrad
from tests.library.optim.paths import noisy_bowl, path, torch_path

BETA = sympy.Symbol("beta", positive=True)


def weights(k, beta):
    """Weights of the gradients 1, ..., k in the corrected average, written out."""
    raw = np.array([beta ** (k - i) for i in range(1, k + 1)])
    return raw / raw.sum()


# Adam from its parts


@pytest.mark.proves("eq-adam-mean", "eq-adam-mean-square", by="independent")
def test_the_averages_are_those_that_torch_keeps(rng):
    gradients, parameter = rng.normal(size=(30, 4)), torch.nn.Parameter(torch.zeros(4).double())
    theirs, ours = torch.optim.Adam([parameter]), Adam()
    x, state = np.zeros(4), ours.init(np.zeros(4))
    for gradient in gradients:
        parameter.grad = torch.from_numpy(gradient)
        theirs.step()
        x, state = ours.step(x, gradient, state)
        kept = theirs.state[parameter]
        np.testing.assert_allclose(state.m, kept["exp_avg"], rtol=1e-12)
        np.testing.assert_allclose(state.v, kept["exp_avg_sq"], rtol=1e-12)


@pytest.mark.proves("eq-adam-rmsprop", by="independent")
def test_the_scaled_gradient_is_the_rmsprop_of_torch(rng):
    gradient, x0 = noisy_bowl(rng, (5,)), rng.normal(size=5)
    ours = Assembled(0.01, mean_square=Average(0.99, is_corrected=False), epsilon=1e-6)
    make = partial(torch.optim.RMSprop, lr=0.01, alpha=0.99, eps=1e-6)
    theirs = torch_path(make, x0, gradient)
    np.testing.assert_allclose(path(ours, x0, gradient), theirs, rtol=0, atol=1e-12)


@pytest.mark.proves("eq-adam-step", "alg-adam", by="independent")
@pytest.mark.parametrize(("beta1", "beta2", "epsilon"), [(0.9, 0.999, 1e-8), (0.0, 0.5, 0.1)])
def test_the_algorithm_is_the_adam_of_torch(beta1, beta2, epsilon, rng):
    gradient, x0 = noisy_bowl(rng, (6,)), rng.normal(size=6)
    make = partial(torch.optim.Adam, lr=0.02, betas=(beta1, beta2), eps=epsilon)
    theirs = torch_path(make, x0, gradient)
    parts = {"mean": Average(beta1), "mean_square": Average(beta2), "epsilon": epsilon}
    for ours in (Adam(0.02, beta1, beta2, epsilon), Assembled(0.02, **parts)):
        np.testing.assert_allclose(path(ours, x0, gradient), theirs, rtol=0, atol=1e-12)


@pytest.mark.proves("eq-adam-unrolled", by="symbolic")
@pytest.mark.parametrize("k", range(1, 7))
def test_the_recursion_unrolls_to_a_sum(k):
    g = sympy.symbols(f"g1:{k + 1}")
    m = sympy.Integer(0)
    for gradient in g:
        m = BETA * m + (1 - BETA) * gradient
    unrolled = (1 - BETA) * sum(BETA ** (k - i) * g[i - 1] for i in range(1, k + 1))
    assert sympy.expand(m - unrolled) == 0


@pytest.mark.proves("lem-adam-bias", "eq-adam-bias", by="symbolic")
def test_the_weights_of_a_stationary_mean_add_up_to_one_minus_beta_to_the_k():
    k, j = sympy.symbols("k j", integer=True, positive=True)
    total = (1 - BETA) * sympy.summation(BETA**j, (j, 0, k - 1))
    at = {BETA: sympy.Rational(9, 10)}
    for steps in (1, 2, 10, 50):
        value = total.subs(at).subs(k, steps).doit()
        assert sympy.simplify(value - (1 - BETA**steps).subs(at)) == 0


@pytest.mark.proves("lem-adam-bias", "eq-adam-bias", by="truth")
def test_gradients_that_depend_on_each_other_are_biased_by_the_same_factor(rng):
    n_runs, k, mu = 20_000, 12, 2.0
    noise = np.zeros(n_runs)
    m, v = np.zeros(n_runs), np.zeros(n_runs)
    noise = rng.normal(size=n_runs)
    for _ in range(k):  # stationary, each correlated with the one before
        gradient = mu + noise
        m, _ = Average(0.9).take(m, gradient, 1)
        v, _ = Average(0.99).take(v, gradient**2, 1)
        noise = 0.8 * noise + 0.6 * rng.normal(size=n_runs)
    for average, beta, mean in ((m, 0.9, mu), (v, 0.99, mu**2 + 1)):
        error = average.std() / np.sqrt(n_runs)
        assert average.mean() == pytest.approx((1 - beta**k) * mean, abs=4 * error)
        assert abs(average.mean() - mean) > 20 * error  # uncorrected it is far off


@pytest.mark.proves("eq-adam-correction", "eq-adam-weights", by="independent")
@pytest.mark.parametrize("k", [1, 2, 7, 40])
def test_a_corrected_average_is_a_weighted_average_of_the_gradients(k, rng):
    gradients, m = rng.normal(size=(k, 3)), np.zeros(3)
    for i, gradient in enumerate(gradients, start=1):
        m, corrected = Average(0.9).take(m, gradient, i)
    expected = np.average(gradients, axis=0, weights=weights(k, 0.9))
    np.testing.assert_allclose(corrected, expected, rtol=1e-12)
    closed = 0.1 * 0.9 ** (k - np.arange(1, k + 1)) / (1 - 0.9**k)
    np.testing.assert_allclose(closed, weights(k, 0.9), rtol=1e-12)


@pytest.mark.proves("eq-adam-variance", by="symbolic")
@pytest.mark.parametrize("k", [1, 2, 3, 8])
def test_the_variance_is_the_sum_of_the_squared_weights(k):
    squares = sum(((1 - BETA) * BETA**j / (1 - BETA**k)) ** 2 for j in range(k))
    formula = (1 - BETA) * (1 + BETA**k) / ((1 + BETA) * (1 - BETA**k))
    assert sympy.simplify(squares - formula) == 0


@pytest.mark.proves("eq-adam-variance", by="truth")
def test_steps_under_tossed_coins_have_the_root_mean_square_of_the_formula(rng):
    signs = rng.choice([-1.0, 1.0], size=(60, 40_000))
    steps = lengths.taken(Adam(1.0, epsilon=0.0), signs)
    k = np.array([1, 2, 5, 20, 60])
    measured = np.sqrt((steps[k - 1] ** 2).mean(axis=1))
    np.testing.assert_allclose(measured, lengths.under_noise(k, 0.9), rtol=0.02)
    assert lengths.under_noise(100_000, 0.9) ** -2 == pytest.approx(19)
    assert lengths.under_noise(100_000, 0.999) ** -2 == pytest.approx(1999)


@pytest.mark.proves("eq-adam-uncorrected", by="independent")
@pytest.mark.parametrize("slope", [1e-3, 5.0])
def test_uncorrected_steps_under_a_constant_gradient(slope):
    raw = Assembled(1.0, mean=Average(0.9, False), mean_square=Average(0.999, False), epsilon=0.0)
    steps = lengths.taken(raw, np.full((2_000, 1), slope))[:, 0]
    k = np.arange(1, 2_001)
    np.testing.assert_allclose(steps, lengths.uncorrected(k, 0.9, 0.999), rtol=1e-8)
    assert (steps > 1).all()  # too long, because the divisor is the more wrong of the two
    # RMSProp has no average in front, so its first step is longer still
    assert lengths.uncorrected(1, 0.0, 0.999) == pytest.approx(1 / np.sqrt(0.001))


# What scaling does


@pytest.mark.proves("lem-adam-root-kappa", "eq-adam-root-kappa", by="truth")
def test_scaling_takes_the_root_of_the_condition_number(rng):
    units, n, sigma = np.array([0.1, 1.0, 30.0]), 200_000, 2.0
    X = rng.normal(size=(n, 3)) * units
    errors = sigma * rng.standard_t(df=8, size=n) / np.sqrt(8 / 6)
    hessian, rms = X.T @ X / n, np.sqrt(((X * errors[:, None]) ** 2).mean(axis=0))
    np.testing.assert_allclose(rms, units * sigma, rtol=0.03)
    kappa = np.linalg.cond(hessian)
    scaled = np.linalg.cond(hessian / np.sqrt(np.outer(rms, rms)))
    assert kappa == pytest.approx(300.0**2, rel=0.03)
    assert scaled == pytest.approx(np.sqrt(kappa), rel=0.03)


@pytest.mark.proves("lem-adam-invariance", "eq-adam-invariance", by="instances")
@pytest.mark.parametrize("optimizer", [Adam, AMSGrad])
def test_rescaled_gradients_give_the_same_points(optimizer, rng):
    gradient, x0 = noisy_bowl(rng, (6,)), rng.normal(size=6)
    adam, D = optimizer(0.01, epsilon=0.0), np.exp(rng.uniform(-8, 8, size=6))
    scaled = path(adam, x0, lambda k, x: D * gradient(k, x))
    np.testing.assert_allclose(scaled, path(adam, x0, gradient), rtol=0, atol=1e-10)


@pytest.mark.proves("lem-adam-invariance", by="worst case")
def test_with_epsilon_the_size_of_the_gradient_matters(rng):
    gradient, x0 = noisy_bowl(rng, (6,)), rng.normal(size=6)
    small = path(Adam(0.01), x0, lambda k, x: 1e-8 * gradient(k, x))
    assert np.abs(small - path(Adam(0.01), x0, gradient)).max() > 0.1


# The longest step


@pytest.mark.proves("thm-adam-longest", "eq-adam-longest", by="instances")
@pytest.mark.parametrize(("beta1", "beta2"), [(0.9, 0.999), (0.5, 0.5), (0.0, 0.9), (0.9, 0.7)])
def test_no_step_is_longer_than_the_bound(beta1, beta2, rng):
    n_steps = 200
    kinds = [
        rng.normal(size=(n_steps, 50)),
        rng.standard_cauchy(size=(n_steps, 50)),
        np.exp(rng.normal(size=50)) ** np.arange(-100, 100)[:, None] / 1e3,
        rng.normal(size=(n_steps, 50)) * (rng.random((n_steps, 50)) < 0.05) + 1e-100,
    ]
    steps = lengths.taken(Adam(1.0, beta1, beta2, epsilon=0.0), np.concatenate(kinds, axis=1))
    bound = np.array([lengths.longest(k, beta1, beta2) for k in range(1, n_steps + 1)])
    assert (steps <= bound[:, None] * (1 + 1e-9)).all()
    assert steps.max() > 0.5 * bound.max()


@pytest.mark.proves("thm-adam-longest", "eq-adam-longest", by="worst case")
@pytest.mark.parametrize(("beta1", "beta2"), [(0.9, 0.999), (0.3, 0.8), (0.95, 0.9)])
@pytest.mark.parametrize("k", [1, 2, 10, 300])
def test_the_bound_is_attained(beta1, beta2, k):
    gradients = lengths.worst_gradients(k, beta1, beta2)
    np.testing.assert_allclose(gradients[1:] / gradients[:-1], beta2 / beta1)
    last = lengths.taken(Adam(1.0, beta1, beta2, epsilon=0.0), gradients[:, None])[-1, 0]
    assert last == pytest.approx(lengths.longest(k, beta1, beta2), rel=1e-9)


@pytest.mark.proves("thm-adam-longest", "eq-adam-longest-limit", by="symbolic")
def test_the_limit_of_the_bound():
    b1, b2 = sympy.Rational(9, 10), sympy.Rational(999, 1000)
    r, k = b1**2 / b2, sympy.Symbol("k", positive=True)
    square = ((1 - b1) / (1 - b1**k)) ** 2 * (1 - b2**k) / (1 - b2) * (1 - r**k) / (1 - r)
    limit = (1 - b1) ** 2 / ((1 - b2) * (1 - r))
    assert sympy.limit(square, k, sympy.oo) == limit
    assert float(sympy.sqrt(limit)) == pytest.approx(7.27, abs=0.005)


@pytest.mark.proves("thm-adam-longest", by="worst case")
def test_without_a_longer_memory_for_squares_there_is_no_bound():
    growth = [lengths.longest(k, 0.95, 0.7) for k in (10, 100, 1_000)]
    assert growth[2] > 1e3 * growth[1] > 1e3 * growth[0]
    assert lengths.longest(1_000, 0.5, 0.25) == pytest.approx(0.5 * np.sqrt(1_000 / 0.75), rel=1e-6)
    for k in (1, 5, 500):
        assert lengths.longest(k, 0.7, 0.7) == pytest.approx(1)
    assert lengths.longest(1, 0.9, 0.999) == pytest.approx(1)


@pytest.mark.proves("eq-adam-proof-longest", by="instances")
def test_cauchy_schwarz_between_the_two_averages(rng):
    for beta1, beta2, k in ((0.9, 0.999, 50), (0.6, 0.3, 8), (0.2, 0.9, 3)):
        g = rng.standard_cauchy(size=(100, k))
        m = (1 - beta1) * g @ beta1 ** np.arange(k - 1, -1, -1)
        v = (1 - beta2) * g**2 @ beta2 ** np.arange(k - 1, -1, -1)
        total = sum((beta1**2 / beta2) ** j for j in range(k))
        assert (np.abs(m) / (1 - beta1) <= np.sqrt(total * v / (1 - beta2)) * (1 + 1e-12)).all()


def test_the_bound_printed_in_the_adam_paper_can_be_exceeded():
    printed = (1 - 0.9) / np.sqrt(1 - 0.999)  # "in the most severe case of sparsity"
    silence = lengths.taken(Adam(1.0, epsilon=0.0), np.r_[np.full(9_999, 1e-150), 1.0][:, None])
    growing = lengths.worst_gradients(2_000, 0.9, 0.999)[:, None]
    make = partial(torch.optim.Adam, lr=1.0, eps=0.0)
    theirs = torch_path(make, np.zeros(1), lambda k, x: growing[k], n_steps=2_000)
    assert silence[-1, 0] == pytest.approx(printed, rel=1e-3)
    assert np.abs(np.diff(theirs[-2:, 0])).item() > 2 * printed


# A penalty, inside and beside


@pytest.mark.proves("eq-adamw-coupled", by="independent")
def test_the_weight_decay_of_torchs_adam_is_a_penalty_in_the_gradient(rng):
    gradient, x0 = noisy_bowl(rng, (5,)), rng.normal(size=5)
    make = partial(torch.optim.Adam, lr=0.01, weight_decay=0.3)
    ours = path(Adam(0.01), x0, lambda k, x: gradient(k, x) + 0.3 * x)
    np.testing.assert_allclose(ours, torch_path(make, x0, gradient), rtol=0, atol=1e-12)


@pytest.mark.proves("eq-adamw-step", by="independent")
def test_adamw_shrinks_and_then_steps_as_in_torch(rng):
    gradient, x0 = noisy_bowl(rng, (5,)), rng.normal(size=5)
    make = partial(torch.optim.AdamW, lr=0.02, weight_decay=0.3)
    ours = path(AdamW(0.02, weight_decay=0.3), x0, gradient)
    np.testing.assert_allclose(ours, torch_path(make, x0, gradient), rtol=0, atol=1e-12)


def mean_over_all_coins(optimizer, s, lam, k):
    """Mean weight after k steps from 1, over every sequence of k tosses."""
    x = np.ones((2**k, 1))
    state = optimizer.init(x)
    for signs in np.array(list(product([-1.0, 1.0], repeat=k))).T:
        x, state = optimizer.step(x, s * signs[:, None] + lam * x, state)
    return x.mean()


@pytest.mark.proves("lem-adamw-shrinkage", "eq-adamw-shrinkage", by="independent")
@pytest.mark.parametrize("s", [0.01, 1.0, 50.0])
def test_adamw_shrinks_every_weight_alike(s):
    mean = mean_over_all_coins(AdamW(0.1, weight_decay=0.5), s, lam=0.0, k=8)
    assert mean == pytest.approx((1 - 0.1 * 0.5) ** 8, rel=1e-12)


@pytest.mark.proves("lem-adamw-shrinkage", "eq-adamw-coupled-shrinkage", by="independent")
@pytest.mark.parametrize("s", [1.0, 3.0, 10.0])
def test_inside_the_adam_of_torch_large_gradients_shrink_less(s, rng):
    signs = rng.choice([-1.0, 1.0], size=(600, 2_000))
    noise = s * np.concatenate([signs, -signs], axis=1)
    make = partial(torch.optim.Adam, lr=0.01, weight_decay=0.2)
    means = torch_path(make, np.ones(4_000), lambda k, x: noise[k], n_steps=600).mean(axis=1)
    rate = np.log(means[600] / means[100]) / 500
    assert rate == pytest.approx(np.log1p(-0.01 * 0.2 / s), rel=0.05)
    assert means[600] == pytest.approx((1 - 0.01 * 0.2 / s) ** 600, rel=0.05)


@pytest.mark.proves("lem-adamw-rest", "eq-adamw-rest", by="independent")
def test_where_the_two_rest(rng):
    X, lam, d = rng.normal(size=(60, 3)), 0.4, np.array([0.2, 1.0, 5.0])
    loss = LogisticLoss(X, (X[:, 0] + rng.normal(size=60) > 0).astype(float))
    inside = beside = np.zeros(3)
    m_inside = m_beside = np.zeros(3)
    for k in range(1, 6_001):
        m_inside, step = Average(0.9).take(m_inside, loss(inside)[1] + lam * inside, k)
        inside = inside - 0.02 * step / d
        m_beside, step = Average(0.9).take(m_beside, loss(beside)[1], k)
        beside = (1 - 0.02 * lam) * beside - 0.02 * step / d
    for rest, penalty in ((inside, np.full(3, lam)), (beside, lam * d)):
        f = LogisticLoss(X, loss.y, penalty)
        best = scipy_minimize(f, np.zeros(3), jac=True, tol=1e-12).x
        np.testing.assert_allclose(rest, best, atol=1e-6)
    assert np.abs(inside - beside).max() > 0.01


# Epsilon


def last_length(gradient, epsilon, is_inside):
    """The last of a hundred steps of Adam, alpha = 1, by the formula, epsilon in either place."""
    m = v = 0.0
    for k in range(1, 101):
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        m_hat, v_hat = m / (1 - 0.9**k), v / (1 - 0.999**k)
        root = np.sqrt(v_hat + epsilon) if is_inside else np.sqrt(v_hat) + epsilon
    return m_hat / root


@pytest.mark.proves("eq-adam-epsilon", "eq-adam-epsilon-inside", by="independent")
@pytest.mark.parametrize("gradient", [1.0, 1e-4, 1e-6, 1e-8])
def test_lengths_under_a_constant_gradient_with_epsilon_in_either_place(gradient):
    outside, inside = (last_length(gradient, 1e-8, is_inside) for is_inside in (False, True))
    assert lengths.with_epsilon(gradient, 1e-8) == pytest.approx(outside, rel=1e-9)
    assert lengths.with_epsilon_inside(gradient, 1e-8) == pytest.approx(inside, rel=1e-9)
    make = partial(torch.optim.Adam, lr=1.0)
    theirs = torch_path(make, np.zeros(1), lambda k, x: np.full(1, gradient), n_steps=100)
    assert theirs[-2, 0] - theirs[-1, 0] == pytest.approx(outside, rel=1e-6)


def test_below_epsilon_adam_is_gradient_descent_with_a_longer_step(rng):
    gradient = 1e-12 * rng.normal(size=(1, 5))
    step = lengths.taken(Adam(1.0), gradient)[0]
    np.testing.assert_allclose(step, np.abs(gradient[0]) / 1e-8, rtol=1e-3)


def test_in_half_precision_epsilon_is_zero():
    assert np.float16(1e-8) == 0


# AMSGrad


@pytest.mark.proves("eq-amsgrad-losses", by="independent")
def test_the_slopes_of_a_cycle_add_up_to_ten():
    printed = [1010.0 if t % 101 == 1 else -10.0 for t in range(1, 203)]
    np.testing.assert_array_equal(np.tile(counterexample.rare_spike(), 2), printed)
    assert sum(printed[:101]) == 1010 - 100 * 10 == 10


@pytest.mark.proves("eq-amsgrad-step", by="independent")
def test_amsgrad_is_that_of_torch_and_not_adam(rng):
    gradient, x0 = noisy_bowl(rng, (5,)), rng.normal(size=5)
    make = partial(torch.optim.Adam, lr=0.3, betas=(0.9, 0.9), amsgrad=True)
    ours = path(AMSGrad(0.3, 0.9, 0.9), x0, gradient)
    np.testing.assert_allclose(ours, torch_path(make, x0, gradient), rtol=0, atol=1e-12)
    assert np.abs(ours - path(Adam(0.3, 0.9, 0.9), x0, gradient)).max() > 0.01


@pytest.mark.proves("thm-amsgrad-counterexample", "eq-amsgrad-divisors", by="symbolic")
def test_the_divisors_of_the_three_step_cycle():
    b, C = sympy.symbols("b C", positive=True)
    v1, v2, v3 = sympy.symbols("v1 v2 v3")
    cycle = [v1 - b * v3 - (1 - b) * C**2, v2 - b * v1 - (1 - b), v3 - b * v2 - (1 - b)]
    solved = sympy.solve(cycle, [v1, v2, v3])
    assert sympy.simplify(solved[v1] - (1 - b) * (C**2 + b + b**2) / (1 - b**3)) == 0
    q_squared = (1 + C**2) / C**2
    for bound, v in ((C**2, v1), (2 / q_squared, v2), ((C**2 + 3) / (q_squared * (1 + C**2)), v3)):
        slack = sympy.simplify((bound - solved[v]).subs(b, 1 / (1 + C**2)))
        assert all(slack.subs(C, c) >= 0 for c in (sympy.Rational(21, 10), 3, 10, 100))


@pytest.mark.proves("thm-amsgrad-counterexample", "eq-amsgrad-cycle", by="instances")
@pytest.mark.parametrize("C", [2.01, 2.5, 3.0, 10.0, 1e3])
def test_adam_climbs_and_amsgrad_descends(C):
    b = 1 / (1 + C**2)
    v1 = (1 - b) * (C**2 + b + b**2) / (1 - b**3)
    v2 = b * v1 + 1 - b
    v3 = b * v2 + 1 - b
    adam = 1 / np.sqrt(v2) + 1 / np.sqrt(v3) - C / np.sqrt(v1)
    amsgrad = -(C - 2) / np.sqrt(v1)
    assert amsgrad < 0 < adam
    slopes = np.tile([C, -1.0, -1.0], 60)
    for make, expected in ((Adam, adam), (AMSGrad, amsgrad)):
        optimizer = make(1e-3, beta1=0.0, beta2=b, epsilon=0.0)
        points = path(optimizer, np.zeros(1), lambda k, x: slopes[k : k + 1], n_steps=180)
        assert points[-1, 0] - points[-4, 0] == pytest.approx(1e-3 * expected, rel=1e-8)


@pytest.mark.proves("thm-amsgrad-counterexample", by="worst case")
def test_within_walls_the_two_end_at_opposite_points():
    example = counterexample.run(counterexample.THREE, n_cycles=1_000, beta1=0.0, beta2=0.1)
    assert example.points["Adam"][-1] > 0.95
    assert example.points["AMSGrad"][-1] < -0.95


# Exercises


def test_the_first_step_is_the_sign(rng):
    gradient = rng.normal(size=(1, 6))
    for beta1, beta2 in ((0.9, 0.999), (0.0, 0.5)):
        adam = Adam(0.3, beta1, beta2, epsilon=0.0)
        moved = path(adam, np.zeros(6), lambda k, x: gradient[k], n_steps=1)[1]
        np.testing.assert_allclose(moved, -0.3 * np.sign(gradient[0]), rtol=1e-12)
    first, second = lengths.uncorrected(np.array([1, 2]), 0.9, 0.99)
    assert first == pytest.approx(1)
    assert second == pytest.approx(1.35, abs=0.005)


@pytest.mark.proves("eq-adam-lag", by="independent")
@pytest.mark.parametrize("beta", [0.5, 0.9])
@pytest.mark.parametrize("k", [1, 2, 30, 400])
def test_the_average_of_a_trend_lags_behind_it(beta, k):
    a, b = 3.0, -0.7
    trend = a + b * np.arange(1, k + 1)
    lag = beta / (1 - beta) - k * beta**k / (1 - beta**k)
    assert weights(k, beta) @ trend == pytest.approx(trend[-1] - b * lag)
    if k == 400:
        assert lag == pytest.approx(beta / (1 - beta))


def test_the_sum_of_the_ages():
    for k in (1, 2, 5, 9):
        ages = sum(j * BETA**j for j in range(k))
        closed = BETA * (1 - k * BETA ** (k - 1) + (k - 1) * BETA**k) / (1 - BETA) ** 2
        assert sympy.simplify(ages - closed) == 0


def test_the_epsilon_of_tensorflow_in_terms_of_ours(rng):
    gradients, m, v = 1e-7 * rng.normal(size=(40, 4)), np.zeros(4), np.zeros(4)
    for k, g in enumerate(gradients, start=1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        root = np.sqrt(1 - 0.999**k)
        theirs = root / (1 - 0.9**k) * m / (np.sqrt(v) + 1e-7)
        epsilon = 1e-7 / root
        ours = m / (1 - 0.9**k) / (np.sqrt(v / (1 - 0.999**k)) + epsilon)
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
        if k == 1:
            assert epsilon / 1e-7 == pytest.approx(31.6, abs=0.05)


def test_a_rare_gradient_is_passed_on_in_full_by_averaging_and_as_is_by_gradient_descent():
    for n in (1, 10, 100):
        once = np.eye(n)[0]
        assert counterexample.settled(once, 0.9).sum() == pytest.approx(1)  # per purchase
        assert counterexample.settled(once**2, 0.999).mean() == pytest.approx(1 / n)


@pytest.mark.parametrize("s", [1.0, 10.0])
def test_noise_moves_the_rest_of_adamw_and_not_that_of_the_penalty_inside(s, rng):
    h, c, lam, n_steps = 1.0, 2.0, 0.3, 12_000
    signs = rng.choice([-1.0, 1.0], size=(n_steps, 50, 1))
    noise = s * np.concatenate([signs, -signs], axis=1)
    rests = []
    for optimizer, penalty in ((Adam(0.01), lam), (AdamW(0.01, weight_decay=lam), 0.0)):
        x = np.full((100, 1), c)
        state, late = optimizer.init(x), []
        for k in range(n_steps):
            x, state = optimizer.step(x, h * (x - c) + noise[k] + penalty * x, state)
            late += [x.mean()] if k >= n_steps // 2 else []
        rests.append(np.mean(late))
    assert rests[0] == pytest.approx(c * h / (h + lam), rel=0.03)
    d = np.sqrt(s**2 + (h * (rests[1] - c)) ** 2)
    assert rests[1] == pytest.approx(c * h / (h + lam * d), rel=0.05)
