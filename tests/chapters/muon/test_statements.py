"""What the chapter on Muon states: its theorems, lemmas and equations, and its exercises."""

from functools import partial
from math import sqrt

import numpy as np
import pytest
import scipy.linalg
import scipy.special
import sympy
import torch

from dlcourse.chapters.muon.attention import Heads, clip_factor, toy_heads
from dlcourse.chapters.muon.matrix_regression import World
from dlcourse.chapters.muon.matrix_regression import path as regression_path
from dlcourse.chapters.muon.orthogonalization import (
    CLASSICAL,
    composite,
    invariant_band,
    newton_schulz_flops,
    polar_factor,
    polynomial,
    rms,
    runaway,
    turning_points,
)
from dlcourse.optim import Muon, jordan_scale, moonlight_scale, newton_schulz
from dlcourse.optim.muon import qk_clip
from tests.library.optim.paths import noisy_bowl, path, torch_path

SHAPES = [(6, 6), (8, 3), (3, 8), (1, 5)]
every_shape = pytest.mark.parametrize("shape", SHAPES)
S, A, B, C = sympy.symbols("s a b c")
PHI = A * S + B * S**3 + C * S**5
MUON = {A: sympy.Rational("3.4445"), B: sympy.Rational("-4.7750"), C: sympy.Rational("2.0315")}


def orthogonal(rng, p, q):
    """A random matrix whose singular values are all 1."""
    tall = np.linalg.qr(rng.normal(size=(max(p, q), min(p, q))))[0]
    return tall if p >= q else tall.T


def norms(x):
    """Frobenius, spectral and nuclear."""
    return [np.linalg.norm(x, kind) for kind in ("fro", 2, "nuc")]


# The nearest orthogonal matrix


@pytest.mark.proves("eq-muon-svd", by="independent")
@every_shape
def test_a_matrix_is_the_sum_of_its_proposals(shape, rng):
    G = rng.normal(size=shape)
    U, s, Vt = np.linalg.svd(G, full_matrices=False)
    np.testing.assert_allclose(sum(s[i] * np.outer(U[:, i], Vt[i]) for i in range(len(s))), G)
    squares = np.linalg.eigvalsh(G @ G.T)[::-1][: min(shape)]
    np.testing.assert_allclose(s, np.sqrt(squares), rtol=1e-9)


@pytest.mark.proves("eq-muon-polar", by="independent")
@every_shape
def test_the_polar_factor_is_that_of_scipy_and_of_the_inverse_root(shape, rng):
    G = rng.normal(size=shape)
    side = "right" if shape[0] >= shape[1] else "left"
    np.testing.assert_allclose(polar_factor(G), scipy.linalg.polar(G, side)[0], atol=1e-12)
    tall = G if shape[0] >= shape[1] else G.T
    root = np.linalg.inv(scipy.linalg.sqrtm(tall.T @ tall))
    np.testing.assert_allclose(
        polar_factor(G), tall @ root if tall is G else (tall @ root).T, atol=1e-9
    )


@pytest.mark.proves("thm-muon-polar", "eq-muon-nearest", by="instances")
@every_shape
def test_no_orthogonal_matrix_is_nearer_than_the_polar_factor(shape, rng):
    G = rng.normal(size=shape)
    s = np.linalg.svd(G, compute_uv=False)
    least = np.sum((s - 1) ** 2)
    assert np.linalg.norm(G - polar_factor(G)) ** 2 == pytest.approx(least)
    for _ in range(300):
        other = orthogonal(rng, *shape)
        near = polar_factor(polar_factor(G) + 0.1 * rng.normal(size=shape))
        assert np.linalg.norm(G - other) ** 2 > least
        assert np.linalg.norm(G - near) ** 2 >= least


@pytest.mark.proves("thm-muon-polar", by="worst case")
def test_without_full_rank_another_matrix_is_as_near():
    G = np.diag([2.0, 0.0])
    distances = [np.linalg.norm(G - np.diag([1.0, sign])) for sign in (1.0, -1.0)]
    assert distances[0] == distances[1]


