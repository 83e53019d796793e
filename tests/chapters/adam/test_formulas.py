"""The chapter's displays, evaluated as the page has them.

A run of a torch optimizer on given gradients gives points and averages; the averages corrected for
their start are those of pandas, the mean weighted by age.
"""

from functools import partial
from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch

from dlcourse.chapters.adam import counterexample
from dlcourse.losses import LogisticLoss
from tools.formula import one_based

BETA_1, BETA_2 = r"\beta_1", r"\beta_2"
X, M, V, V_MAX = "step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"


def followed(make, gradients, start=0.0):
    """Points of an optimizer of torch on these gradients, and the averages that it keeps.

    A gradient is an array or, at a single coordinate, a function of the point.
    """
    x = torch.nn.Parameter(torch.full(np.shape(gradients[0]), start, dtype=torch.float64))
    optimizer, kept = make([x]), []
    for gradient in gradients:
        x.grad = torch.as_tensor(gradient(x.item()) if callable(gradient) else gradient)
        x.grad = x.grad.to(x.dtype)
        optimizer.step()
        state = {name: value.numpy().copy() for name, value in optimizer.state[x].items()}
        kept.append(state | {X: x.detach().numpy().copy()})
    return {n: [np.full(x.shape, start * (n == X)), *(s[n] for s in kept)] for n in kept[0]}


def adam(alpha, betas, epsilon=0.0, make=torch.optim.Adam, **options):
    return partial(make, lr=alpha, betas=betas, eps=epsilon, **options)


def corrected(z, beta):
    """The weighted averages of pandas, from index 1."""
    return [None, *pd.DataFrame(z).ewm(alpha=1 - beta).mean().to_numpy().squeeze()]


# Adam from its parts


@pytest.mark.proves("eq-adam-mean", "eq-adam-mean-square", "eq-adam-unrolled", by="independent")
def test_the_averages_are_those_that_torch_keeps(displayed, rng):
    betas, g = (0.8, 0.7), rng.normal(size=6)
    run = followed(adam(0.1, betas), g)
    for k in (1, 2, 6):
        names = {"m": run[M], "v": run[V], "g": one_based(g), "k": k}
        recursion = names | {BETA_1: betas[0], BETA_2: betas[1]}
        assert displayed("eq-adam-mean").holds(recursion)
        assert displayed("eq-adam-mean-square").holds(recursion)
        assert displayed("eq-adam-unrolled").holds(names | {r"\beta": betas[0]})


@pytest.mark.proves("eq-adam-rmsprop", by="independent")
def test_the_scaled_gradient_is_the_rmsprop_of_torch(displayed, rng):
    g = rng.normal(size=4)
    run = followed(partial(torch.optim.RMSprop, lr=0.3, alpha=0.7, eps=0.2), g, start=1.7)
    names = {"x": run[X], "v": run["square_avg"], "g": one_based(g)}
    for k in (2, 4):
        settings = {r"\alpha": 0.3, r"\epsilon": 0.2, "k": k}
        assert displayed("eq-adam-rmsprop").holds(names | settings)


@pytest.mark.proves("eq-adam-bias", by="independent")
def test_the_start_at_zero_scales_the_mean_of_gradients_that_may_depend_on_each_other(
    displayed, rng
):
    shares, mu = rng.dirichlet(np.ones(5)), -1.3
    noise = rng.normal(size=(4, 5))
    run = followed(adam(0.1, (0.6, 0.9)), mu + noise - (noise @ shares)[:, None])
    worlds = [(share, {"m": [m[i] for m in run[M]]}) for i, share in enumerate(shares)]
    for k in (1, 2, 4):
        assert displayed("eq-adam-bias").holds({r"\mu": mu, r"\beta": 0.6, "k": k}, worlds)


@pytest.mark.proves("eq-adam-correction", "eq-adam-weights", by="independent")
def test_the_correction_makes_averages_whose_weights_sum_to_one(displayed, rng):
    betas, g = (0.8, 0.7), rng.normal(size=5)
    run = followed(adam(0.1, betas), g)
    for k in (1, 2, 5):
        names = {"m": run[M], "v": run[V], "g": one_based(g), "k": k}
        names |= {r"\hat m": corrected(g, betas[0]), r"\hat v": corrected(g**2, betas[1])}
        two = {BETA_1: betas[0], BETA_2: betas[1]}
        assert displayed("eq-adam-correction").holds(names | two)
        assert displayed("eq-adam-weights").holds(names | {r"\beta": betas[0]})


