r"""How many steps momentum saves.

m, M   smallest and largest curvature that a method is told of      kappa  M / m
gap    f at a point, less the smallest value of f
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from dlcourse import datasets
from dlcourse.convergence import heavy_ball, nesterov
from dlcourse.convergence.problems import Problem
from dlcourse.linear.logistic import hessian
from dlcourse.linear.newton import newton, of_one_size
from dlcourse.losses import LogisticLoss, SquaredError
from dlcourse.optim import GradientDescent, GrowingMomentum, HeavyBall, Nesterov, minimize
from dlcourse.tables import PrintsTable, Table

Array = np.ndarray
TARGET = 1e-6  # share of the first distance, or gap, at which a method has arrived

# Each method with the parameters that its theorem names for curvatures from m to M.
METHODS = {
    "gradient descent": lambda m, M: GradientDescent(2 / (m + M)),
    "heavy ball": lambda m, M: HeavyBall(*heavy_ball.optimal_parameters(m, M)),
    "Nesterov": lambda m, M: Nesterov(1 / M, nesterov.constant_momentum(m, M)),
    "Nesterov, growing": lambda m, M: Nesterov(1 / M, GrowingMomentum()),
}


def exact_regression(kappa: float, rng, p=20) -> Problem:
    """Least squares on 200 exact outcomes, so that the true coefficients are the minimizer.

    The curvatures lie between 1 / kappa and 1 at equal ratios.
    """
    n = 200
    singular_values = np.sqrt(n * np.geomspace(1 / kappa, 1, p))
    X, beta = datasets.design_with_singular_values(n, singular_values, rng), rng.normal(size=p)
    return Problem(SquaredError(X, X @ beta), np.zeros(p), beta, 1 / kappa, 1.0)


def ridged_logit(X: Float[Array, "n p"], y: Float[Array, " n"], lam: float) -> Problem:
    r"""The logit with a ridge on every coefficient; Newton's method supplies the minimizer.

    The second derivative of the log-loss is at most 1/4, so the curvatures lie between lam and
    lam plus a quarter of the largest eigenvalue of :math:`X^\top X / n`.
    """
    penalties, to_own_side = np.full(X.shape[1], lam), (2 * y - 1)[:, None] * of_one_size(X)
    loss = LogisticLoss(X, y, penalties)
    fit = newton(
        loss,
        lambda beta: hessian(X, beta) + np.diag(penalties),
        lambda direction: to_own_side @ direction,
        np.zeros(X.shape[1]),
        max_steps=100,
    )
    M = lam + np.linalg.eigvalsh(X.T @ X / len(y))[-1] / 4
    return Problem(loss, np.zeros(X.shape[1]), fit.coefficients, lam, float(M))


def steps_to(shares: Float[Array, " steps"], target: float) -> int:
    """Number of steps after which the shares stay at or below `target`.

    Raises `ValueError` where the last share is still above `target`.

    >>> steps_to(np.array([1.0, 0.1, 0.3, 0.1, 0.0]), target=0.2)
    3
    """
    above = np.flatnonzero(shares > target)
    if len(above) and above[-1] == len(shares) - 1:
        raise ValueError(
            f"The target {target:g} is not reached in {len(shares) - 1} steps, got "
            f"{shares[-1]:.2g}. Take more steps, or a larger `target`."
        )
    return int(above[-1]) + 1 if len(above) else 0


@dataclass(frozen=True, repr=False, eq=False)
class Savings(PrintsTable):
    """Steps to bring the distance to a share `target` of the first, by condition number."""

    kappas: list[float]
    steps: dict[str, list[int]]
    target: float

    def slope(self, method) -> float:
        """Of log steps over log kappa."""
        return float(np.polyfit(np.log(self.kappas), np.log(self.steps[method]), 1)[0])

    def prose(self) -> dict[str, str]:
        """Steps at κ = 100 and slopes, rounded as the chapter's text reads them."""
        at, numbers = self.kappas.index(100.0), {}
        for short, name in (("gd", "gradient descent"), ("hb", "heavy ball")):
            numbers[f"momentum_{short}_100"] = f"{self.steps[name][at]:,}"
            numbers[f"momentum_{short}_slope"] = f"{self.slope(name):.2f}"
        return numbers

    def table(self):
        logs = np.log(1 / self.target)
        return Table(
            {"κ": [f"{kappa:,.0f}" for kappa in self.kappas]}
            | self.steps
            | {
                "κ/2 · log 1/ε": [round(kappa / 2 * logs) for kappa in self.kappas],
                "√κ/2 · log 1/ε": [round(np.sqrt(kappa) / 2 * logs) for kappa in self.kappas],
            }
        )