@pytest.mark.proves("eq-muon-proof-expand", by="instances")
@every_shape
def test_the_distance_to_an_orthogonal_matrix_expands_as_written(shape, rng):
    G, Q = rng.normal(size=shape), orthogonal(rng, *shape)
    s = np.linalg.svd(G, compute_uv=False)
    written = np.sum(s**2) - 2 * np.sum(G * Q) + min(shape)
    assert np.linalg.norm(G - Q) ** 2 == pytest.approx(written)


@pytest.mark.proves("eq-muon-turns", by="instances")
@every_shape
def test_the_polar_factor_turns_with_the_coordinates_and_the_signs_do_not(shape, rng):
    G, P, R = rng.normal(size=shape), *(orthogonal(rng, n, n) for n in shape)
    np.testing.assert_allclose(polar_factor(P @ G @ R), P @ polar_factor(G) @ R, atol=1e-10)
    assert np.abs(np.sign(P @ G @ R) - P @ np.sign(G) @ R).max() > 0.1


# Steepest descent


@pytest.mark.proves("eq-muon-output-change", by="instances")
@every_shape
def test_the_spectral_norm_bounds_the_change_of_every_output(shape, rng):
    D, x = rng.normal(size=shape), rng.normal(size=(200, shape[0]))
    bound = norms(D)[1] * np.linalg.norm(x, axis=1)
    assert (np.linalg.norm(x @ D, axis=1) <= bound * (1 + 1e-12)).all()
    worst = np.linalg.svd(D)[0][:, 0]
    assert np.linalg.norm(worst @ D) == pytest.approx(norms(D)[1])


@pytest.mark.proves("thm-muon-steepest", "eq-muon-steepest", by="instances")
@every_shape
def test_no_step_of_the_same_spectral_norm_is_steeper(shape, rng):
    G, alpha = rng.normal(size=shape), 0.3
    best = -alpha * norms(G)[2]
    assert np.sum(G * -alpha * polar_factor(G)) == pytest.approx(best)
    for _ in range(300):
        D = rng.normal(size=shape)
        near = -polar_factor(G) + 0.1 * D
        for step in (D, near):
            assert np.sum(G * step) * alpha / norms(step)[1] >= best * (1 + 1e-12)


@pytest.mark.proves("eq-muon-steepest-penalty", by="instances")
@every_shape
def test_no_step_does_better_with_the_penalty(shape, rng):
    G, L = rng.normal(size=shape), 2.0

    def penalized(D):
        return np.sum(G * D) + L / 2 * norms(D)[1] ** 2

    ours = -norms(G)[2] / L * polar_factor(G)
    best = penalized(ours)
    assert best == pytest.approx(-(norms(G)[2] ** 2) / (2 * L))
    for _ in range(300):
        D = rng.normal(size=shape)
        for step in (D, ours + 0.1 * D):
            longest = -np.sum(G * step) / (L * norms(step)[1] ** 2)  # the best multiple of it
            assert penalized(longest * step) >= best * (1 + 1e-12)


# Newton-Schulz


@pytest.mark.proves("eq-newton-schulz-start", "eq-newton-schulz", by="independent")
@pytest.mark.parametrize("shape", [(6, 6), (3, 8), (8, 3)])
def test_newton_schulz_is_what_torch_computes_without_its_rounding(shape, rng, monkeypatch):
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)
    G = rng.normal(size=shape)
    for n_iterations in (0, 1, 5):
        theirs = torch.optim._muon._zeropower_via_newtonschulz(
            torch.from_numpy(G), (3.4445, -4.7750, 2.0315), n_iterations, 1e-7
        )
        np.testing.assert_allclose(newton_schulz(G, n_iterations), theirs, atol=1e-12)


@pytest.mark.proves("lem-newton-schulz", "eq-newton-schulz-polynomial", by="symbolic")
def test_an_iteration_is_the_polynomial_of_the_singular_values():
    s1, s2 = sympy.symbols("s1 s2")
    turned = sympy.Matrix([[2, -2, 1], [1, 2, 2], [2, 1, -2]]) / 3  # orthogonal, and exact
    U, V = turned[:, :2], sympy.Matrix([[3, -4], [4, 3]]) / 5
    X = U * sympy.diag(s1, s2) * V.T
    gram = X * X.T
    after = A * X + (B * gram + C * gram * gram) * X
    expected = U * sympy.diag(PHI.subs(S, s1), PHI.subs(S, s2)) * V.T
    assert (after - expected).expand() == sympy.zeros(3, 2)


