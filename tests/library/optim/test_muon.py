"""Muon and Newton-Schulz: against PyTorch, against the singular value decomposition."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import torch

from dlcourse.losses import Quadratic
from dlcourse.optim import (
    SGD,
    AdamW,
    Cosine,
    Muon,
    Partition,
    Piece,
    jordan_scale,
    minimize,
    moonlight_scale,
    muon_for_hidden,
    newton_schulz,
)
from dlcourse.optim.muon import MuonState, qk_clip
from tests.library.optim.paths import N_STEPS, noisy_bowl, path, torch_path

SHAPES = [(6, 6), (8, 3), (3, 8), (1, 5)]
SCALES = {"original": jordan_scale, "match_rms_adamw": moonlight_scale}


def torch_muon(adjust, rate=0.02, weight_decay=0.1):
    return partial(torch.optim.Muon, lr=rate, weight_decay=weight_decay, adjust_lr_fn=adjust)


@pytest.fixture
def exact_torch(monkeypatch):
    """PyTorch's Muon without its rounding to bfloat16."""
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)


def our_path(optimizer, x0, gradient, n_steps=N_STEPS):
    """Our points, transposed: PyTorch has a row for each output, we have a column."""
    points = path(optimizer, x0.T, lambda k, x: gradient(k, x.T).T, n_steps)
    return np.swapaxes(points, 1, 2)


def on_singular_values(s):
    for _ in range(5):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    return s


def orthogonal(rng, n):
    return np.linalg.qr(rng.normal(size=(n, n)))[0]


# (b) Does a trusted library agree?


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("adjust", SCALES)
@pytest.mark.usefixtures("exact_torch")
def test_200_steps_agree_with_torch_without_its_rounding(shape, adjust, rng):
    gradient, x0 = noisy_bowl(rng, shape), rng.normal(size=shape)
    ours = Muon(0.02, weight_decay=0.1, scale=SCALES[adjust])
    theirs = torch_path(torch_muon(adjust), x0, gradient)
    np.testing.assert_allclose(our_path(ours, x0, gradient), theirs, rtol=0, atol=1e-9)


@pytest.mark.parametrize("shape", [(64, 64), (16, 8)])
@pytest.mark.usefixtures("exact_torch")
def test_200_steps_in_float32_agree_to_1e_minus_6(shape, rng):
    bowl, x0 = noisy_bowl(rng, shape), rng.normal(size=shape).astype(np.float32)

    def gradient(k, x):
        return bowl(k, x).astype(np.float32)

    ours = our_path(Muon(0.02, weight_decay=0.1), x0, gradient)
    theirs = torch_path(torch_muon("original"), x0, gradient)
    assert ours.dtype == np.float32
    assert np.linalg.norm(ours - theirs) < 1e-6 * np.linalg.norm(theirs)


@pytest.mark.erratum("E23")
@pytest.mark.parametrize("shape", [(64, 64), (64, 32), (32, 64)])
@pytest.mark.parametrize("adjust", SCALES)
def test_one_step_agrees_with_torch_as_far_as_bfloat16_goes(shape, adjust, rng):
    gradient, x0 = noisy_bowl(rng, shape), rng.normal(size=shape)
    ours = our_path(Muon(0.02, weight_decay=0.1, scale=SCALES[adjust]), x0, gradient, n_steps=1)
    theirs = torch_path(torch_muon(adjust), x0, gradient, n_steps=1)
    step = np.linalg.norm(ours[1] - ours[0])
    assert np.linalg.norm(ours[1] - theirs[1]) < 0.02 * step  # bfloat16 has 8 bits: 0.4 % each
    if adjust == "original" and shape[0] <= shape[1]:  # no factor on the rate
        np.testing.assert_allclose(ours[1], theirs[1], rtol=0, atol=5e-4)


def test_200_steps_stay_with_torch_as_far_as_bfloat16_goes(rng):
    gradient, x0 = noisy_bowl(rng, (16, 8)), rng.normal(size=(16, 8))
    ours = our_path(Muon(0.02, weight_decay=0.1), x0, gradient)
    theirs = torch_path(torch_muon("original"), x0, gradient)
    distance = np.linalg.norm(ours - theirs, axis=(1, 2))
    assert distance[-1] < 0.02 * np.linalg.norm(ours[-1] - ours[0])


# (c) Do we recover a known truth?


