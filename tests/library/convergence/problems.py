"""Random problems on which the convergence theorems are tried."""

import numpy as np
import pytest

from dlcourse import convergence


def random_problem(i):
    """A smooth convex problem with M = 1; every other one is strongly convex."""
    return convergence.random_problem(np.random.default_rng(i), p=5, m=0.1 * (i % 2))


every_problem = pytest.mark.parametrize(
    "problem", [random_problem(i) for i in range(4)], ids=range(4)
)
STRONG = [convergence.random_problem(np.random.default_rng(i), p=5, m=0.05) for i in range(10)]


def pairs(problem, rng, n=200):
    """Random pairs of points near and far from the minimizer."""
    scale = np.exp(rng.uniform(-2, 4, size=(2, n, 1)))
    return problem.minimizer + scale * rng.normal(size=(2, n, problem.minimizer.size))