@pytest.mark.proves("eq-adam-variance", by="independent")
def test_the_variance_is_that_over_all_tosses(displayed):
    signs = np.array(list(product([-1.0, 1.0], repeat=4))).T
    sigma, beta = 1.7, 0.6
    averages = corrected(sigma * signs, beta)
    worlds = [(1 / 16, {r"\hat m": [None, *(m[i] for m in averages[1:])]}) for i in range(16)]
    for k in (1, 2, 4):
        assert displayed("eq-adam-variance").holds(
            {r"\sigma": sigma, r"\beta": beta, "k": k}, worlds
        )


@pytest.mark.proves("eq-adam-uncorrected", by="independent")
def test_the_uncorrected_length_is_what_the_averages_of_torch_give(displayed):
    betas, alpha = (0.8, 0.7), 0.3
    run = followed(adam(alpha, betas), np.full(5, -2.4))
    for k in (1, 2, 5):
        names = {r"\alpha": alpha, BETA_1: betas[0], BETA_2: betas[1], "k": k}
        length = alpha * abs(run[M][k]) / np.sqrt(run[V][k])
        assert np.isclose(displayed("eq-adam-uncorrected").value(names), length, rtol=1e-12)


@pytest.mark.proves("eq-adam-step", "eq-adamw-step", by="independent")
def test_the_steps_are_those_of_torch(displayed, rng):
    alpha, betas, epsilon, decay, g = 0.3, (0.8, 0.7), 0.2, 0.6, rng.normal(size=4)
    averages = {r"\hat m": corrected(g, betas[0]), r"\hat v": corrected(g**2, betas[1])}
    plain = followed(adam(alpha, betas, epsilon), g, start=1.7)
    make = adam(alpha, betas, epsilon, torch.optim.AdamW, weight_decay=decay)
    beside = followed(make, g, start=1.7)
    for k in (2, 4):
        names = averages | {r"\alpha": alpha, r"\epsilon": epsilon, "k": k}
        assert displayed("eq-adam-step").holds(names | {"x": plain[X]})
        assert displayed("eq-adamw-step").holds(names | {"x": beside[X], r"\lambda": decay})


# What scaling does


@pytest.mark.proves("eq-adam-root-kappa", by="independent")
def test_scaling_takes_the_root_of_the_condition_number(displayed):
    units, sigma = np.array([0.3, 5.0, 2.0]), 1.7
    design = np.array(list(product([-1.0, 1.0], repeat=4)))  # its last column tosses the errors
    features, errors = design[:, :3] * units, sigma * design[:, 3:]
    curvature = features.T @ features / 16
    size = np.sqrt(np.mean((features * errors) ** 2, axis=0))
    kappas = {
        r"\kappa_{\text{scaled}}": np.linalg.cond(curvature / size[:, None]),
        r"\kappa": np.linalg.cond(curvature),
    }
    names = {"s": one_based(units), "j": range(1, 4)}
    assert displayed("eq-adam-root-kappa").holds(names | kappas)


@pytest.mark.proves("eq-adam-invariance", by="independent")
def test_adam_passes_through_the_same_points_when_gradients_are_scaled(displayed, rng):
    scale, start = np.array([3.0, 0.2, 50.0]), torch.tensor(rng.normal(size=3))
    gradients, paths = [], []
    for weight in (torch.ones(3), torch.tensor(scale)):
        x = torch.nn.Parameter(start.clone())
        optimizer, seen = torch.optim.Adam([x], lr=0.1, eps=0.0), []
        for _ in range(4):
            optimizer.zero_grad()
            (weight * torch.cosh(x)).sum().backward()
            seen.append(x.grad.numpy()[:, None].copy())
            optimizer.step()
        gradients.append(one_based(np.array(seen)))
        paths.append(x.detach().numpy())
    np.testing.assert_allclose(*paths, rtol=1e-12)
    for k in (1, 4):
        names = {"g": gradients[0], "g'": gradients[1], "D": np.diag(scale), "k": k}
        assert displayed("eq-adam-invariance").holds(names)


# The longest step


def growing(k, beta_1, beta_2):
    """Gradients of which each is `beta_2 / beta_1` times the last one."""
    return 0.01 * (beta_2 / beta_1) ** np.arange(k)


