"""Adam, AMSGrad and AdamW: against PyTorch, against the slide, against the theory."""

from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
import pytest
import torch

from dlcourse.optim import Adam, AdamW, AMSGrad, InverseDecay
from dlcourse.optim.adam import AdamState
from tests.library.optim.paths import noisy_bowl, path, torch_path

TORCH = {
    "Adam": (Adam(0.01), partial(torch.optim.Adam, lr=0.01)),
    "Adam, other constants": (
        Adam(0.03, beta1=0.5, beta2=0.9, epsilon=1e-3),
        partial(torch.optim.Adam, lr=0.03, betas=(0.5, 0.9), eps=1e-3),
    ),
    "AMSGrad": (
        AMSGrad(0.01, beta2=0.9),
        partial(torch.optim.Adam, lr=0.01, betas=(0.9, 0.9), amsgrad=True),
    ),
    "AdamW": (
        AdamW(0.01, weight_decay=0.3),
        partial(torch.optim.AdamW, lr=0.01, weight_decay=0.3),
    ),
}


def flat(k, x):
    """A constant slope of 1."""
    return np.ones_like(x)


# (b) Does a trusted library agree?


@pytest.mark.parametrize("name", TORCH)
def test_200_steps_agree_with_torch(name, rng):
    ours, make = TORCH[name]
    gradient, x0 = noisy_bowl(rng, (5, 3)), rng.normal(size=(5, 3))
    theirs = torch_path(make, x0, gradient)
    np.testing.assert_allclose(path(ours, x0, gradient), theirs, rtol=0, atol=1e-12)


def test_adamw_under_a_schedule_agrees_with_torch(rng):
    schedule = InverseDecay(0.05, n_steps=20)
    gradient, x0 = noisy_bowl(rng, (4,)), rng.normal(size=4)
    make = partial(torch.optim.AdamW, lr=0.05, weight_decay=0.3)
    theirs = torch_path(make, x0, gradient, schedule=schedule)
    ours = path(AdamW(schedule, weight_decay=0.3), x0, gradient)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


# Conventions, and what the lecture prints.


def epsilon_inside(gradient, epsilon=1e-8, n_steps=100):
    """Length of the last step of Adam as printed: m_hat / sqrt(v_hat + epsilon), alpha = 1e-3."""
    m = v = 0.0
    for k in range(1, n_steps + 1):
        m = 0.9 * m + 0.1 * gradient
        v = 0.999 * v + 0.001 * gradient**2
        step = 1e-3 * (m / (1 - 0.9**k)) / np.sqrt(v / (1 - 0.999**k) + epsilon)
    return step


@pytest.mark.erratum("E19")
@pytest.mark.parametrize(
    ("gradient", "inside", "outside"), [(1e-6, 1.0e-5, 9.90e-4), (1e-8, 1.0e-7, 5.0e-4)]
)
def test_epsilon_inside_the_root_stops_small_gradients(gradient, inside, outside):
    points = path(Adam(1e-3), np.zeros(1), lambda k, x: np.full(1, gradient), n_steps=100)
    assert points[-2, 0] - points[-1, 0] == pytest.approx(outside, rel=1e-3)
    assert epsilon_inside(gradient) == pytest.approx(inside, rel=1e-3)
    make = partial(torch.optim.Adam, lr=1e-3)
    theirs = torch_path(make, np.zeros(1), lambda k, x: np.full(1, gradient), n_steps=100)
    np.testing.assert_allclose(points, theirs, rtol=0, atol=1e-12)


@pytest.mark.erratum("E20")
@pytest.mark.parametrize("optimizer", [Adam, AMSGrad, AdamW])
@pytest.mark.parametrize("name", ["beta1", "beta2"])
@pytest.mark.parametrize("beta", [1.0, 1, -0.1, 1.1, float("nan")])
def test_a_beta_of_one_is_refused(optimizer, name, beta):
    with pytest.raises(ValueError, match=rf"`{name}` must lie in \[0, 1\), got .*Use 0.9"):
        optimizer(**{name: beta})


