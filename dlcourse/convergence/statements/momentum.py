"""The statements of the chapter book/momentum.ipynb.

In each counterexample one hypothesis is missing and the others hold.
"""

from functools import partial

import numpy as np

from dlcourse.convergence import bench_momentum, heavy_ball, nesterov, pep, worst_cases
from dlcourse.convergence.refutation import Attempt, Refutation, up_to
from dlcourse.convergence.statements.statement import Statement
from dlcourse.functions import AbsoluteValue, Huber, KinkedBowl, LessardBowl, SlowSlope, Waves
from dlcourse.losses import Quadratic
from dlcourse.optim import GrowingMomentum, HeavyBall, Nesterov

BEST = HeavyBall(*heavy_ball.optimal_parameters(1.0, 25.0))  # step 1/9, momentum 4/9


def bowl(curvature) -> Quadratic:
    """The bowl of one dimension with this curvature."""
    return Quadratic(curvature * np.eye(1), np.zeros(1))


def best_bound(distance, n_steps=40):
    """What heavy ball promises with the parameters for curvatures from 1 to 25."""
    return heavy_ball.distance_bound(distance, heavy_ball.optimal_rate(1.0, 25.0), up_to(n_steps))


def in_a_circle() -> Refutation:
    """The example of Lessard, Recht and Packard: smooth and strongly convex, not a quadratic."""
    return Attempt(LessardBowl(), 3.3, BEST).distances(
        "curvature 25, then 1, then 25, from 3.3", best_bound(3.3)
    )


def too_steep() -> Refutation:
    """A curvature a little above those that the step is made for."""
    return Attempt(bowl(27.0), 1.0, BEST).distances(
        "27 x²/2 from 1, made for 1 to 25", best_bound(1.0)
    )


def already_moving() -> Refutation:
    """A start close to the minimum that is about to run away from it."""
    moves = heavy_ball.matrix_power(BEST.learning_rate, BEST.beta, up_to(5)) @ [1.0, 0.01]
    return Refutation(
        "x²/2 from 0.01, first velocity 1/α", np.abs(moves[:, 1]), best_bound(0.01, n_steps=5)
    )


def never_forgetting() -> Refutation:
    """Momentum 1: the step is stable by the formula, and the path goes round for ever."""
    positions = heavy_ball.position_after(1.0, 1.0, up_to(42))
    return Refutation("x²/2 from 1 with α = β = 1, limit 0", np.abs(positions), np.zeros(42))


MOMENTUM = (
    Statement(
        label="thm-hb-stability",
        name="Heavy ball, stable",
        measured="distance to the minimizer of a quadratic",
        instances=bench_momentum.bench_heavy_ball,
        worst_case=worst_cases.heavy_ball_distance,
        by_pep=pep.best_heavy_ball,
        places=np.array([1, 2, 3]),
        hypotheses={
            "f is a quadratic": in_a_circle,
            "αλ < 2 + 2β for all curvatures": too_steep,
            "β < 1": never_forgetting,
            "the start is at rest": already_moving,
        },
    ),
    Statement(
        label="thm-hb-optimal",
        name="Heavy ball, optimal",
        measured="distance to the minimizer of a quadratic",
        instances=partial(bench_momentum.bench_best_heavy_ball, kappa=worst_cases.KAPPA),
        worst_case=worst_cases.heavy_ball_distance,
        by_pep=pep.best_heavy_ball,
        places=np.array([1, 2, 3]),
        hypotheses={
            "f is a quadratic": in_a_circle,
            "no curvature above M": too_steep,
            "no curvature below m": lambda: Attempt(bowl(0.1), 1.0, BEST).distances(
                "x²/20 from 1, made for 1 to 25", best_bound(1.0)
            ),
        },
    ),
    Statement(
        label="thm-nesterov-convex",
        name="Nesterov, convex",
        measured="gap",
        instances=bench_momentum.bench_nesterov_convex,
        worst_case=worst_cases.nesterov_convex,
        by_pep=pep.nesterov_convex,
        hypotheses={
            "f is convex": lambda: Attempt(
                Waves(np.eye(1), m=0.1), 6.0, Nesterov(1 / 1.1, GrowingMomentum())
            ).gaps_behind(
                "x²/20 + 1 - cos x from 6, α = 1/L", nesterov.convex_bound(6.0, 1 / 1.1, up_to(40))
            ),
            "the gradient is Lipschitz": lambda: Attempt(
                AbsoluteValue(), 0.35, Nesterov(0.1, GrowingMomentum())
            ).gaps_behind("|x| from 0.35, α = 0.1", nesterov.convex_bound(0.35, 0.1, up_to(40))),
            "f has a minimizer": lambda: Attempt(
                SlowSlope(), 0.0, Nesterov(np.e**2 / 3, GrowingMomentum())
            ).gaps_behind(
                "1/log(e + x) from 0, as if 10 were a minimizer",
                nesterov.convex_bound(10.0, np.e**2 / 3, up_to(40)),
            ),
            "α ≤ 1/L": lambda: Attempt(
                bowl(1.0), 1.0, Nesterov(1.6, GrowingMomentum())
            ).gaps_behind("x²/2 from 1, α = 1.6/L", nesterov.convex_bound(1.0, 1.6, up_to(40))),
            "the momentum grows": lambda: Attempt(
                Huber(0.005), 1.0, Nesterov(1.0, 0.5)
            ).gaps_behind(
                "a Huber function from 1, β = 1/2", nesterov.convex_bound(1.0, 1.0, up_to(80))
            ),
        },
    ),
    Statement(
        label="thm-nesterov-strong",
        name="Nesterov, strongly convex",
        measured="gap",
        instances=partial(bench_momentum.bench_nesterov_strong, kappa=worst_cases.KAPPA),
        worst_case=worst_cases.nesterov_strong,
        by_pep=pep.nesterov_strong,
        hypotheses={
            "f is strongly convex": lambda: Attempt(
                Huber(0.01), 1.0, Nesterov(1.0, nesterov.constant_momentum(0.1, 1.0))
            ).gaps_behind(
                "a Huber function from 1, as if m were 1/10",
                nesterov.linear_bound(Huber(0.01)(np.ones(1))[0], 1.0, up_to(40), 0.1, 1.0),
            ),
            "the gradient is Lipschitz": lambda: Attempt(
                KinkedBowl(0.5), 1.0, Nesterov(0.5, nesterov.constant_momentum(0.5, 2.0))
            ).gaps_behind(
                "|x| + x²/4 from 1, as if M were 2",
                nesterov.linear_bound(1.25, 1.0, up_to(40), 0.5, 2.0),
            ),
            "α = 1/M": lambda: Attempt(
                bowl(1.0), 1.0, Nesterov(1.6, nesterov.constant_momentum(0.1, 1.0))
            ).gaps_behind(
                "x²/2 from 1, α = 1.6/M", nesterov.linear_bound(0.5, 1.0, up_to(40), 0.1, 1.0)
            ),
            "the momentum fits m": lambda: Attempt(bowl(0.01), 1.0, Nesterov(1.0, 0.0)).gaps_behind(
                "x²/200 from 1, β = 0", nesterov.linear_bound(0.005, 1.0, up_to(40), 0.01, 1.0)
            ),
        },
    ),
)