@pytest.mark.proves("eq-adam-longest", "eq-adam-longest-limit", by="worst case")
def test_growing_gradients_make_the_longest_step(displayed):
    alpha = 0.3
    for betas in ((0.6, 0.7), (0.5, 0.4)):
        settings = {BETA_1: betas[0], BETA_2: betas[1], "r": betas[0] ** 2 / betas[1]}
        points = followed(adam(alpha, betas), growing(90, *betas))[X]
        for k in (1, 2, 5):
            length = abs(points[k] - points[k - 1]) / alpha
            assert displayed("eq-adam-longest").holds(settings | {"B": {k: length}, "k": k})
        last = abs(points[90] - points[89]) / alpha
        assert displayed("eq-adam-longest-limit").holds(settings | {r"B_\infty": last})


@pytest.mark.proves("eq-adam-proof-longest", by="worst case")
def test_growing_gradients_make_cauchy_schwarz_an_equality(displayed, rng):
    for betas in ((0.6, 0.7), (0.5, 0.4)):
        for k in (2, 4):
            worst = growing(k, *betas)
            for g, is_attained in ((worst, True), (rng.normal(size=k), False)):
                run = followed(adam(0.1, betas), g)
                names = {"m": run[M], "v": run[V], "g": one_based(g), "k": k}
                names |= {BETA_1: betas[0], BETA_2: betas[1], "r": betas[0] ** 2 / betas[1]}
                assert displayed("eq-adam-proof-longest").holds(names, tight=is_attained)


# A penalty inside Adam, or beside it


@pytest.mark.proves("eq-adamw-coupled", by="independent")
def test_the_weight_decay_of_torchs_adam_joins_the_gradient(displayed, rng):
    slopes = [partial(np.multiply, factor) for factor in rng.normal(size=4)]
    run = followed(adam(0.3, (0.0, 0.7), 0.2, weight_decay=0.6), slopes, start=1.7)
    for k in (1, 4):  # without a memory the average is what joined
        names = {"g": run[M], r"\nabla f": one_based(slopes), "x": run[X]}
        assert displayed("eq-adamw-coupled").holds(names | {r"\lambda": 0.6, "k": k})


@pytest.mark.proves("eq-adamw-shrinkage", by="independent")
def test_adamw_shrinks_the_mean_over_all_tosses_whatever_their_size(displayed):
    tosses = np.array(list(product([-1.0, 1.0], repeat=5))).T
    for size in (0.01, 50.0):
        make = adam(0.3, (0.8, 0.7), make=torch.optim.AdamW, weight_decay=0.6)
        points = followed(make, size * tosses, start=1.7)[X]
        names = {r"\mathbb{E}": np.mean, "x": points, r"x^{(0)}": 1.7}
        for k in (2, 5):
            settings = {r"\alpha": 0.3, r"\lambda": 0.6, "k": k}
            assert displayed("eq-adamw-shrinkage").holds(names | settings)


@pytest.mark.proves("eq-adamw-coupled-shrinkage", "lem-adamw-shrinkage", by="independent")
def test_inside_the_adam_of_torch_the_mean_shrinks_as_fast_as_the_memories_allow(displayed, rng):
    signs = rng.choice([-1.0, 1.0], size=(200, 500))
    noise = 6.0 * np.concatenate([signs, -signs], axis=1)
    shown = displayed("eq-adamw-coupled-shrinkage")
    for betas in ((0.6, 0.3), (0.3, 0.6), (0.9, 0.5)):
        points = followed(adam(0.02, betas, weight_decay=0.6), noise, start=2.0)[X]
        names = {r"\mathbb{E}": np.mean, "x": points, r"x^{(0)}": 2.0, "k": 200}
        meeting = sum(np.prod([(1 - beta) * beta**age for beta in betas]) for age in range(500))
        names |= {r"\alpha": 0.02, r"\lambda": 0.6, "s": 6.0, BETA_1: betas[0], BETA_2: betas[1]}
        assert shown.holds(names | {r"\rho": meeting})
    assert np.mean(followed(adam(0.02, (0.0, 0.0), weight_decay=0.6), noise, 2.0)[X][-1]) == 2.0


@pytest.mark.proves("eq-adamw-rest", by="independent")
def test_adamw_rests_where_the_penalty_weighs_each_coordinate_by_its_divisor(displayed, rng):
    X_, lam, d = rng.normal(size=(30, 3)), 0.4, np.array([0.2, 1.0, 5.0])
    f = LogisticLoss(X_, (X_[:, 0] + rng.normal(size=30) > 0).astype(float))
    x = np.zeros(3)
    for _ in range(2_000):
        x = (1 - 0.05 * lam) * x - 0.05 * f(x)[1] / d
    shown = displayed("eq-adamw-rest")
    names = {"f": lambda x: f(x.values)[0], r"\lambda": lam, "d": one_based(d), "j": range(1, 4)}
    lowest = shown.value(names | {"x": one_based(x)})
    for move in 0.01 * rng.normal(size=(3, 3)):
        rise = f(x + move)[0] - f(x)[0] + lam * (d * (x + move / 2)) @ move
        assert rise > 0
        moved = shown.value(names | {"x": one_based(x + move)})
        assert np.isclose(moved - lowest, rise, rtol=1e-9, atol=0)