@pytest.mark.parametrize("shape", SHAPES)
def test_newton_schulz_keeps_the_singular_vectors_and_maps_the_values(shape, rng):
    G = rng.normal(size=shape)
    U, s, Vt = np.linalg.svd(G, full_matrices=False)
    expected = U * on_singular_values(s / np.linalg.norm(s)) @ Vt
    np.testing.assert_allclose(newton_schulz(G), expected, rtol=0, atol=1e-12)


def test_singular_values_land_near_one_unless_they_are_tiny(rng):
    s = np.geomspace(1.0, 0.01, 40)
    G = orthogonal(rng, 40) * s @ orthogonal(rng, 40)
    landed = np.linalg.svd(newton_schulz(G), compute_uv=False)
    assert s.max() / s.min() > 90
    assert landed.min() > 0.68
    assert landed.max() < 1.21
    tiny = newton_schulz(np.diag([1.0, 1e-5]))
    assert tiny[1, 1] < 0.01


@pytest.mark.erratum("E23")
@pytest.mark.parametrize("shape", [(64, 64), (96, 32), (32, 96)])
def test_moonlights_scale_gives_steps_the_size_of_adamws(shape, rng):
    exact = np.linalg.qr(rng.normal(size=(max(shape), min(shape))))[0]
    assert np.sqrt(np.mean((moonlight_scale(*shape) * exact) ** 2)) == pytest.approx(0.2)
    step = moonlight_scale(*shape) * newton_schulz(rng.normal(size=shape))
    assert 0.15 < np.sqrt(np.mean(step**2)) < 0.2  # values land between 0.7 and 1.2, not at 1


def test_jordans_scale_follows_torch_and_outputs_over_inputs():
    for n_outputs, n_inputs in SHAPES:
        theirs = torch.optim._muon._adjust_lr(1.0, "original", torch.Size((n_outputs, n_inputs)))
        assert jordan_scale(n_inputs, n_outputs) == pytest.approx(theirs)
    assert jordan_scale(10, 40) == 2 * jordan_scale(40, 10)


def test_muon_with_a_schedule_finds_the_minimum(rng):
    target = rng.normal(size=(4, 3))
    optimizer = Muon(Cosine(0.2, n_steps=200), beta=0.8)
    end = path(optimizer, np.zeros((4, 3)), lambda k, x: x - target)[-1]
    np.testing.assert_allclose(end, target, atol=1e-2)


@pytest.mark.erratum("E23")
def test_qk_clip_brings_the_largest_logit_to_the_threshold(rng):
    X, W_q, W_k = rng.normal(size=(20, 16)), rng.normal(size=(16, 8)), rng.normal(size=(16, 8))

    def largest(W_q, W_k):
        return np.abs(X @ W_q @ (X @ W_k).T).max() / np.sqrt(8)

    seen = largest(10 * W_q, 10 * W_k)
    assert seen > 1_000
    clipped = qk_clip(10 * W_q, 10 * W_k, seen)
    assert largest(*clipped) == pytest.approx(100.0, rel=1e-12)
    for before, after in zip((W_q, W_k), qk_clip(W_q, W_k, largest_logit=99.0), strict=True):
        np.testing.assert_array_equal(after, before)  # below the threshold nothing happens


# (d) What must not change the answer?


@pytest.mark.parametrize("shape", [(5, 5), (6, 4)])
def test_muon_turns_with_the_coordinates(shape, rng):
    gradient, x0 = noisy_bowl(rng, shape), rng.normal(size=shape)
    U, V = orthogonal(rng, shape[0]), orthogonal(rng, shape[1])
    turned = path(Muon(0.02), U @ x0 @ V, lambda k, x: U @ gradient(k, U.T @ x @ V.T) @ V, 20)
    np.testing.assert_allclose(turned, U @ path(Muon(0.02), x0, gradient, 20) @ V, atol=1e-9)


@pytest.mark.parametrize("scale", [2.0**20, 2.0**-10])
def test_the_size_of_the_gradient_does_not_matter(scale, rng):
    gradient, x0 = noisy_bowl(rng, (4, 3)), rng.normal(size=(4, 3))
    scaled = path(Muon(0.02), x0, lambda k, x: scale * gradient(k, x))
    np.testing.assert_array_equal(scaled, path(Muon(0.02), x0, gradient))


def test_a_transposed_matrix_takes_transposed_steps(rng):
    G = rng.normal(size=(7, 4))
    np.testing.assert_array_equal(newton_schulz(G.T), newton_schulz(G).T)


