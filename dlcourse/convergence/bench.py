r"""Theorems of gradient descent against random problems that satisfy their hypotheses.

All problems of a bench are measured in units in which they share one bound, or carry their own.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Real

from dlcourse.convergence import gradient_descent as theory
from dlcourse.convergence.problems import random_problem
from dlcourse.functions import Waves
from dlcourse.losses import SquaredError
from dlcourse.optim import GradientDescent, minimize

Array = np.ndarray
P = 20  # dimensions of the random problems


class Bench(NamedTuple):
    """A theorem's bound beside what problems that satisfy its hypotheses do."""

    theorem: str
    at: Real[Array, " places"]  # numbers of steps k, or step sizes
    values: Float[Array, "problems places"]
    bound: Float[Array, " places"] | Float[Array, "problems places"]
    floor: float | Float[Array, " places"] = 0.0  # below it no convex function can come

    @property
    def is_within(self) -> bool:
        """Does every problem stay under the bound everywhere, up to rounding?"""
        return bool((self.values <= self.bound + 1e-12).all())

    @property
    def shares(self) -> Float[Array, "problems places"]:
        """How much of the way from the floor to the bound each problem goes; 1 is the bound."""
        return (self.values - self.floor) / (self.bound - self.floor)

    def __repr__(self):
        return (
            f"{self.theorem}: {len(self.values)} problems, all within the bound: {self.is_within}"
        )


def bench_least_squares(rng, n_problems) -> Bench:
    """Distances to the nearest minimizer with random steps up to 2/L on data of random rank.

    In units of the first distance; each problem has a bound of its own.
    """
    n, k, distances, bounds = 30, np.arange(1, 51), [], []
    for _ in range(n_problems):
        rank = rng.integers(2, P)
        X = rng.normal(size=(n, rank)) @ rng.normal(size=(rank, P)) / np.sqrt(P)
        y, start = rng.normal(size=n), rng.normal(size=P)
        curvatures = np.linalg.svd(X, compute_uv=False)[:rank] ** 2 / n
        t = rng.uniform(0.1, 1.95) / curvatures[0]
        run = minimize(SquaredError(X, y), start, GradientDescent(t), max_steps=k[-1])
        nearest = start + np.linalg.lstsq(X, y - X @ start, rcond=1e-10)[0]
        norms = np.linalg.norm(run.points - nearest, axis=-1)
        distances.append(norms[1:] / norms[0])
        bounds.append(theory.least_squares_bound(1.0, t, k, curvatures[-1], curvatures[0]))
    return Bench("least squares", k, np.stack(distances), np.stack(bounds))


def bench_descent(rng, n_problems) -> Bench:
    r"""Change of f in one step against the descent lemma.

    In units of :math:`\lVert \nabla f(x) \rVert^2 / L`, so that all functions share one bound.

    `at` holds the step sizes times L. Every start is a fresh random point. The floor is the
    tangent, under which no convex function falls.
    """
    h = np.linspace(0.05, 2.4, 48)
    changes = []
    for _ in range(n_problems):
        f, x = random_problem(rng, P)[:2]
        value, grad = f(x)
        changes.append((f(x - h[:, None] * grad)[0] - value) / (grad**2).sum())
    bound = theory.descent_bound(0.0, 1.0, h, L=1.0)
    return Bench("descent lemma", h, np.stack(changes), bound, floor=-h)


def bench_stationary(rng, n_problems) -> Bench:
    r"""Smallest gradient norms so far, with t = 1/L, on random waves: no convexity is needed.

    In units of :math:`\sqrt{L (f(x^{(0)}) - f^*)}`.
    """
    k, norms = np.arange(1, 101), []
    for _ in range(n_problems):
        A = rng.normal(size=(2 * P, P)) * np.exp(rng.normal(size=P))
        waves = Waves(A / np.sqrt(np.linalg.eigvalsh(A.T @ A / len(A))[-1]))
        x0 = np.exp(rng.uniform(0, 3)) * rng.normal(size=P)
        run = minimize(waves, x0, GradientDescent(1.0), max_steps=k[-1])
        smallest = np.minimum.accumulate(run.gradient_norms[:-1])
        norms.append(smallest / np.sqrt(run.values[0]))
    return Bench("small gradients", k, np.stack(norms), theory.stationary_bound(1.0, 1.0, k))


def bench_convex(rng, n_problems) -> Bench:
    r"""Gaps with t = 1/L against the O(1/k) theorem.

    In units of :math:`L \lVert x^{(0)} - x^* \rVert^2`, so that all problems share one bound.
    """
    k, gaps = np.arange(1, 201), []
    for _ in range(n_problems):
        problem = random_problem(rng, P)
        run = minimize(problem.f, problem.x0, GradientDescent(1.0), max_steps=k[-1])
        gaps.append(run.values[1:] / problem.distance**2)
    return Bench("smooth and convex", k, np.stack(gaps), theory.convex_bound(1.0, 1.0, k))


def bench_strongly_convex(rng, kappa, n_problems) -> Bench:
    """Gaps in 10 kappa steps of size 1/M, in units of the first gap, against the linear rate."""
    n_steps = int(10 * kappa)
    k = np.arange(n_steps + 1)
    problems = [random_problem(rng, P, m=1 / kappa) for _ in range(n_problems)]
    gaps = [problem.relative_gaps(GradientDescent(1.0), n_steps) for problem in problems]
    bound = theory.linear_bound(1.0, k, 1 / kappa, M=1.0)
    return Bench("strongly convex", k, np.stack(gaps), bound)
