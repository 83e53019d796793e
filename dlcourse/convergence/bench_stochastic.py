r"""Theorems of SGD against random problems, with expectations that are exact.

The noise of step k is plus or minus one vector of length sigma, by the toss of a coin. After n
steps there are 2^n equally likely paths, and all of them are run: their mean is the expectation.
m = 1/kappa and M = 1; distances are in units of the first.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from dlcourse.convergence import stochastic
from dlcourse.convergence.bench import Bench, P
from dlcourse.convergence.problems import Problem, random_problem
from dlcourse.optim import SGD, minimize

Array = np.ndarray
N_STEPS = 8  # 256 paths


def all_signs(n_steps) -> Int[Array, "runs n"]:
    """Every sequence of n signs, one a row: 2^n equally likely outcomes.

    >>> all_signs(2).tolist()
    [[1, 1], [-1, 1], [1, -1], [-1, -1]]
    """
    return 1 - 2 * ((np.arange(2**n_steps)[:, None] >> np.arange(n_steps)) & 1)


@dataclass(frozen=True, eq=False)
class CoinToss:
    """An optimizer that is handed each gradient plus or minus the `noise` of that step.

    It moves 2^n runs at once, one for each sequence of signs of n steps.
    """

    optimizer: SGD
    noise: Float[Array, "n p"]

    def init(self, x: Float[Array, "runs p"]):
        return self.optimizer.init(x)

    def step(self, x: Float[Array, "runs p"], grad: Float[Array, "runs p"], state):
        """The next points and state."""
        k = int(state.k)
        signs = all_signs(len(self.noise))[:, [k]]
        return self.optimizer.step(x, grad + signs * self.noise[k], state)


def expected_squares(
    problem: Problem, optimizer: SGD, noise: Float[Array, "n p"]
) -> Float[Array, " n"]:
    """Expected squared distance to the minimizer after 1, ..., n steps."""
    x0 = np.tile(problem.x0, (2 ** len(noise), 1))
    run = minimize(problem.f, x0, CoinToss(optimizer, noise), max_steps=len(noise))
    return ((run.points[1:] - problem.minimizer) ** 2).sum(-1).mean(-1)


def bench_contraction(rng, kappa, n_problems) -> Bench:
    """Distance left by one exact step; `at` holds the steps as shares of the longest one."""
    m, at, distances = 1 / kappa, np.linspace(0.05, 1.0, 20), []
    steps = at * stochastic.longest_step(m, 1.0)
    for _ in range(n_problems):
        problem = random_problem(rng, P, m)
        after = problem.x0 - steps[:, None] * problem.f(problem.x0)[1]
        distances.append(np.linalg.norm(after - problem.minimizer, axis=-1) / problem.distance)
    bound = stochastic.contraction_bound(1.0, steps, m)
    return Bench("one exact step", at, np.stack(distances), bound)


def bench_constant_step(rng, kappa, n_problems) -> Bench:
    """Expected squared distances with the step 1/M; `at` holds the numbers of steps."""
    k, m = np.arange(1, N_STEPS + 1), 1 / kappa
    draws = [_random_noise(rng, m) for _ in range(n_problems)]
    squares = [expected_squares(problem, SGD(1.0), noise) for problem, noise, _ in draws]
    bounds = [stochastic.constant_step_bound(1.0, 1.0, k, m, sigma) for *_, sigma in draws]
    return Bench("SGD, constant step", k, _relative(squares, draws), np.stack(bounds))


def bench_decaying_step(rng, kappa, n_problems) -> Bench:
    """Expected squared distances with steps 1 / (m (k + k0)); `at` holds the numbers of steps."""
    k, m = np.arange(1, N_STEPS + 1), 1 / kappa
    schedule = stochastic.decaying_schedule(m, 1.0)
    draws = [_random_noise(rng, m) for _ in range(n_problems)]
    squares = [expected_squares(problem, SGD(schedule), noise) for problem, noise, _ in draws]
    bounds = [
        stochastic.decaying_step_bound(1.0, k, schedule.n_steps, m, sigma) for *_, sigma in draws
    ]
    return Bench("SGD, decaying step", k, _relative(squares, draws), np.stack(bounds))


def _random_noise(rng, m):
    """A problem, the noise of each step, and its length in units of M times the first distance."""
    problem, sigma = random_problem(rng, P, m), np.exp(rng.uniform(-3, 0))
    directions = rng.normal(size=(N_STEPS, P))
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    return problem, sigma * problem.distance * directions / lengths, sigma


def _relative(squares, draws):
    return np.stack(squares) / np.array([[problem.distance**2] for problem, *_ in draws])
