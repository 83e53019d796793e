"""The chapter's displays, evaluated as the page has them: over every draw and every toss."""

from functools import partial
from itertools import combinations, product

import numpy as np
import pytest
import torch
from sklearn.linear_model import SGDRegressor
from torch.optim import lr_scheduler

from dlcourse import batches
from dlcourse.convergence import stochastic
from tests.library.optim.paths import torch_rates
from tools.formula import one_based

F_I, SLOPE, SLOPE_HERE = "f", r"\nabla f", r"\nabla f(x)"
K, STEP, ALPHA = "k", r"\alpha", r"\alpha_0"


def column(z):
    return np.asarray(z)[:, None]


def regression(rng, n=5, p=2):
    """Mean loss of rows of a regression at a point, its gradient as torch has it, and a point."""
    X, y = torch.tensor(rng.normal(size=(n, p))), torch.tensor(rng.normal(size=n))

    def loss(rows, x):
        rows = list(rows)
        return ((X[rows] @ torch.as_tensor(x)[:, 0] - y[rows]) ** 2).mean() / 2

    def slope(rows, x):
        x = torch.tensor(x, requires_grad=True)
        return torch.autograd.grad(loss(rows, x), x)[0].numpy()

    return loss, slope, rng.normal(size=(p, 1))


# Steps and epochs


@pytest.mark.proves("eq-sgd-loss", "eq-sgd-estimate", "eq-sgd-step", by="independent")
def test_the_loss_its_estimate_and_the_step_are_those_of_torch(displayed, rng):
    loss, slope, x = regression(rng)
    each = [lambda x, i=i: loss([i], x).item() for i in range(5)]
    names = {"f(x)": loss(range(5), x).item(), F_I: one_based(each), "n": 5, "x": x}
    assert displayed("eq-sgd-loss").holds(names)
    slopes = one_based([partial(slope, [i]) for i in range(5)])
    for k, rows in enumerate([np.array([0, 3, 2]), np.array([4, 1])]):
        names = {SLOPE: slopes, "x": {k: x}, "g": {k: slope(rows, x)}, K: k, "B": len(rows)}
        assert displayed("eq-sgd-estimate").holds(names | {r"\mathcal{B}": {k: rows + 1}})
    points, rates, g = [x], [0.3, 0.7], rng.normal(size=(2, 2, 1))
    for rate, grad in zip(rates, g, strict=True):
        theirs = torch.tensor(points[-1], requires_grad=True)
        theirs.grad = torch.tensor(grad)
        torch.optim.SGD([theirs], lr=rate).step()
        points.append(theirs.detach().numpy())
    names = {"x": points, "g": list(g), STEP: rates}
    for k in range(2):
        assert displayed("eq-sgd-step").holds(names | {K: k})


@pytest.mark.proves("eq-sgd-steps", by="independent")
def test_the_steps_are_the_batches_that_are_drawn(displayed, rng):
    for n, size, n_epochs in ((10, 4, 3), (7, 5, 2)):
        budget = batches.Budget(n_epochs=n_epochs, batch_size=size)
        n_steps = len(list(batches.batches(budget, n, rng)))
        names = {r"\text{steps}": n_steps, r"\text{epochs}": n_epochs, "n": n, "B": size}
        assert displayed("eq-sgd-steps").holds(names)


# Right on average


@pytest.mark.proves(
    "eq-sgd-unbiased",
    "eq-sgd-variance",
    "eq-sgd-variance-without",
    "lem-sgd-unbiased",
    by="independent",
)
def test_over_every_batch_there_is_mean_and_error_are_those_of_the_lemma(displayed, rng):
    rows = rng.normal(size=(5, 2))
    whole = column(rows.mean(axis=0))
    for size in (2, 3):
        names = {SLOPE_HERE: whole, "n": 5, "B": size, "s": np.sqrt(rows.var(axis=0).sum())}
        drawn = list(product(range(5), repeat=size)), list(combinations(range(5), size))
        with_, without = (
            [(1 / len(ways), {"g": column(rows[list(way)].mean(axis=0))}) for way in ways]
            for ways in drawn
        )
        assert displayed("eq-sgd-unbiased").holds(names, with_)
        assert displayed("eq-sgd-unbiased").holds(names, without)
        assert displayed("eq-sgd-variance").holds(names, with_)
        assert displayed("eq-sgd-variance-without").holds(names, without)