@pytest.mark.proves("eq-newton-schulz-composite", by="independent")
@every_shape
def test_all_iterations_are_the_composite_on_the_shares_of_the_norm(shape, rng):
    G = rng.normal(size=shape)
    U, s, Vt = np.linalg.svd(G, full_matrices=False)
    for n_iterations in (1, 3, 5):
        landed = [s_i / np.linalg.norm(s) for s_i in s]
        for _ in range(n_iterations):
            landed = [float(PHI.subs(MUON).subs(S, value)) for value in landed]
        np.testing.assert_allclose(
            newton_schulz(G, n_iterations), U * landed @ Vt, rtol=0, atol=1e-11
        )
        np.testing.assert_allclose(composite(s / np.linalg.norm(s), n_iterations), landed)


@pytest.mark.proves("lem-newton-schulz-band", "eq-newton-schulz-band", by="symbolic")
def test_the_band_is_mapped_into_itself_and_nothing_settles_in_it():
    phi = PHI.subs(MUON)
    slope = sympy.diff(phi, S)
    top, bottom = sorted(root for root in sympy.real_roots(slope) if root > 0)
    high, low = phi.subs(S, top), phi.subs(S, bottom)
    assert sympy.diff(slope, S).subs(S, top) < 0 < sympy.diff(slope, S).subs(S, bottom)
    assert [round(float(x), 3) for x in (low, high, top, bottom)] == [0.682, 1.202, 0.555, 1.050]
    assert top < low < bottom < high  # so on the band phi falls, then rises
    ends = [phi.subs(S, end) for end in (low, high)]
    assert all(low <= end < high for end in ends)
    assert [round(float(end), 3) for end in ends] == [1.134, 0.947]
    assert 1.66 < float((phi / S).subs(S, low)) < 1.665
    assert sympy.diff(phi / S, S).subs(S, low / 2) < 0
    (fixed,) = (x for x in sympy.real_roots((phi - S) / S) if low < x < high)
    assert round(float(fixed), 3) == 0.868
    assert round(float(slope.subs(S, fixed)), 2) == -1.58
    np.testing.assert_allclose(invariant_band(), [float(low), float(high)], rtol=1e-12)
    np.testing.assert_allclose(turning_points(), [float(top), float(bottom)], rtol=1e-12)
    (away,) = (x for x in sympy.real_roots((phi - S) / S) if x > high)
    assert runaway() == pytest.approx(float(away), rel=1e-12)


@pytest.mark.proves("lem-newton-schulz-band", by="instances")
def test_singular_values_grow_into_the_band_and_stay(rng):
    low, high = invariant_band()
    s = np.exp(rng.uniform(np.log(1e-9), 0.0, 2_000))
    for _ in range(60):
        after = polynomial(s)
        assert (after <= high + 1e-12).all()
        assert (after[s < low] > 1.66 * s[s < low]).all()
        assert (after[s >= low] >= low - 1e-12).all()
        s = after
    assert (s >= low - 1e-12).all()
    assert s.std() > 0.05  # they do not settle


# The optimizer


def plain_muon(gradient, W, rates, decay, r):
    """The algorithm as the chapter writes it, singular values and all."""
    bar, points = np.zeros_like(W), [W]
    for k, alpha in enumerate(rates):
        G = gradient(k, W)
        bar = 0.95 * bar + G
        U, s, Vt = np.linalg.svd(G + 0.95 * bar, full_matrices=False)
        step = U * composite(s / np.sqrt(np.sum(s**2))) @ Vt
        W = (1 - alpha * decay) * W - alpha * r * step
        points.append(W)
    return np.stack(points)


