"""The statements of the chapter book/stochastic_gradients.ipynb.

In each counterexample one hypothesis is missing and the others hold. Where it is not the noise that
breaks the bound, there is none: sigma = 0.
"""

from functools import partial

import numpy as np

from dlcourse.convergence import bench_stochastic, pep, stochastic, worst_cases
from dlcourse.convergence.problems import Problem
from dlcourse.convergence.refutation import Attempt, Refutation, up_to
from dlcourse.convergence.statements.statement import Statement
from dlcourse.functions import Huber, KinkedBowl
from dlcourse.losses import Quadratic
from dlcourse.optim import SGD, GradientDescent, InverseDecay

M_SMALL = 0.1  # strong convexity; M = 1
K0 = 6  # the smallest offset for these curvatures
BOWL = Quadratic(np.eye(1), np.zeros(1))
DECAYING = stochastic.decaying_schedule(M_SMALL, 1.0)


def constant_bound(n_steps, sigma=0.0):
    """What the theorem promises for the step 1/M from distance 1."""
    return stochastic.constant_step_bound(1.0, 1.0, up_to(n_steps), M_SMALL, sigma)


def decaying_bound(n_steps, sigma=0.0):
    """What the theorem promises for the steps 1 / (m (k + k0)) from distance 1."""
    return stochastic.decaying_step_bound(1.0, up_to(n_steps), K0, M_SMALL, sigma)


def biased(optimizer, example, bound) -> Refutation:
    """Gradients that are 0.05 too large, always: a bowl whose minimum is elsewhere."""
    shifted = Quadratic(M_SMALL * np.eye(1), np.array([-0.05 / M_SMALL]))
    return Attempt(shifted, 1.0, optimizer).squares(example, bound)


def noise_that_grows(schedule, strength, example, bound) -> Refutation:
    """Noise as large as `strength` times the distance, with either sign; all paths are run."""
    slopes = M_SMALL + strength * bench_stochastic.all_signs(len(bound))
    rates = np.array([schedule(k) for k in range(len(bound))])
    paths = np.cumprod(1 - rates * slopes, axis=1)  # from 1
    return Refutation(example, (paths**2).mean(axis=0), bound)


def random_walk() -> Refutation:
    """Nothing pulls back: f is constant."""
    constant = Problem(Quadratic(np.zeros((1, 1)), np.zeros(1)), np.zeros(1), np.zeros(1), 0.0, 1.0)
    values = bench_stochastic.expected_squares(constant, SGD(1.0), np.ones((8, 1)))
    bound = stochastic.constant_step_bound(0.0, 1.0, up_to(8), M_SMALL, 1.0)
    return Refutation("f = 0 from 0, as if m were 1/10, σ = 1", values, bound)


STOCHASTIC = (
    Statement(
        label="lem-sgd-contraction",
        name="One exact step",
        measured="distance to the minimizer after one step",
        instances=partial(bench_stochastic.bench_contraction, kappa=worst_cases.KAPPA),
        worst_case=worst_cases.contraction,
        by_pep=pep.contraction,
        axis="α (m + M) / 2",
        places=np.array([0.25, 0.5, 0.75, 1.0]),
        hypotheses={
            "f is strongly convex": lambda: Attempt(
                Huber(0.01), 1.0, GradientDescent(1.0)
            ).distances("a Huber function from 1, as if m were 1/10", np.full(1, 0.9)),
            "the gradient is Lipschitz": lambda: Attempt(
                KinkedBowl(0.1), 0.1, GradientDescent(1.0)
            ).distances("|x| + x²/20 from 0.1, as if M were 1", np.full(1, 0.09)),
            "α ≤ 2/(m + M)": lambda: Attempt(BOWL, 1.0, GradientDescent(1.95)).distances(
                "x²/2 from 1 with α = 1.95/M, m = 1/10",
                stochastic.contraction_bound(np.ones(1), 1.95, M_SMALL),
            ),
        },
    ),
    Statement(
        label="thm-sgd-constant",
        name="SGD, constant step",
        measured="mean squared distance to the minimizer",
        instances=partial(bench_stochastic.bench_constant_step, kappa=worst_cases.KAPPA),
        worst_case=worst_cases.constant_step,
        by_pep=partial(pep.constant_step, sigma=worst_cases.SIGMA),
        places=np.array([1, 2, 3]),
        hypotheses={
            "the noise has mean zero": lambda: biased(
                SGD(1.0), "gradients of x²/20 plus 0.05, from 1", constant_bound(40)
            ),
            "its mean square is bounded": lambda: noise_that_grows(
                lambda k: 1.0,
                0.6,
                "x²/20 from 1, noise ±0.6 x, as if σ = 0.6",
                constant_bound(8, 0.6),
            ),
            "f is strongly convex": random_walk,
            "the gradient is Lipschitz": lambda: Attempt(KinkedBowl(0.1), 1.0, SGD(1.0)).squares(
                "|x| + x²/20 from 1, as if M were 1", constant_bound(40)
            ),
            "α ≤ 2/(m + M)": lambda: Attempt(BOWL, 1.0, SGD(2.1)).squares(
                "x²/2 from 1 with α = 2.1/M",
                stochastic.constant_step_bound(1.0, 2.1, up_to(40), M_SMALL, 0.0),
            ),
        },
    ),
    Statement(
        label="thm-sgd-decaying",
        name="SGD, decaying step",
        measured="mean squared distance to the minimizer",
        instances=partial(bench_stochastic.bench_decaying_step, kappa=worst_cases.KAPPA),
        worst_case=worst_cases.decaying_step,
        by_pep=partial(pep.decaying_step, sigma=worst_cases.SIGMA),
        places=np.array([1, 2, 3]),
        hypotheses={
            "the noise has mean zero": lambda: biased(
                SGD(DECAYING), "gradients of x²/20 plus 0.05, from 1", decaying_bound(40)
            ),
            "its mean square is bounded": lambda: noise_that_grows(
                DECAYING, 2.0, "x²/20 from 1, noise ±2 x, as if σ = 2", decaying_bound(8, 2.0)
            ),
            "f is strongly convex with this m": lambda: Attempt(
                Quadratic(np.eye(1) / 100, np.zeros(1)), 1.0, SGD(DECAYING)
            ).squares("x²/200 from 1, as if m were 1/10", decaying_bound(40)),
            "the gradient is Lipschitz": lambda: Attempt(
                KinkedBowl(0.1), 0.6, SGD(DECAYING)
            ).squares("|x| + x²/20 from 0.6, as if M were 1", 0.36 * decaying_bound(41)),
            "k₀ ≥ (1 + κ)/2": lambda: Attempt(BOWL, 1.0, SGD(InverseDecay(5.0, 2))).squares(
                "x²/2 from 1 with m = 1/10 and k₀ = 2",
                stochastic.decaying_step_bound(1.0, up_to(4), 2, M_SMALL, 0.0),
            ),
        },
    ),
)