# Constant steps, and steps that shrink


STAR = -0.6


def tosses(n_steps, alphas, m, sigma, R):
    """Points on the bowl of curvature m, noise of length sigma, over all tosses of a coin."""
    worlds = []
    for signs in product([-1.0, 1.0], repeat=n_steps):
        path = [R]
        for alpha, sign in zip(alphas, signs, strict=False):
            path.append(path[-1] - alpha * (m * path[-1] + sign * sigma))
        worlds.append((0.5**n_steps, {"x": np.add(path, STAR)}))
    return worlds


@pytest.mark.proves("eq-sgd-noise", by="worst case")
def test_a_tossed_vector_is_noise_of_its_own_length(displayed, rng):
    slope, noise, elsewhere = rng.normal(size=(3, 3, 1))
    worlds = [
        (0.3, {"x": {2: elsewhere}, "g": {2: elsewhere}}),
        (0.35, {"x": {2: slope / 3}, "g": {2: slope + noise}}),
        (0.35, {"x": {2: slope / 3}, "g": {2: slope - noise}}),
    ]
    names = {SLOPE: lambda x: 3 * x, "x": {2: slope / 3}, K: 2}
    exact = {r"\sigma": np.linalg.norm(noise)}
    assert displayed("eq-sgd-noise").holds(names | exact, worlds, tight=True)
    assert displayed("eq-sgd-noise").holds(names | {r"\sigma": 3.0}, worlds)


@pytest.mark.proves("eq-sgd-contraction", "lem-sgd-contraction", by="worst case")
def test_on_the_flattest_bowl_a_step_comes_no_nearer_than_it_must(displayed, rng):
    x, star = rng.normal(size=(2, 3, 1))
    for A, m, is_flat in ((0.4 * np.eye(3), 0.4, True), (np.diag([0.4, 1.0, 1.7]), 0.4, False)):
        names = {SLOPE: lambda x, A=A: A @ (x - star), "x": x, "x^*": star, "m": m}
        for alpha in (0.3, 2 / (0.4 + 1.7)):
            assert displayed("eq-sgd-contraction").holds(names | {STEP: alpha}, tight=is_flat)


def test_beyond_the_longest_step_the_steepest_direction_is_the_slowest_up_to_two_over_m():
    curvatures, longest = np.array([0.1, 1.0]), stochastic.longest_step(0.1, 1.0)
    for alpha in (1.01 * longest, 1.99):
        after = np.abs(1 - alpha * curvatures)
        assert after.argmax() == 1
        assert after[1] == pytest.approx(alpha - 1)
        assert after[1] > stochastic.contraction_bound(1.0, alpha, 0.1)  # the lemma is at its end
    assert np.abs(1 - 0.99 * longest * curvatures).argmax() == 0
    assert np.max(np.abs(1 - 1.99 * curvatures) ** 3_000) < 1e-13  # yet it arrives
    assert np.max(np.abs(1 - 2.01 * curvatures) ** 3_000) > 1e12