@pytest.mark.proves("alg-muon", "eq-muon-velocity", "eq-muon-step", by="independent")
@pytest.mark.parametrize("shape", [(5, 5), (6, 3), (3, 6)])
@pytest.mark.parametrize("scale", [jordan_scale, moonlight_scale])
def test_the_algorithm_is_muon(shape, scale, rng):
    gradient, W = noisy_bowl(rng, shape), rng.normal(size=shape)
    rates = 0.1 / (1 + np.arange(12))
    optimizer = Muon(lambda k, x, grad: rates[k], weight_decay=0.3, scale=scale)
    ours = path(optimizer, W, gradient, len(rates))
    theirs = plain_muon(gradient, W, rates, 0.3, scale(*shape))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-7)


@pytest.mark.proves("alg-muon", by="independent")
@pytest.mark.parametrize("adjust", ["original", "match_rms_adamw"])
def test_muon_agrees_with_torch_as_far_as_bfloat16_goes(adjust, rng):
    gradient, x0 = noisy_bowl(rng, (24, 16)), rng.normal(size=(24, 16))
    scale = {"original": jordan_scale, "match_rms_adamw": moonlight_scale}[adjust]
    make = partial(torch.optim.Muon, lr=0.02, weight_decay=0.1, adjust_lr_fn=adjust)
    theirs = torch_path(make, x0, gradient, n_steps=40)
    ours = path(
        Muon(0.02, weight_decay=0.1, scale=scale), x0.T, lambda k, x: gradient(k, x.T).T, 40
    )
    distance = np.linalg.norm(ours[-1].T - theirs[-1]) / np.linalg.norm(theirs[-1] - x0)
    assert 0 < distance < 0.02


def test_adding_or_averaging_gradients_makes_no_difference(rng):
    G = rng.normal(size=(5, 4))
    np.testing.assert_allclose(newton_schulz(0.05 * G), newton_schulz(G), atol=1e-12)


@pytest.mark.proves("lem-muon-rms", "eq-muon-rms", "eq-muon-output-rms", by="instances")
@pytest.mark.parametrize("shape", [(16, 16), (16, 48), (48, 16)])
def test_an_orthogonal_step_has_the_stated_size(shape, rng):
    p, q = shape
    step = orthogonal(rng, p, q)
    assert rms(step) == pytest.approx(1 / sqrt(max(p, q)))
    x = rng.normal(size=(40_000, p))
    squares = np.sum((x @ step) ** 2, axis=1) / q
    four_errors = 4 * squares.std() / np.sqrt(len(x))
    assert squares.mean() == pytest.approx(min(1, p / q), abs=four_errors)


@pytest.mark.proves("eq-muon-jordan", "eq-muon-moonlight", by="independent")
@pytest.mark.parametrize("shape", [(16, 16), (16, 48), (48, 16)])
def test_the_factors_are_those_of_torch_and_even_out_what_they_claim(shape, rng):
    (p, q), adjust = shape, torch.optim._muon._adjust_lr
    stored = torch.Size((q, p))  # torch stores the transpose
    assert jordan_scale(p, q) == pytest.approx(adjust(1.0, "original", stored))
    assert moonlight_scale(p, q) == pytest.approx(adjust(1.0, "match_rms_adamw", stored))
    step = orthogonal(rng, p, q)
    assert moonlight_scale(p, q) * rms(step) == pytest.approx(0.2)
    outputs = jordan_scale(p, q) * np.linalg.norm(step) / np.sqrt(q)  # rms for inputs of rms one
    assert outputs == pytest.approx(1.0)


@pytest.mark.proves("lem-muon-decay", "eq-muon-decay-bound", "eq-muon-proof-decay", by="instances")
@pytest.mark.parametrize("alpha", [0.02, 0.5, 1.0])
def test_weight_decay_bounds_the_matrix_whatever_the_gradients(alpha, rng):
    decay, shape = 1.0, (6, 4)
    bound = invariant_band()[1] * jordan_scale(*shape) / decay
    for start in (np.zeros(shape), 5 * orthogonal(rng, *shape)):
        ceiling = max(norms(start)[1], bound)
        drift = rng.normal(size=shape)
        points = path(
            Muon(alpha, weight_decay=decay),
            start,
            lambda k, W, drift=drift: drift + 0.1 * rng.normal(size=shape),
            300,
        )
        assert max(norms(W)[1] for W in points) <= ceiling * (1 + 1e-12)


