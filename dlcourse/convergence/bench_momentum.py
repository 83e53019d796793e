"""Theorems of heavy ball and of Nesterov's method against random problems.

In all of them L = M = 1. `at` holds the numbers of steps.
"""

import numpy as np

from dlcourse.convergence import heavy_ball, nesterov
from dlcourse.convergence.bench import Bench, P
from dlcourse.convergence.problems import random_bowl, random_problem
from dlcourse.optim import GrowingMomentum, HeavyBall, Nesterov, minimize


def bench_heavy_ball(rng, n_problems) -> Bench:
    """Distances with random stable parameters on random bowls; each has a bound of its own."""
    k, distances, bounds = np.arange(1, 21), [], []
    for _ in range(n_problems):
        problem = random_bowl(rng, P, m=np.exp(rng.uniform(-5, -1)))
        beta = rng.uniform(0, 1)
        alpha = rng.uniform(0, 2 + 2 * beta)
        curvatures = np.linalg.eigvalsh(problem.f.A)
        rate = heavy_ball.spectral_radius(alpha * curvatures, beta).max()
        distances.append(_distances(problem, HeavyBall(alpha, beta), k[-1]))
        bounds.append(heavy_ball.distance_bound(1.0, rate, k))
    return Bench("heavy ball, stable", k, np.stack(distances), np.stack(bounds))


def bench_best_heavy_ball(rng, kappa, n_problems) -> Bench:
    """Distances with the optimal parameters on random bowls of one condition number."""
    k, best = np.arange(1, 21), heavy_ball.optimal_parameters(1 / kappa, 1.0)
    problems = [random_bowl(rng, P, 1 / kappa) for _ in range(n_problems)]
    distances = [_distances(problem, HeavyBall(*best), k[-1]) for problem in problems]
    bound = heavy_ball.distance_bound(1.0, heavy_ball.optimal_rate(1 / kappa, 1.0), k)
    return Bench("heavy ball, optimal", k, np.stack(distances), bound)


def bench_nesterov_convex(rng, n_problems) -> Bench:
    r"""Gaps with growing momentum, in units of :math:`L \lVert x_0 - x^* \rVert^2`."""
    k, gaps = np.arange(1, 101), []
    for _ in range(n_problems):
        problem = random_problem(rng, P)
        gaps.append(_gaps(problem, GrowingMomentum(), k[-1]) / problem.distance**2)
    return Bench("Nesterov, convex", k, np.stack(gaps), nesterov.convex_bound(1.0, 1.0, k))


def bench_nesterov_strong(rng, kappa, n_problems) -> Bench:
    r"""Gaps with constant momentum, in units of the gap plus :math:`m R^2 / 2` at the start."""
    k, m, gaps = np.arange(1, 31), 1 / kappa, []
    for _ in range(n_problems):
        problem = random_problem(rng, P, m)
        first = problem.f(problem.x0)[0] + m / 2 * problem.distance**2
        gaps.append(_gaps(problem, nesterov.constant_momentum(m, 1.0), k[-1]) / first)
    bound = nesterov.linear_bound(1.0, 0.0, k, m, 1.0)
    return Bench("Nesterov, strongly convex", k, np.stack(gaps), bound)


def _distances(problem, optimizer, n_steps):
    """Distances to the minimizer after 1, ..., n_steps steps, as shares of the first."""
    run = minimize(problem.f, problem.x0, optimizer, max_steps=n_steps)
    distances = np.linalg.norm(run.points - problem.minimizer, axis=-1)
    return distances[1:] / distances[0]


def _gaps(problem, beta, n_steps):
    """Gaps of the points x_1, ..., x_n of Nesterov's method with the step 1."""
    run = minimize(problem.f, problem.x0, Nesterov(1.0, beta), max_steps=n_steps - 1)
    return problem.f(nesterov.points_behind(problem.f, run.points, 1.0))[0]