@pytest.mark.proves("eq-sgd-constant", "eq-sgd-floor", "thm-sgd-constant", by="worst case")
def test_the_flattest_bowl_attains_the_bound_of_constant_steps_and_its_floor(displayed):
    m, sigma, R, alpha = 0.4, 0.7, 1.3, 0.9
    worlds = tosses(4, 4 * [alpha], m, sigma, R)
    q = ((R - alpha * m * R) / R) ** 2
    names = {"x^*": STAR, "q": q, "R": R, STEP: alpha, r"\sigma": sigma, "m": m}
    for k in (1, 2, 4):
        assert displayed("eq-sgd-constant").holds(names | {K: k}, worlds, tight=True)
    assert displayed("eq-sgd-constant").holds(names | {K: 4, r"\sigma": 0.9}, worlds)
    assert displayed("eq-sgd-floor").holds(names)
    assert displayed("eq-sgd-floor").holds(names | {STEP: 1 / m}, tight=True)  # if M = m


@pytest.mark.proves("eq-sgd-decaying", "eq-sgd-decaying-step", "thm-sgd-decaying", by="worst case")
def test_the_flattest_bowl_attains_the_bound_of_decaying_steps(displayed):
    m, M, sigma, R = 0.4, 2.0, 0.7, 1.3
    schedule = stochastic.decaying_schedule(m, M)
    k0, alphas = schedule.n_steps, schedule(np.arange(5))
    assert alphas[0] == pytest.approx(2 / (m + M))
    names = {"m": m, r"\kappa": M / m, "k_0": k0, "R": R, r"\sigma": sigma, "x^*": STAR}
    for k in (1, 2, 4):
        at = names | {STEP: alphas, K: k}
        assert displayed("eq-sgd-decaying-step").holds(at, tight=True)
        worlds = tosses(4, alphas, m, sigma, R)
        assert displayed("eq-sgd-decaying").holds(at, worlds, tight=True)
    longer = stochastic.decaying_schedule(m, M, k0=5)
    at = names | {STEP: longer(np.arange(5)), K: 3, "k_0": 5}
    assert displayed("eq-sgd-decaying-step").holds(at)
    assert displayed("eq-sgd-decaying").holds(
        at | {r"\sigma": 0.9}, tosses(4, at[STEP], m, sigma, R)
    )


# Schedules


@pytest.mark.proves(
    "eq-schedule-step", "eq-schedule-cosine", "eq-schedule-warm-up", by="independent"
)
def test_the_schedules_are_those_of_torch(displayed):
    first, n = 0.7, 5
    for length, k in ((5, 4), (5, 11), (1, 3)):
        make = partial(lr_scheduler.StepLR, step_size=length, gamma=0.3)
        names = {STEP: torch_rates(make, first, 12), r"\gamma": 0.3, "n": length, K: k}
        assert displayed("eq-schedule-step").holds(names | {ALPHA: first})
    cosine = torch_rates(partial(lr_scheduler.CosineAnnealingLR, T_max=n), first, n + 2)
    for k in (1, 3, n):
        names = {STEP: cosine, ALPHA: first, "n": n, K: k}
        assert displayed("eq-schedule-cosine").holds(names, tight=k == n)
    assert displayed("eq-schedule-cosine").fails(names | {K: n + 1})  # torch's rises again
    make = partial(lr_scheduler.LinearLR, start_factor=1 / n, total_iters=n - 1)
    warm_up = torch_rates(make, first, n)
    for k in (0, 2, n - 1):
        assert displayed("eq-schedule-warm-up").holds(names | {STEP: warm_up, K: k})


@pytest.mark.proves("eq-schedule-inverse", by="independent")
def test_with_inverse_steps_a_point_is_the_mean_of_all_that_it_was_drawn_to(displayed, rng):
    """The start counts n - 1 times: its step is what a new number moves their mean by."""
    start, y = rng.normal(), rng.normal(size=9)
    for n in (3, 4):
        means = [np.mean([start] * (n - 1) + list(y[:k])) for k in range(10)]
        rates = np.diff(means) / (y - means[:-1])
        for k in (1, 4, 8):
            names = {STEP: 5 * rates, ALPHA: 5 * rates[0], "n": n, K: k}
            assert displayed("eq-schedule-inverse").holds(names)


# Quantile regression in one pass