@pytest.mark.proves("lem-muon-decay", by="worst case")
def test_without_decay_the_matrix_grows_as_long_as_gradients_agree():
    points = path(Muon(0.1), np.zeros((4, 4)), lambda k, W: -np.eye(4), 200)
    assert norms(points[-1])[1] > 10
    held = path(Muon(0.1, weight_decay=1.0), np.zeros((4, 4)), lambda k, W: -np.eye(4), 200)
    assert norms(held[-1])[1] > 0.5  # near the bound, which is not idle


class Counted(np.ndarray):
    """An array that counts the floating point operations of its matrix products."""

    flops = 0

    def __matmul__(self, other):
        Counted.flops += 2 * self.shape[0] * self.shape[1] * other.shape[1]
        return np.matmul(self.view(np.ndarray), other.view(np.ndarray)).view(Counted)


@pytest.mark.proves("eq-muon-overhead", by="independent")
@pytest.mark.parametrize("shape", [(7, 7), (4, 9), (9, 4)])
def test_the_products_of_newton_schulz_cost_what_is_stated(shape, rng):
    p, q = shape
    Counted.flops = 0
    newton_schulz(rng.normal(size=shape).view(Counted))
    assert Counted.flops == newton_schulz_flops(p, q)
    d, D = min(shape), max(shape)
    assert newton_schulz_flops(p, q) == 5 * (4 * d**2 * D + 2 * d**3)
    n_rows = 3
    x, W = rng.normal(size=(n_rows, p)).view(Counted), rng.normal(size=shape).view(Counted)
    Counted.flops = 0
    y = x @ W  # forward
    x.T @ y  # the gradient of the weights
    y @ W.T  # and that of the inputs
    layer = Counted.flops
    assert layer == 6 * p * q * n_rows
    assert newton_schulz_flops(p, q) / layer <= 5 * d / n_rows


# Known truth


@pytest.mark.proves("eq-muon-matrix-regression", by="derivative")
def test_the_gradient_of_the_regression_is_the_derivative_of_its_mean_square(rng):
    X, W_star, W = rng.normal(size=(9, 3)), rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    moments = X.T @ X / 9  # for x drawn from these rows the expectation is a mean

    def f(W):
        return 0.5 * np.mean(np.sum((X @ (W - W_star)) ** 2, axis=1))

    error = W - W_star
    assert f(W) == pytest.approx(0.5 * np.trace(error.T @ moments @ error))
    for _ in range(5):
        along = rng.normal(size=W.shape)
        slope = (f(W + 1e-6 * along) - f(W - 1e-6 * along)) / 2e-6
        assert slope == pytest.approx(np.sum(moments @ error * along), rel=1e-6)


def polar_descent(A, W, W_star, alpha, n_steps):
    points = [W]
    for _ in range(n_steps):
        W = W - alpha * polar_factor(A @ (W - W_star))
        points.append(W)
    return points


@pytest.mark.proves("thm-muon-condition", "eq-muon-straight", by="instances")
@pytest.mark.parametrize("kappa", [1.0, 1e3, 1e6])
@pytest.mark.parametrize("shape", [(5, 5), (4, 7)])
def test_the_condition_number_drops_out(kappa, shape, rng):
    p, q = shape
    axes, Q, W_star = orthogonal(rng, p, p), orthogonal(rng, p, q), rng.normal(size=shape)
    A = axes * np.geomspace(1, 1 / kappa, p) @ axes.T
    points = polar_descent(A, W_star + 2.0 * Q, W_star, 0.25, 7)
    for k, W in enumerate(points):
        np.testing.assert_allclose(W - W_star, (2.0 - 0.25 * k) * Q, atol=1e-7)