def test_a_zero_gradient_gives_a_zero_step():
    np.testing.assert_array_equal(newton_schulz(np.zeros((3, 2))), np.zeros((3, 2)))


# A flat vector with an optimizer for each piece.

PIECES = (Piece((4, 3), Muon(0.02)), Piece((5,), AdamW(0.01)), Piece((2, 2), SGD(0.1)))


def test_a_partition_moves_each_piece_as_its_optimizer_would_alone(rng):
    gradient, x0 = noisy_bowl(rng, (21,)), rng.normal(size=21)
    together, start = path(Partition(PIECES), x0, gradient), 0
    for shape, optimizer in PIECES:
        here = slice(start, start + np.prod(shape))

        def own(k, x, here=here):
            full = np.zeros(21)
            full[here] = x.ravel()
            return gradient(k, full)[here].reshape(x.shape)

        alone = path(optimizer, x0[here].reshape(shape), own)
        np.testing.assert_array_equal(together[:, here], alone.reshape(len(alone), -1))
        start = here.stop


def test_minimize_follows_muon_down_a_flat_vector(rng):
    bowl = Quadratic(np.eye(21), rng.normal(size=21))
    pieces = tuple(Piece(shape, Muon(Cosine(0.2, 300))) for shape in [(4, 3), (3, 3)])
    run = minimize(bowl, np.zeros((2, 21)), Partition(pieces), max_steps=300)
    assert run.points.shape == (301, 2, 21)
    assert run.value.max() < 1e-3 * run.values[0].min()


def test_only_the_hidden_matrices_go_to_muon():
    shapes = [(64, 128), (128,), (128, 128), (128,), (128, 128), (128,), (128, 10), (10,)]
    muon, other = Muon(0.02), AdamW(0.001)
    pieces = muon_for_hidden(shapes, muon, other).pieces
    assert [piece.shape for piece in pieces if piece.optimizer is muon] == [(128, 128)] * 2
    assert sum(np.prod(piece.shape) for piece in pieces) == sum(np.prod(s) for s in shapes)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Muon().init(np.zeros(3)), r"matrices .*got `x` of shape \(3,\).*Use AdamW"),
        (lambda: newton_schulz(np.zeros(3)), r"matrices .*got `G` of shape \(3,\).*Use AdamW"),
        (lambda: Partition(PIECES).init(np.zeros(20)), r"flat, \(\*runs, 21\).*\(20,\).*every"),
        (lambda: muon_for_hidden([(2, 3), (3, 1)], Muon(), SGD(0.1)), "Use AdamW alone"),
    ],
)
@pytest.mark.bad_input
def test_wrong_shapes_are_refused_with_the_cure(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# (e) Does a planted bug make the test fail?


@dataclass(frozen=True)
class NoLookAhead(Muon):
    def step(self, x, grad, state):
        velocity = self.beta * state.velocity + grad
        direction = newton_schulz(velocity)
        x = (1 - self.learning_rate * self.weight_decay) * x - self.learning_rate * direction
        return x, MuonState(velocity, state.k)


@dataclass(frozen=True)
class ScaledDecay(Muon):
    def step(self, x, grad, state):
        rate = self.learning_rate * float(self.scale(*x.shape))
        velocity = self.beta * state.velocity + grad
        direction = newton_schulz(grad + self.beta * velocity)
        return (1 - rate * self.weight_decay) * x - rate * direction, MuonState(velocity, state.k)


@pytest.mark.parametrize("planted", [NoLookAhead, ScaledDecay])
@pytest.mark.usefixtures("exact_torch")
def test_the_comparison_with_torch_catches_planted_bugs(planted, rng):
    gradient, x0 = noisy_bowl(rng, (8, 3)), rng.normal(size=(8, 3))
    theirs = torch_path(torch_muon("original"), x0, gradient)
    difference = our_path(planted(0.02, weight_decay=0.1), x0, gradient) - theirs
    assert np.abs(difference).max() > 1e-3


def test_the_comparison_catches_a_wrong_coefficient(rng):
    G, s = np.diag([3.0, 1.0]), np.array([3.0, 1.0]) / np.sqrt(10)
    for _ in range(5):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0515 * s**5  # 2.0515 for 2.0315
    assert np.abs(np.diag(newton_schulz(G)) - s).max() > 1e-3
