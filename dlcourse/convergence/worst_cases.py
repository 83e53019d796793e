r"""The worst function of each theorem, run with its method: how close a bound can come to be met.

at     numbers of steps k, or step sizes      L = M = 1, m = 1/10; the start is at distance 1
sigma  length of the noise, 0.3

`pep` computes the same numbers from no function at all, as the largest over all functions.
"""

import numpy as np
from jaxtyping import Real
from scipy.optimize import minimize_scalar

from dlcourse.convergence import gradient_descent as theory
from dlcourse.convergence import heavy_ball, nesterov, stochastic
from dlcourse.convergence.bench import Bench
from dlcourse.convergence.bench_stochastic import expected_squares
from dlcourse.convergence.problems import Problem
from dlcourse.functions import Huber, Washboard
from dlcourse.losses import Quadratic
from dlcourse.optim import SGD, GradientDescent, GrowingMomentum, HeavyBall, Nesterov, minimize

Array = np.ndarray
Places = Real[Array, " places"]
KAPPA = 10.0
SIGMA = 0.3
STEEP = Quadratic(np.eye(1), np.zeros(1))  # curvature M
FLAT = Quadratic(np.eye(1) / KAPPA, np.zeros(1))  # curvature m
ONE = np.ones(1)


def least_squares(at: Places) -> Bench:
    """The flattest bowl with the step 1/L."""
    points = minimize(FLAT, ONE, GradientDescent(1.0), max_steps=max(at)).points
    bound = theory.least_squares_bound(1.0, 1.0, at, 1 / KAPPA, 1.0)
    return Bench("least squares", at, points[at].T, bound)


def descent(at: Places) -> Bench:
    """A bowl of curvature L, one step of each size in `at`, in units of the squared gradient."""
    steps = GradientDescent(at)
    after = minimize(STEEP, np.ones((len(at), 1)), steps, max_steps=1).value
    bound = theory.descent_bound(0.0, 1.0, at, L=1.0)
    return Bench("descent lemma", at, (after - STEEP(ONE)[0])[None], bound, floor=-at)


def stationary(at: Places) -> Bench:
    r"""Washboards on which no gradient falls below the first: :math:`\sqrt{4 / (3k - 1)}`.

    Book: eq. `eq-worst-stationary`.
    """
    smallest = []
    for k in at:
        run = minimize(Washboard(slope=1.0), k * ONE, GradientDescent(1.0), max_steps=k - 1)
        smallest.append(run.gradient_norms.min() / np.sqrt(run.values[0]))
    return Bench("small gradients", at, np.array([smallest]), theory.stationary_bound(1.0, 1.0, at))


def convex(at: Places) -> Bench:
    """For each k a Huber function of its own: 1 / (4k + 2)."""
    worst = [theory.worst_function(1.0, 1.0, k, 1.0) for k in at]
    gaps = [
        minimize(f, ONE, GradientDescent(1.0), max_steps=k).value
        for f, k in zip(worst, at, strict=True)
    ]
    return Bench("smooth and convex", at, np.array([gaps]), theory.convex_bound(1.0, 1.0, at))


def strongly_convex(at: Places) -> Bench:
    r"""The flattest bowl: :math:`(1 - m/M)^{2k}`."""
    values = minimize(FLAT, ONE, GradientDescent(1.0), max_steps=max(at)).values
    bound = theory.linear_bound(1.0, at, 1 / KAPPA, 1.0)
    return Bench("strongly convex", at, (values[at] / values[0])[None], bound)


def heavy_ball_distance(at: Places) -> Bench:
    """A bowl of curvature M with the optimal parameters, for the curvatures from m to M."""
    best = heavy_ball.optimal_parameters(1 / KAPPA, 1.0)
    points = minimize(STEEP, ONE, HeavyBall(*best), max_steps=max(at)).points
    bound = heavy_ball.distance_bound(1.0, heavy_ball.optimal_rate(1 / KAPPA, 1.0), at)
    return Bench("heavy ball", at, np.abs(points[at].T), bound)


def nesterov_convex(at: Places) -> Bench:
    """For each k a Huber function of its own, as for gradient descent: 2 / ((k + 2) (k + 3)).

    Book: eq. `eq-worst-nesterov`.
    """
    worst = [Huber(delta=4 / ((k + 2) * (k + 3))) for k in at]
    gaps = [_nesterov_gap(f, GrowingMomentum(), k) for f, k in zip(worst, at, strict=True)]
    return Bench("Nesterov, convex", at, np.array([gaps]), nesterov.convex_bound(1.0, 1.0, at))


def nesterov_strong(at: Places) -> Bench:
    """For each k the ridged Huber function that leaves most: its `delta` is found by search."""
    m = 1 / KAPPA
    beta = nesterov.constant_momentum(m, 1.0)

    def missing(log_delta, k):
        f = Huber(np.exp(log_delta), m=m)
        return -_nesterov_gap(f, beta, k) / (f(ONE)[0] + m / 2)

    worst = []
    for k in at:
        grid = np.linspace(-15, 0, 61)
        near = grid[np.argmin([missing(log_delta, k) for log_delta in grid])]
        ends = (near - 0.25, near + 0.25)
        worst.append(-minimize_scalar(missing, args=(k,), bounds=ends, method="bounded").fun)
    bound = nesterov.linear_bound(1.0, 0.0, at, m, 1.0)
    return Bench("Nesterov, strongly convex", at, np.array([worst]), bound)


def contraction(at: Places) -> Bench:
    """The flattest bowl, one exact step; `at` holds shares of the longest one."""
    steps = at * stochastic.longest_step(1 / KAPPA, 1.0)
    after = minimize(FLAT, np.ones((len(at), 1)), GradientDescent(steps), max_steps=1).x
    bound = stochastic.contraction_bound(1.0, steps, 1 / KAPPA)
    return Bench("one exact step", at, np.abs(after.T), bound)


def constant_step(at: Places) -> Bench:
    """The flattest bowl with noise of length sigma, all paths run."""
    bound = stochastic.constant_step_bound(1.0, 1.0, at, 1 / KAPPA, SIGMA)
    return Bench("SGD, constant step", at, _all_paths(SGD(1.0), at), bound)


def decaying_step(at: Places) -> Bench:
    """The flattest bowl with noise of length sigma, all paths run."""
    schedule = stochastic.decaying_schedule(1 / KAPPA, 1.0)
    bound = stochastic.decaying_step_bound(1.0, at, schedule.n_steps, 1 / KAPPA, SIGMA)
    return Bench("SGD, decaying step", at, _all_paths(SGD(schedule), at), bound)


def _nesterov_gap(f, beta, k):
    run = minimize(f, ONE, Nesterov(1.0, beta), max_steps=k - 1)
    return float(f(nesterov.points_behind(f, run.x, 1.0))[0])


def _all_paths(optimizer, at):
    problem = Problem(FLAT, ONE, np.zeros(1), 1 / KAPPA, 1.0)
    return expected_squares(problem, optimizer, np.full((max(at), 1), SIGMA))[None, at - 1]