@pytest.mark.erratum("E21")
@pytest.mark.parametrize("slope", [1e-4, 1.0, 1e4])
def test_under_a_constant_slope_no_step_is_longer_than_alpha(slope):
    optimizer = Adam(learning_rate=1e-3)
    before = asdict(optimizer)
    points = path(optimizer, np.zeros(1), lambda k, x: np.full(1, slope), n_steps=1_000)
    steps = -np.diff(points[:, 0])
    assert (steps <= 1e-3 * (1 + 1e-12)).all()
    assert (steps >= 0.999 * 1e-3).all()  # and hardly shorter: only the scale adapts
    assert asdict(optimizer) == before  # neither alpha nor the betas are tuned


@pytest.mark.erratum("E21")
def test_after_a_long_silence_one_step_may_be_longer_than_alpha():
    silence = 10_000
    points = path(
        Adam(1e-3), np.zeros(1), lambda k, x: np.full(1, float(k == silence)), n_steps=silence + 1
    )
    longest = np.abs(np.diff(points[:, 0])).max() / 1e-3
    assert longest == pytest.approx((1 - 0.9) / np.sqrt(1 - 0.999), rel=1e-3)  # 3.16


def root_decay(k, x, grad):
    """The rates for which AMSGrad is proved to converge."""
    return 0.5 / np.sqrt(k + 1)


def clipped_path(optimizer, slope, n_steps):
    """The last point on [-1, 1], from 0, when the t-th loss is slope(t) x."""
    x, state = np.zeros(1), optimizer.init(np.zeros(1))
    for t in range(1, n_steps + 1):
        x, state = optimizer.step(x, np.array([slope(t)]), state)
        x = np.clip(x, -1.0, 1.0)
    return x.item()


@pytest.mark.erratum("E22")
def test_adam_converges_to_the_worst_point_and_amsgrad_to_the_best():
    def slope(t):  # on average +0.099: the best point of [-1, 1] is -1
        return 1010.0 if t % 101 == 1 else -10.0

    adam, amsgrad = (
        clipped_path(optimizer(root_decay, beta2=0.99), slope, n_steps=40_400)
        for optimizer in (Adam, AMSGrad)
    )
    assert np.mean([slope(t) for t in range(1, 102)]) > 0
    assert adam > 0.99
    assert amsgrad < -0.95


@pytest.mark.erratum("E22")
def test_the_three_step_counterexample_of_the_proof():
    C = 3.0  # slopes C, -1, -1: the best point is -1
    settings = {"beta1": 0.0, "beta2": 1 / (1 + C**2), "epsilon": 0.0}

    def slope(t):
        return C if t % 3 == 1 else -1.0

    assert clipped_path(Adam(root_decay, **settings), slope, n_steps=3_000) > 0.95
    assert clipped_path(AMSGrad(root_decay, **settings), slope, n_steps=3_000) < -0.95


def test_amsgrad_takes_its_maximum_before_the_bias_correction():
    def gradient(k, x):
        return np.full(1, 10.0 if k == 0 else 1.0)

    optimizer = AMSGrad(0.1, beta2=0.9)
    points = path(optimizer, np.zeros(1), gradient, n_steps=60)
    theirs = torch_path(
        partial(torch.optim.Adam, lr=0.1, betas=(0.9, 0.9), amsgrad=True),
        np.zeros(1),
        gradient,
        n_steps=60,
    )
    np.testing.assert_allclose(points, theirs, rtol=0, atol=1e-12)
    # The largest v is 0.1 * 10**2; the largest corrected v would be 10**2 for ever.
    last = points[-2, 0] - points[-1, 0]
    assert last == pytest.approx(0.1 / np.sqrt(10.0), rel=0.02)
    assert last > 2 * 0.1 / 10.0


def test_decoupled_decay_does_not_depend_on_the_size_of_the_gradient():
    x0 = np.array([2.0])
    shrunk = [
        path(AdamW(0.1, weight_decay=0.5), x0, lambda k, x, s=s: s * flat(k, x), 1) for s in (1, 9)
    ]
    np.testing.assert_allclose(*shrunk, atol=1e-7)
    np.testing.assert_allclose(shrunk[0][1], 2.0 * (1 - 0.1 * 0.5) - 0.1, atol=1e-7)
    coupled = torch_path(
        partial(torch.optim.Adam, lr=0.1, weight_decay=0.5), x0, flat, n_steps=1
    )  # the penalty in the loss: the first step is alpha long whatever the penalty
    np.testing.assert_allclose(coupled[1], 2.0 - 0.1, atol=1e-7)


# (c) Do we recover a known truth?


