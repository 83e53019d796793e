"""Schedules: against PyTorch, at their ends, inside optimizers."""

import warnings

import numpy as np
import pytest
from torch.optim import lr_scheduler

from dlcourse.losses import Quadratic
from dlcourse.optim import (
    SGD,
    Constant,
    Cosine,
    GradientDescent,
    InverseDecay,
    StepDecay,
    WarmUp,
    minimize,
)
from tests.library.optim.paths import torch_rates

SCHEDULES = {
    "constant": Constant(0.1),
    "step": StepDecay(0.1, n_steps=7, factor=0.3),
    "1/k": InverseDecay(0.1, n_steps=10),
    "cosine": Cosine(0.1, n_steps=40, last_rate=0.01),
    "warm-up": WarmUp(Cosine(0.1, n_steps=30, last_rate=0.01), n_steps=10),
}


# (b) Does a trusted library agree?

TORCH = {
    "constant": lambda o: lr_scheduler.ConstantLR(o, factor=1.0),
    "step": lambda o: lr_scheduler.StepLR(o, step_size=7, gamma=0.3),
    "1/k": lambda o: lr_scheduler.LambdaLR(o, lambda k: 10 / (10 + k)),
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=40, eta_min=0.01),
    "warm-up": lambda o: lr_scheduler.SequentialLR(
        o,
        [
            lr_scheduler.LinearLR(o, start_factor=1 / 10, total_iters=9),
            lr_scheduler.CosineAnnealingLR(o, T_max=30, eta_min=0.01),
        ],
        milestones=[10],
    ),
}


@pytest.mark.proves(
    "eq-schedule-step",
    "eq-schedule-cosine",
    "eq-schedule-warm-up",
    by="independent",
)
@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_agree_with_torch(name):
    ours = [SCHEDULES[name](k) for k in range(40)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # SequentialLR warns about its own calls
        theirs = torch_rates(TORCH[name], 0.1, 40)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


# (c) Do we recover a known truth?


def test_the_schedules_end_where_they_say():
    assert Cosine(0.1, n_steps=40)(20) == pytest.approx(0.05)
    assert Cosine(0.1, n_steps=40, last_rate=0.01)(40) == pytest.approx(0.01)
    assert Cosine(0.1, n_steps=40, last_rate=0.01)(10**6) == pytest.approx(0.01)
    assert InverseDecay(0.1, n_steps=10)(10) == pytest.approx(0.05)
    assert WarmUp(Constant(0.1), n_steps=4)(0) == pytest.approx(0.025)
    assert WarmUp(Constant(0.1), n_steps=4)(3) == pytest.approx(0.1)


def test_the_rates_of_1_over_k_add_up_without_bound_and_their_squares_do_not():
    rates = InverseDecay(1.0, n_steps=1)(np.arange(10**6))
    assert rates[:1_000].sum() == pytest.approx(np.log(1_000) + np.euler_gamma, abs=1e-3)
    assert rates.sum() - rates[:1_000].sum() == pytest.approx(np.log(1_000), abs=1e-3)
    assert (rates**2).sum() == pytest.approx(np.pi**2 / 6, abs=1e-5)


def test_noise_dies_out_under_1_over_k_but_not_under_a_constant_rate(rng):
    noise = rng.normal(size=(4_000, 500))

    def spread(learning_rate):
        optimizer, x = SGD(learning_rate), np.zeros((500, 1))  # 500 runs
        state = optimizer.init(x)
        for k in range(4_000):
            x, state = optimizer.step(x, x + noise[k, :, None], state)
        return x.std()

    assert spread(Constant(0.5)) == pytest.approx(np.sqrt(0.5 / 1.5), rel=0.15)
    assert spread(InverseDecay(1.0, n_steps=1)) == pytest.approx(4_000**-0.5, rel=0.15)


# (d) What must not change the answer?


@pytest.mark.parametrize("name", SCHEDULES)
def test_an_array_of_counts_gives_the_rates_one_by_one(name):
    counts = np.arange(60)
    one_by_one = [SCHEDULES[name](k) for k in range(60)]
    np.testing.assert_allclose(SCHEDULES[name](counts), one_by_one, rtol=1e-15)


@pytest.mark.parametrize("optimizer", [GradientDescent, SGD])
def test_a_schedule_takes_the_place_of_a_rate(optimizer):
    bowl = Quadratic(np.eye(2), np.zeros(2))
    run = minimize(bowl, np.ones(2), optimizer(StepDecay(0.5, 2, 0.5)), max_steps=4)
    expected = np.cumprod([1.0, 0.5, 0.5, 0.75, 0.75])
    np.testing.assert_allclose(run.points[:, 0], expected, rtol=1e-15)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Constant(-0.1), "`rate` must be a positive number"),
        (lambda: Cosine(0.0, 10), "`first_rate` must be a positive number"),
        (lambda: Cosine(0.1, 10, last_rate=-1.0), "`last_rate` must be 0 or more"),
        (lambda: InverseDecay(0.1, 0), "`n_steps` must be a whole number, 1 or more, got 0"),
        (lambda: StepDecay(0.1, 2.5), "`n_steps` must be a whole number, 1 or more, got 2.5"),
        (lambda: StepDecay(0.1, 2, factor=10.0), "`factor` must be above 0 and at most 1"),
        (lambda: WarmUp(0.1, 10), r"`schedule` must be a schedule, got 0.1.*Constant\(rate\)"),
    ],
)
@pytest.mark.bad_input
def test_settings_without_sense_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