@pytest.mark.proves("eq-sgd-pinball", by="derivative")
def test_the_subgradient_is_the_slope_of_the_pinball_loss(displayed, rng):
    for tau in (0.3, 0.8):
        for y in rng.normal(size=6):
            x, theta = rng.normal(size=(2, 3))
            point = torch.tensor(theta, requires_grad=True)
            short = y - torch.tensor(x) @ point
            torch.maximum(tau * short, (tau - 1) * short).backward()
            names = {"x": {1: column(x)}, "y": {1: y}, "i": 1, r"\theta": column(theta)}
            g = column(point.grad.numpy())
            assert displayed("eq-sgd-pinball").holds(names | {"g": g, r"\tau": tau})
    on_the_line = {"y": {1: (x @ theta).item()}, "g": (1 - tau) * column(x), r"\tau": tau}
    assert displayed("eq-sgd-pinball").holds(names | on_the_line)


@pytest.mark.proves("eq-sgd-polynomial", by="independent")
def test_the_power_of_k_is_the_inverse_scaling_of_sklearn(displayed):
    model = SGDRegressor(
        penalty=None, fit_intercept=False, learning_rate="invscaling", eta0=0.3, power_t=0.6
    )
    at, rates = [0.0], []
    for _ in range(6):  # on one row, x = 1 and y = 1, the step is the rate times what is missing
        model.partial_fit([[1.0]], [1.0])
        at.append(model.coef_.item())
        rates.append((at[-1] - at[-2]) / (1 - at[-2]))
    for k in (0, 2, 5):
        names = {STEP: rates, ALPHA: 0.3, "a": 0.6, K: k}
        assert displayed("eq-sgd-polynomial").holds(names, rtol=1e-8)


@pytest.mark.proves("eq-sgd-average", by="independent")
def test_the_average_of_all_points_is_the_running_mean(displayed, rng):
    points, average = rng.normal(size=(5, 3, 1)), 0.0
    for k, point in enumerate(points, start=1):
        average = average + (point - average) / k
        names = {r"\bar\theta": {k: average}, r"\theta": one_based(points), K: k}
        assert displayed("eq-sgd-average").holds(names)


# Exercises


@pytest.mark.proves("eq-sgd-accumulation", by="independent")
def test_batch_gradients_weighted_by_size_add_up_to_that_of_torch(displayed, rng):
    _, slope, x = regression(rng, n=6)
    parts = [range(0, 3), range(3, 5), range(5, 6)]
    names = {
        SLOPE_HERE: slope(range(6), x),
        SLOPE: one_based([partial(slope, [i]) for i in range(6)]),
        r"\mathcal{B}": {j: np.array(part) + 1 for j, part in enumerate(parts, start=1)},
        "B": one_based([len(part) for part in parts]),
        "J": 3,
        "n": 6,
        "x": x,
    }
    assert displayed("eq-sgd-accumulation").holds(names)


def test_without_noise_a_short_constant_step_shrinks_the_mean_square_and_a_long_one_does_not(rng):
    rows = rng.normal(size=(20, 3))
    largest, m = (rows**2).sum(axis=1).max(), np.linalg.eigvalsh(rows.T @ rows / 20)[0]
    for share, is_short in ((0.3, True), (0.99, True), (4.0, False)):
        alpha = share * 2 / largest
        steps = np.eye(3) - alpha * rows[:, :, None] * rows[:, None, :]
        factors = np.linalg.eigvalsh((steps @ steps).mean(axis=0))  # of the mean squared distance
        assert (factors[-1] <= 1 - alpha * (2 - alpha * largest) * m + 1e-12) == is_short
        assert (factors[-1] < 1) == is_short


@pytest.mark.proves("eq-sgd-missed", by="truth")
def test_an_epoch_with_replacement_misses_one_row_in_e(displayed):
    for n in (1_000, 3_000):
        assert displayed("eq-sgd-missed").holds({"n": n}, near=1e-3)