# Where it breaks


@pytest.mark.proves("eq-adam-epsilon", "eq-adam-epsilon-inside", by="independent")
def test_a_constant_gradient_makes_steps_as_long_as_torch_takes_them(displayed):
    alpha = 0.3
    for g, epsilon in ((-2.4, 0.7), (0.3, 2.0)):
        names = {r"\alpha": alpha, "g": g, r"\epsilon": epsilon}
        points = followed(adam(alpha, (0.8, 0.7), epsilon), np.full(3, g))[X]
        outside = abs(points[3] - points[2])
        inside = alpha * torch.nn.functional.rms_norm(torch.tensor([g]).double(), [1], eps=epsilon)
        assert np.isclose(displayed("eq-adam-epsilon").value(names), outside, rtol=1e-12)
        assert np.isclose(displayed("eq-adam-epsilon-inside").value(names), abs(inside.item()))


@pytest.mark.proves("eq-amsgrad-losses", by="independent")
def test_the_losses_have_the_slopes_of_the_packages_cycle(displayed):
    slopes = np.tile(counterexample.rare_spike(), 2)
    names = {"f": lambda t: lambda x: slopes[t - 1] * x}
    for t in (1, 2, 10, 101, 102, 103):
        for x in (-0.7, 0.4):
            assert displayed("eq-amsgrad-losses").holds(names | {"t": t, "x": x})


@pytest.mark.proves("eq-amsgrad-step", by="independent")
def test_amsgrad_is_that_of_torch(displayed, rng):
    alpha, betas, epsilon = 0.3, (0.8, 0.7), 0.2
    g = rng.normal(size=6) * np.array([1.0, 3.0, 0.3, 0.2, 4.0, 0.1])
    run = followed(adam(alpha, betas, epsilon, amsgrad=True), g, start=1.7)
    means, points = corrected(g, betas[0]), np.array(run[X])
    divisors = [None, *alpha * np.array(means[1:]) / -np.diff(points) - epsilon]
    names = {"x": run[X], "v": run[V], r"v^{\max}": run[V_MAX], r"\hat m": means}
    names |= {r"\hat w": [None, *np.square(divisors[1:])], BETA_2: betas[1]}
    for k in (2, 4, 6):
        settings = {r"\alpha": alpha, r"\epsilon": epsilon, "k": k}
        assert displayed("eq-amsgrad-step").holds(names | settings)


@pytest.mark.proves("eq-amsgrad-divisors", "eq-amsgrad-cycle", by="independent")
def test_a_settled_cycle_of_three_moves_adam_up_and_amsgrad_down(displayed):
    alpha = 0.3
    for C in (2.3, 3.0):
        betas, slopes = (0.0, 1 / (1 + C**2)), np.tile([C, -1.0, -1.0], 20)
        plain, repaired = (
            followed(adam(alpha, betas, amsgrad=keeps), slopes) for keeps in (False, True)
        )
        names = {"C": C, BETA_2: betas[1], "v": one_based(plain[V][-3:])}
        assert displayed("eq-amsgrad-divisors").holds(names)
        up, down = ((run[X][-1] - run[X][-4]) / alpha for run in (plain, repaired))
        assert displayed("eq-amsgrad-cycle").holds(names | {"c_1": up, "c_2": -down})


@pytest.mark.proves("eq-adam-lag", by="independent")
def test_the_corrected_average_lags_behind_a_trend(displayed, rng):
    a, b, beta = 3.0, -0.7, 0.6
    shares, noise = rng.dirichlet(np.ones(4)), rng.normal(size=(6, 4))
    g = (a + b * np.arange(1, 7) - noise @ shares)[:, None] + noise
    means = corrected(g, beta)
    worlds = [
        (share, {"g": one_based(g[:, i]), r"\hat m": [None, *(m[i] for m in means[1:])]})
        for i, share in enumerate(shares)
    ]
    for k in (1, 2, 6):
        assert displayed("eq-adam-lag").holds({"b": b, r"\beta": beta, "k": k}, worlds)
