"""The statements of the chapters book/least_squares.ipynb and book/gradient_descent.ipynb.

In each counterexample one hypothesis is missing and the others hold.
"""

from functools import partial

import numpy as np

from dlcourse.convergence import bench, pep, worst_cases
from dlcourse.convergence.gradient_descent import (
    convex_bound,
    descent_bound,
    least_squares_bound,
    linear_bound,
    stationary_bound,
)
from dlcourse.convergence.refutation import Attempt, Refutation, up_to
from dlcourse.convergence.statements.statement import Statement
from dlcourse.functions import AbsoluteValue, Huber, KinkedBowl, Slope, SlowSlope, Waves
from dlcourse.losses import Quadratic
from dlcourse.optim import GradientDescent, minimize

BOWL = Quadratic(np.eye(1), np.zeros(1))  # x²/2, so L = 1
KINK = Attempt(AbsoluteValue(), 0.35, GradientDescent(0.1))
HILLS = Attempt(Waves(np.eye(1), m=0.1), 6.0, GradientDescent(1 / 1.1))  # L = 1.1


def another_minimizer() -> Refutation:
    """All points (0, v) are minimizers of u²/2; the path goes to the nearest of them."""
    valley = Quadratic(np.diag([1.0, 0.0]), np.zeros(2))
    points = minimize(valley, np.ones(2), GradientDescent(0.5), max_steps=40).points[1:]
    bound = least_squares_bound(np.sqrt(2), 0.5, up_to(40), 1.0, 1.0)
    return Refutation("u²/2 from (1, 1), minimizer (0, 0)", np.linalg.norm(points, axis=1), bound)


GRADIENT_DESCENT = (
    Statement(
        label="thm-gd-least-squares",
        name="Least squares",
        measured="distance to the nearest minimizer",
        instances=bench.bench_least_squares,
        worst_case=worst_cases.least_squares,
        by_pep=pep.least_squares,
        places=np.array([1, 2, 3]),
        hypotheses={
            "f is a sum of squares": lambda: Attempt(
                Huber(0.01), 1.0, GradientDescent(1.0)
            ).distances(
                "a Huber function from 1, as if m were 1/10",
                least_squares_bound(1.0, 1.0, up_to(40), 0.1, 1.0),
            ),
            "t < 2/L": lambda: Attempt(BOWL, 1.0, GradientDescent(2.0)).distances(
                "x²/2 from 1 with t = 2/L, limit 0", np.zeros(40)
            ),
            "the minimizer is the nearest one": another_minimizer,
        },
    ),
    Statement(
        label="lem-gd-descent",
        name="Descent lemma",
        measured="change of f in one step",
        instances=bench.bench_descent,
        worst_case=worst_cases.descent,
        by_pep=pep.descent,
        axis="t L",
        places=np.array([0.25, 0.5, 1.0, 1.5, 2.0]),
        hypotheses={
            "the gradient is Lipschitz": lambda: Attempt(
                AbsoluteValue(), 0.02, GradientDescent(0.1)
            ).gaps(
                "|x| from 0.02 with t = 0.1, as if L were 10",
                descent_bound(0.02, np.ones(1), 0.1, L=10.0),
            ),
        },
        misprints={
            "E07": lambda: Attempt(BOWL, 1.0, GradientDescent(0.1)).gaps(
                "x²/2 from 1 with t = 0.1", 0.5 - np.ones(1) ** 2 / 2
            )
        },
    ),
    Statement(
        label="thm-gd-stationary",
        name="Small gradients",
        measured="smallest gradient norm so far",
        instances=bench.bench_stationary,
        worst_case=worst_cases.stationary,
        by_pep=pep.stationary,
        hypotheses={
            "the gradient is Lipschitz": lambda: KINK.smallest_gradients(
                "|x| from 0.35 with t = 0.1", stationary_bound(0.35, 0.1, up_to(40))
            ),
            "f is bounded below": lambda: Attempt(
                Slope(), 0.0, GradientDescent(1.0)
            ).smallest_gradients(
                "-x from 0, as if it were at least -1", stationary_bound(1.0, 1.0, up_to(40))
            ),
            "t ≤ 1/L": lambda: Attempt(BOWL, 1.0, GradientDescent(2.0)).smallest_gradients(
                "x²/2 from 1 with t = 2/L", stationary_bound(0.5, 2.0, up_to(40))
            ),
        },
    ),
    Statement(
        label="thm-gd-convex",
        name="Descent, convex",
        measured="gap",
        instances=bench.bench_convex,
        worst_case=worst_cases.convex,
        by_pep=pep.convex,
        hypotheses={
            "f is convex": lambda: HILLS.gaps(
                "x²/20 + 1 - cos x from 6 with t = 1/L", convex_bound(6.0, 1 / 1.1, up_to(40))
            ),
            "the gradient is Lipschitz": lambda: KINK.gaps(
                "|x| from 0.35 with t = 0.1", convex_bound(0.35, 0.1, up_to(40))
            ),
            "f has a minimizer": lambda: Attempt(
                SlowSlope(), 0.0, GradientDescent(np.e**2 / 3)
            ).gaps(
                "1/log(e + x) from 0, as if 10 were a minimizer",
                convex_bound(10.0, np.e**2 / 3, up_to(200)),
            ),
            "t ≤ 1/L": lambda: Attempt(BOWL, 1.0, GradientDescent(2.1)).gaps(
                "x²/2 from 1 with t = 2.1/L", convex_bound(1.0, 2.1, up_to(40))
            ),
        },
        misprints={
            "E09": lambda: Attempt(BOWL, 1.0, GradientDescent(0.01)).gaps(
                "x²/2 from 1 with t = 0.01", 1 / (2 * up_to(10))
            )
        },
    ),
    Statement(
        label="thm-gd-linear",
        name="Descent, strongly convex",
        measured="gap",
        instances=partial(bench.bench_strongly_convex, kappa=worst_cases.KAPPA),
        worst_case=worst_cases.strongly_convex,
        by_pep=pep.strongly_convex,
        hypotheses={
            "f is strongly convex": lambda: Attempt(Huber(0.01), 1.0, GradientDescent(1.0)).gaps(
                "a Huber function from 1, as if m were 1/10",
                linear_bound(Huber(0.01)(np.ones(1))[0], up_to(40), 0.1, 1.0),
            ),
            "the gradient is Lipschitz": lambda: Attempt(
                KinkedBowl(0.5), 1.0, GradientDescent(0.5)
            ).gaps(
                "|x| + x²/4 from 1 with t = 1/2, as if M were 2",
                linear_bound(1.25, up_to(40), 0.5, 2.0),
            ),
            "t = 1/M": lambda: Attempt(
                Quadratic(10 * np.eye(1), np.zeros(1)), 1.0, GradientDescent(1.0)
            ).gaps(
                "10 x²/2 from 1 with t = 1/m, where m = 1", linear_bound(5.0, up_to(5), 1.0, 10.0)
            ),
        },
    ),
)