@pytest.mark.proves("thm-muon-condition", by="worst case")
def test_the_condition_number_matters_again_without_its_hypotheses(rng):
    kappa = 1e3
    for p, q in [(6, 3), (5, 5)]:
        axes = orthogonal(rng, p, p)
        A = axes * np.geomspace(1, 1 / kappa, p) @ axes.T
        # More inputs than outputs, or directions that count differently.
        Q = orthogonal(rng, p, q) if p > q else orthogonal(rng, p, q) * np.geomspace(1, 0.1, q)
        (_, after) = polar_descent(A, Q, np.zeros((p, q)), 0.05, 1)
        assert norms(after - 0.95 * Q)[1] > 0.01


# Attention logits


@pytest.mark.proves("eq-qk-logits", "eq-qk-logit-bound", by="independent")
def test_logits_are_those_that_torch_softmaxes_and_stay_below_the_bound(rng):
    X, W_q, W_k = rng.normal(size=(7, 6)), rng.normal(size=(6, 4)), rng.normal(size=(6, 4))
    heads = Heads(W_q[None], W_k[None], np.zeros((1, 6, 0)), np.zeros((6, 0)))
    (logits,) = heads.logits(X)
    query, key, value = (torch.from_numpy(x)[None] for x in (X @ W_q, X @ W_k, np.eye(7)))
    theirs = torch.nn.functional.scaled_dot_product_attention(query, key, value)[0]
    np.testing.assert_allclose(scipy.special.softmax(logits, axis=1), theirs, atol=1e-12)
    lengths = np.linalg.norm(X, axis=1)
    bound = np.outer(lengths, lengths) / np.sqrt(4) * norms(W_q)[1] * norms(W_k)[1]
    assert (np.abs(logits) <= bound).all()