def steps_by_condition(kappas, rng, target=TARGET) -> Savings:
    """Run gradient descent, heavy ball and Nesterov's method on exact regressions."""
    methods = list(METHODS)[:3]
    steps = {name: [] for name in methods}
    for kappa in kappas:
        problem = exact_regression(kappa, rng)
        limit = int(kappa * np.log(1 / target)) + 100
        for name in methods:
            run = minimize(problem.f, problem.x0, METHODS[name](1 / kappa, 1.0), max_steps=limit)
            distances = np.linalg.norm(run.points - problem.minimizer, axis=1)
            steps[name].append(steps_to(distances / problem.distance, target))
    return Savings([float(kappa) for kappa in kappas], steps, target)


@dataclass(frozen=True, repr=False, eq=False)
class Race(PrintsTable):
    """Shares of the first gap that each method leaves, by problem, and steps to the target."""

    kappas: dict[str, float]
    gaps: dict[str, dict[str, Float[Array, " steps"]]]
    target: float

    @property
    def steps(self) -> dict[str, list[int]]:
        """By method, one entry a problem."""
        return {
            name: [steps_to(gaps[name], self.target) for gaps in self.gaps.values()]
            for name in METHODS
        }

    def prose(self) -> dict[str, str]:
        """Steps on the two data sets, as the chapter's text reads them."""
        diabetes, cancer = zip(*self.steps.values(), strict=True)
        return {
            "momentum_diabetes_gd": f"{diabetes[0]:,}",
            "momentum_diabetes_hb": f"{diabetes[1]}",
            "momentum_cancer_gd": f"{cancer[0]:,}",
            "momentum_cancer_hb": f"{cancer[1]}",
            "momentum_cancer_nesterov": f"{cancer[2]}",
            "momentum_cancer_growing": f"{cancer[3]}",
        }

    def table(self):
        kappas = [f"{kappa:,.0f}" for kappa in self.kappas.values()]
        return Table({"problem": list(self.gaps), "κ told": kappas} | self.steps)


def steps_by_method(problems: dict[str, Problem], n_steps: int) -> Race:
    """Run all four methods on each problem with what they are told of its curvatures."""
    gaps = {
        name: {
            method: np.maximum(problem.relative_gaps(make(problem.m, problem.M), n_steps), 0)
            for method, make in METHODS.items()
        }
        for name, problem in problems.items()
    }
    return Race({name: problem.kappa for name, problem in problems.items()}, gaps, TARGET)


@dataclass(frozen=True, eq=False)
class Valley:
    """Gaps on a valley so flat that strong convexity does not help, with the two bounds."""

    k: Int[Array, " steps"]  # 1, 2, ...
    gaps: dict[str, Float[Array, " steps"]]
    bounds: dict[str, Float[Array, " steps"]]

    def slope(self, method) -> float:
        """Of log gap over log k, on the second half of the logarithmic axis."""
        late = self.k >= np.sqrt(self.k[-1])
        return float(np.polyfit(np.log(self.k[late]), np.log(self.gaps[method][late]), 1)[0])

    def __repr__(self):
        is_within = all((self.gaps[name] <= self.bounds[name]).all() for name in self.gaps)
        slopes = (f"{name}: falls like k to the {self.slope(name):.1f}" for name in self.gaps)
        return f"below the bounds at every step: {is_within}\n" + "\n".join(slopes)


def flat_valley(rng, n_steps=1_000) -> Valley:
    """Gradient descent with step 1/L and Nesterov's method with growing momentum, L = 1."""
    f, x0, minimizer, *_ = problem = exact_regression(1e6, rng, p=100)
    k = np.arange(1, n_steps + 1)
    plain = minimize(f, x0, GradientDescent(1.0), max_steps=n_steps).values[1:]
    ahead = minimize(f, x0, Nesterov(1.0, GrowingMomentum()), max_steps=n_steps - 1).points
    fast, smallest = f(nesterov.points_behind(f, ahead, 1.0))[0], f(minimizer)[0]
    return Valley(
        k,
        {"gradient descent": plain - smallest, "Nesterov, growing": fast - smallest},
        {
            "gradient descent": problem.distance**2 / (2 * k),
            "Nesterov, growing": nesterov.convex_bound(problem.distance, 1.0, k),
        },
    )