@pytest.mark.parametrize("gradient", [3.0, -0.02])
def test_bias_correction_makes_averages_of_a_constant_exact(gradient):
    optimizer, x = Adam(1e-3), np.zeros(1)
    state = optimizer.init(x)
    for k in range(1, 51):
        x, state = optimizer.step(x, np.array([gradient]), state)
        assert state.m.item() / (1 - 0.9**k) == pytest.approx(gradient, rel=1e-12)
        assert state.v.item() / (1 - 0.999**k) == pytest.approx(gradient**2, rel=1e-12)


def test_without_memory_and_epsilon_adam_is_the_sign_of_the_gradient(rng):
    gradient, x0 = noisy_bowl(rng, (6,)), rng.normal(size=6)
    points = path(Adam(0.01, beta1=0.0, beta2=0.0, epsilon=0.0), x0, gradient)
    signs = np.stack([np.sign(gradient(k, x)) for k, x in enumerate(points[:-1])])
    np.testing.assert_allclose(np.diff(points, axis=0), -0.01 * signs, rtol=0, atol=1e-14)


# (d) What must not change the answer?


@pytest.mark.parametrize("optimizer", [Adam, AMSGrad, AdamW])
@pytest.mark.parametrize("scale", [2.0**40, 2.0**-40])  # powers of two: exact in floating point
def test_the_size_of_the_gradient_does_not_matter(optimizer, scale, rng):
    gradient, x0 = noisy_bowl(rng, (6,)), rng.normal(size=6)
    adam = optimizer(0.01, epsilon=0.0)
    scaled = path(adam, x0, lambda k, x: scale * gradient(k, x))
    np.testing.assert_array_equal(scaled, path(adam, x0, gradient))


def test_the_sign_of_a_coordinate_does_not_matter_but_a_rotation_does(rng):
    gradient, x0 = noisy_bowl(rng, (2,)), rng.normal(size=2)
    mirrored = path(Adam(0.01), -x0, lambda k, x: -gradient(k, -x))
    points = path(Adam(0.01), x0, gradient)
    np.testing.assert_array_equal(mirrored, -points)
    turn = np.array([[1.0, -1.0], [1.0, 1.0]]) / np.sqrt(2)
    turned = path(Adam(0.01), turn @ x0, lambda k, x: turn @ gradient(k, turn.T @ x))
    assert np.abs(turned - points @ turn.T).max() > 0.01


# (e) Does a planted bug make the test fail?


@dataclass(frozen=True)
class Planted(Adam):
    """Adam written out once more, with one bug to choose."""

    bug: str = "none"

    def step(self, x, grad, state):
        b1, b2, k = self.beta1, self.beta2, int(state.k) + 1
        m = b1 * state.m + (1 - b1) * grad
        v = b2 * state.v + (1 - b2) * (np.abs(grad) if self.bug == "no square" else grad**2)
        count = k - 1 if self.bug == "count from 0" and k > 1 else k
        m_hat = m if self.bug == "m not corrected" else m / (1 - b1**count)
        v_hat = v if self.bug == "v not corrected" else v / (1 - b2**count)
        root = np.sqrt(v_hat + 1e-8) if self.bug == "inside" else np.sqrt(v_hat) + 1e-8
        return x - self.learning_rate * m_hat / root, AdamState(m, v, np.array(k))


def test_adam_written_out_once_more_is_adam(rng):
    gradient, x0 = noisy_bowl(rng, (5, 3)), rng.normal(size=(5, 3))
    np.testing.assert_array_equal(path(Planted(0.01), x0, gradient), path(Adam(0.01), x0, gradient))


@pytest.mark.parametrize(
    "bug", ["m not corrected", "v not corrected", "count from 0", "no square", "inside"]
)
def test_the_comparison_with_torch_catches_planted_bugs(bug, rng):
    gradient, x0 = noisy_bowl(rng, (5, 3)), rng.normal(size=(5, 3))
    _, make = TORCH["Adam"]
    difference = path(Planted(0.01, bug=bug), x0, gradient) - torch_path(make, x0, gradient)
    assert np.abs(difference).max() > 1e-8


@pytest.mark.parametrize("name", ["epsilon", "weight_decay"])
@pytest.mark.parametrize("value", [-1e-8, float("nan"), float("inf")])
def test_a_negative_epsilon_or_decay_is_refused(name, value):
    with pytest.raises(ValueError, match=rf"`{name}` must be 0 or more, got .*Use 0"):
        AdamW(**{name: value})