@pytest.mark.proves("eq-qk-clip", "eq-qk-clip-weights", by="truth")
def test_one_clip_takes_a_logit_of_1444_to_100(rng):
    X, W_q, W_k = rng.normal(size=(30, 16)), rng.normal(size=(16, 8)), rng.normal(size=(16, 8))

    def logits(W_q, W_k):
        return (X @ W_q) @ (X @ W_k).T / np.sqrt(8)

    W_q *= 1444 / logits(W_q, W_k).max()
    before, after = logits(W_q, W_k), logits(*qk_clip(W_q, W_k, logits(W_q, W_k).max()))
    assert before.max() == pytest.approx(1444)
    assert after.max() == pytest.approx(100, rel=1e-12)
    np.testing.assert_allclose(after, before * 100 / 1444, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(clip_factor(np.array([1444.0, 40.0])), [100 / 1444, 1.0])


@pytest.mark.proves("lem-qk-clip", "eq-qk-clip-latent", by="instances")
def test_a_clip_of_latent_attention_is_exact_and_leaves_the_other_heads(rng):
    X = rng.normal(size=(12, 20))
    heads = toy_heads(X, [900.0, 30.0, 150.0], rng, d=5, d_rotary=3)
    before, largest = heads.logits(X), heads.largest_logits(X)
    clipped = heads.clipped(largest, threshold=100.0)
    after, gamma = clipped.logits(X), np.minimum(1, 100 / largest)
    np.testing.assert_allclose(after, gamma[:, None, None] * before, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(clipped.largest_logits(X), [100.0, 30.0, 100.0])
    for name, power in {"W_q": 0.5, "W_k": 0.5, "W_qr": 1.0}.items():
        factor = (gamma**power)[:, None, None]
        np.testing.assert_allclose(getattr(clipped, name), factor * getattr(heads, name))
    np.testing.assert_array_equal(clipped.W_kr, heads.W_kr)


@pytest.mark.proves("lem-qk-clip", by="worst case")
def test_scaling_the_shared_keys_would_change_the_other_heads(rng):
    X = rng.normal(size=(12, 20))
    heads = toy_heads(X, [900.0, 90.0], rng, d=5, d_rotary=3)
    root = np.sqrt(clip_factor(heads.largest_logits(X))[0])
    shared = heads._replace(W_kr=root * heads.W_kr)
    assert np.abs(shared.logits(X)[1] - heads.logits(X)[1]).max() > 1


# Exercises


@pytest.mark.parametrize("shape", [(4, 4), (6, 3)])
def test_each_measure_of_a_step_has_the_stated_steepest_step(shape, rng):
    G, alpha = rng.normal(size=shape), 0.2
    rows = np.linalg.norm(G, axis=1, keepdims=True)
    steepest = {
        "frobenius": (lambda D: np.linalg.norm(D), G / np.linalg.norm(G)),
        "entry": (lambda D: np.abs(D).max(), np.sign(G)),
        "row": (lambda D: np.linalg.norm(D, axis=1).max(), G / rows),
    }
    for measure, direction in steepest.values():
        assert measure(direction) == pytest.approx(1.0)
        best = np.sum(G * -alpha * direction)
        for _ in range(200):
            D = rng.normal(size=shape)
            for other in (D, -direction + 0.1 * D):
                assert np.sum(G * other) * alpha / measure(other) >= best - 1e-12


def test_adam_without_averages_takes_the_sign_of_the_gradient(rng):
    G = rng.normal(size=6)
    parameter = torch.nn.Parameter(torch.zeros(6).double())
    parameter.grad = torch.from_numpy(G)
    torch.optim.Adam([parameter], lr=0.2, betas=(0.0, 0.0), eps=0.0).step()
    np.testing.assert_allclose(parameter.detach(), -0.2 * np.sign(G))


def test_a_step_of_an_embedding_changes_an_output_by_its_row(rng):
    table, D = rng.normal(size=(9, 4)), rng.normal(size=(9, 4))
    words = np.eye(9)
    change = np.linalg.norm(words @ (table + D) - words @ table, axis=1)
    np.testing.assert_allclose(change, np.linalg.norm(D, axis=1))


@pytest.mark.proves("eq-newton-schulz-classical", by="symbolic")
def test_the_classical_coefficients_solve_their_conditions_and_cube_the_error():
    at_one = [sympy.diff(PHI, S, order).subs(S, 1) for order in range(4)]
    solution = sympy.solve([at_one[0] - 1, at_one[1], at_one[2]], [A, B, C])
    assert [float(solution[x]) for x in (A, B, C)] == list(CLASSICAL)
    assert at_one[3].subs(solution) == 15
    e = sympy.Symbol("e")
    error = sympy.series(1 - PHI.subs(solution).subs(S, 1 - e), e, 0, 4).removeO()
    assert sympy.expand(error - sympy.Rational(15, 6) * e**3) == 0
    growth = [float(A.subs(solution) ** 5), float(A.subs(MUON) ** 5)]
    assert [round(x) for x in growth] == [23, 485]
    s = composite(np.array([0.05, 0.5, 1.0]), 12, CLASSICAL)
    np.testing.assert_allclose(s, 1.0, atol=1e-12)


@pytest.mark.proves("eq-muon-swing", by="instances")
def test_with_a_fixed_step_each_singular_value_of_the_error_swings(rng):
    W_star, alpha, d = rng.normal(size=(5, 4)), 0.1, 4
    e = np.array([1.23, 0.87, 0.55, 0.31])
    error = orthogonal(rng, 5, 4) * e @ orthogonal(rng, 4, 4)
    W, distances = W_star + error, []
    for _ in range(60):
        W = W - alpha * polar_factor(W - W_star)
        e = np.abs(e - alpha)
        found = np.linalg.svd(W - W_star, compute_uv=False)
        np.testing.assert_allclose(found, np.sort(e)[::-1], atol=1e-9)
        distances.append(np.linalg.norm(W - W_star))
    assert np.abs(e).max() < alpha
    late = np.array(distances[-20:])
    np.testing.assert_allclose(late[2:], late[:-2], atol=1e-9)  # to and fro, for ever
    assert late.min() > 0.5 * alpha * np.sqrt(d) / 2


def test_the_swings_end_between_half_the_step_and_its_half_root_and_even_ones_at_its_third():
    alpha, d = 0.1, 400
    even = (np.arange(d) + 0.5) / d * alpha
    ends = {"half": np.full(d, alpha / 2), "apart": np.where(even < alpha / 2, 0, alpha)}
    found = {}
    for how, e in (ends | {"even": even}).items():
        swung = np.abs(e - alpha)
        np.testing.assert_allclose(np.abs(swung - alpha), e, atol=1e-15)  # to and fro
        found[how] = np.sqrt((e @ e + swung @ swung) / 2) / alpha
    assert found["half"] == pytest.approx(np.sqrt(d) / 2)
    assert found["apart"] == pytest.approx(np.sqrt(d / 2))
    assert found["even"] == pytest.approx(np.sqrt(d / 3), rel=1e-5)


def test_simulated_swings_end_where_even_ones_do_and_not_at_half(rng):
    alpha, d = 0.3, 12
    W = rng.normal(size=(50, d, d))
    for _ in range(30):
        W = W - alpha * polar_factor(W)
    pair = [np.linalg.norm(step, axis=(1, 2)) for step in (W, W - alpha * polar_factor(W))]
    shares = np.sqrt((pair[0] ** 2 + pair[1] ** 2) / 2) / (alpha * np.sqrt(d))
    assert (0.5 < shares).all()
    assert (shares < np.sqrt(0.5)).all()
    assert shares.mean() == pytest.approx(1 / np.sqrt(3), abs=0.02)


@pytest.mark.proves("eq-muon-batch-rms", by="instances")
@pytest.mark.parametrize("n_rows", [1, 3, 6, 20])
def test_a_batch_bounds_the_rank_and_so_the_size_of_the_step(n_rows, rng):
    p, q = 6, 9
    x, errors = rng.normal(size=(n_rows, p)), rng.normal(size=(n_rows, q))
    G = x.T @ errors
    rank = min(n_rows, p)
    assert np.linalg.matrix_rank(G) == rank
    U, _, Vt = np.linalg.svd(G, full_matrices=False)
    step = U[:, :rank] @ Vt[:rank]
    assert rms(step) == pytest.approx(sqrt(rank / (p * q)))
    assert moonlight_scale(p, q) * rms(step) == pytest.approx(0.2 * sqrt(rank / p))
    if n_rows == 1:
        np.testing.assert_allclose(step, G / np.linalg.norm(G))


@pytest.mark.proves("eq-muon-frank-wolfe", by="independent")
def test_muon_with_decay_is_frank_wolfe_and_finds_the_constrained_minimum(rng):
    radius, target = 1.0, 3 * orthogonal(rng, 4, 4) * np.array([1.0, 0.8, 0.2, 0.1])
    W, decay = np.zeros((4, 4)), 1 / radius
    for k in range(1_000):
        G, gamma = W - target, 2 / (k + 2)
        alpha = gamma / decay
        muon = (1 - alpha * decay) * W - alpha * polar_factor(G)
        best = -radius * polar_factor(G)
        np.testing.assert_allclose(muon, (1 - gamma) * W + gamma * best, atol=1e-12)
        W = muon
    U, s, Vt = np.linalg.svd(target)
    projected = (
        U * np.minimum(s, radius) @ Vt
    )  # the nearest point of the ball, known in closed form
    assert norms(W)[1] <= radius + 1e-9
    assert np.linalg.norm(W - projected) < 0.1
    assert np.linalg.norm(projected - target) > 1


# What the chapter says besides


def test_a_constant_step_ends_about_as_far_away_as_it_is_long():
    easy = World(kappa=1.0, rank=16, noise_sd=0.0).draw(400, range(5))
    for rate in (0.1, 0.01):
        assert 0.5 * rate < regression_path(Muon(rate), easy)[-1].mean() < 2 * rate


def test_momentum_averages_noise_away_before_it_orthogonalizes(rng):
    x, signal = np.zeros((6, 6)), np.outer(orthogonal(rng, 6, 1), orthogonal(rng, 1, 6))
    optimizer, state = Muon(0.1), Muon(0.1).init(x)
    for _ in range(60):
        grad = signal + 0.3 * rng.normal(size=(6, 6))
        x, state = optimizer.step(x, grad, state)
    shares = [np.sum(G * signal) / np.linalg.norm(G) for G in (grad, state.velocity)]
    assert shares[0] < 0.6 < 0.9 < shares[1]
