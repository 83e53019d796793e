r"""The convergence theorems as functions, and experiments that hold them against instances.

f_star  smallest value of f         L, M   Lipschitz constant of the gradient (M beside m)
gap     f(x) - f_star               m      strong convexity; kappa = M / m
k       number of steps             distance  from the start to a minimizer, |x0 - x_star|

Chapter: book/gradient_descent.ipynb.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from dlcourse import _checks
from dlcourse.losses import Quadratic, SquaredError
from dlcourse.optim import Backtracking, ExactLineSearch, GradientDescent, minimize
from dlcourse.optim.examples import Huber, LogCosh
from dlcourse.tables import Table

Array = np.ndarray


def descent_bound(value, gradient_norm, learning_rate, L):
    r"""What the descent lemma promises for f after one step, whatever the step size.

    .. math:: f(x^+) \le f(x) - t \left(1 - \tfrac{Lt}{2}\right) \lVert \nabla f(x) \rVert^2

    Book: eq. `eq-gd-descent`.

    >>> float(descent_bound(value=0.5, gradient_norm=1.0, learning_rate=1.0, L=1.0))
    0.0
    """
    t = learning_rate
    return value - t * (1 - L * t / 2) * np.square(gradient_norm)


def stationary_bound(gap, learning_rate, k):
    r"""Bound on the smallest gradient norm of the first k points; needs no convexity.

    .. math:: \min_{j < k} \lVert \nabla f(x^{(j)}) \rVert \le \sqrt{\frac{2 (f^{(0)} - f^*)}{t k}}

    Valid for t up to 1/L. Book: eq. `eq-gd-stationary-rate`.

    >>> float(stationary_bound(gap=2.0, learning_rate=0.5, k=2))
    2.0
    """
    return np.sqrt(2 * gap / (learning_rate * np.asarray(k)))


def convex_bound(distance, learning_rate, k):
    r"""Bound on the gap after k steps on a smooth convex f.

    .. math:: f(x^{(k)}) - f^* \le \frac{\lVert x^{(0)} - x^* \rVert^2}{2 t k}

    Valid for t up to 1/L. Book: eq. `eq-gd-convex-rate`.

    >>> float(convex_bound(distance=1.0, learning_rate=0.01, k=10))
    5.0
    """
    return np.square(distance) / (2 * learning_rate * np.asarray(k))


def convex_worst_case(distance, learning_rate, k, L):
    r"""The largest gap after k steps that any smooth convex f can leave, for t up to 1/L.

    .. math:: \max_f \, f(x^{(k)}) - f^* = \frac{L \lVert x^{(0)} - x^* \rVert^2}{4 L t k + 2}

    Reference: Drori and Teboulle (2014), section 3. Book: eq. `eq-gd-worst-case`.

    >>> float(convex_worst_case(distance=1.0, learning_rate=1.0, k=1, L=1.0))
    0.16666666666666666
    """
    return L * np.square(distance) / (4 * L * learning_rate * np.asarray(k) + 2)


def worst_function(distance, learning_rate, k, L) -> Huber:
    """The function that leaves `convex_worst_case` after k steps from that distance.

    Book: eq. `eq-gd-huber`.

    >>> worst_function(distance=1.0, learning_rate=1.0, k=2, L=1.0)
    Huber(delta=0.2, L=1.0)
    """
    return Huber(delta=distance / (2 * L * learning_rate * k + 1), L=L)


def linear_bound(gap, k, m, M):
    r"""Bound on the gap after k steps of size 1/M on a strongly convex f; `gap` is the first one.

    .. math:: f(x^{(k)}) - f^* \le \left(1 - \tfrac{m}{M}\right)^k \left(f(x^{(0)}) - f^*\right)

    Book: eq. `eq-gd-linear-rate`.

    >>> linear_bound(gap=8.0, k=3, m=1.0, M=2.0)
    1.0
    """
    _check_curvatures(m, M)
    return gap * (1 - m / M) ** k


def n_steps_needed(gap, target, m, M) -> int:
    r"""Steps of size 1/M after which the gap of a strongly convex f is surely at most `target`.

    .. math:: k^* = \left\lceil \frac{\log(\text{gap} / \text{target})}{\log(1 / (1 - m/M))}
              \right\rceil

    Book: eq. `eq-gd-steps`.

    >>> n_steps_needed(gap=5.5, target=1e-6, m=1.0, M=10.0)
    148
    """
    _check_curvatures(m, M)
    _checks.positive(target, "target")
    if gap <= target:
        return 0
    return 1 if m == M else int(np.ceil(np.log(gap / target) / -np.log1p(-m / M)))


def _check_curvatures(m, M):
    if not 0 < m <= M:
        raise ValueError(
            f"`m` and `M` must satisfy 0 < m <= M, got m={m!r} and M={M!r}. "
            "m is the smallest curvature, M the largest."
        )


class Problem(NamedTuple):
    """A convex function whose minimizer and curvatures are known, and a point to start from."""

    f: Callable
    x0: Float[Array, " p"]
    minimizer: Float[Array, " p"]
    m: float
    M: float

    @property
    def kappa(self) -> float:
        return self.M / self.m

    @property
    def distance(self) -> float:
        return float(np.linalg.norm(self.x0 - self.minimizer))

    def relative_gaps(self, optimizer, n_steps) -> Float[Array, " steps"]:
        """Gap after 0, 1, ..., n_steps steps as a share of the first gap."""
        values = minimize(self.f, self.x0, optimizer, max_steps=n_steps).values
        gaps = values - self.f(self.minimizer)[0]
        return gaps / gaps[0]


def random_problem(rng, p, m=0.0) -> Problem:
    """A quadratic or a ridged log-cosh in p dimensions with strong convexity m and M = 1.

    With m = 0 the quadratic is flat along one direction.
    """
    center, direction = rng.normal(size=(2, p))
    if rng.random() < 0.5:
        inner = np.exp(rng.uniform(np.log(max(m, 1e-4)), 0, p - 2))
        axes = np.linalg.qr(rng.normal(size=(p, p)))[0]
        root = axes * np.sqrt(np.concatenate([[m], inner, [1.0]]))
        f = Quadratic(root @ root.T, center)
    else:
        A = rng.normal(size=(2 * p, p)) * np.exp(rng.normal(size=p))
        largest = np.linalg.eigvalsh(A.T @ A / len(A))[-1]
        f = LogCosh(A * np.sqrt((1 - m) / largest), center, m)
    distance = np.exp(rng.uniform(-1, 4))
    x0 = center + distance * direction / np.linalg.norm(direction)
    return Problem(f, x0, center, m, M=1.0)


def zigzag_bowl(kappa) -> Problem:
    """The bowl with curvatures 1 and kappa, from the start where exact line search is slowest.

    Book: eq. `eq-gd-zigzag`.
    """
    bowl = Quadratic(np.diag([1.0, kappa]), np.zeros(2))
    return Problem(bowl, np.array([kappa, 1.0]), np.zeros(2), m=1.0, M=float(kappa))


def least_squares_problem(X: Float[Array, "n p"], y: Float[Array, " n"]) -> Problem:
    """Half the mean squared error from zero coefficients; its curvatures are those of X^T X / n."""
    curvatures = np.linalg.eigvalsh(X.T @ X / len(y))
    minimizer = np.linalg.lstsq(X, y, rcond=None)[0]
    return Problem(
        SquaredError(X, y), np.zeros(X.shape[1]), minimizer, curvatures[0], curvatures[-1]
    )


class Bench(NamedTuple):
    """A theorem's bound beside what random problems that satisfy its hypotheses do."""

    theorem: str
    at: Float[Array, " places"]  # numbers of steps k, or step sizes
    values: Float[Array, "problems places"]
    bound: Float[Array, " places"]

    @property
    def is_within(self) -> bool:
        """Does every problem stay under the bound everywhere, up to rounding?"""
        return bool((self.values <= self.bound + 1e-12).all())

    def __repr__(self):
        return (
            f"{self.theorem}: {len(self.values)} problems, all within the bound: {self.is_within}"
        )


def bench_descent(rng, n_problems=20, p=20) -> Bench:
    r"""Change of f in one step against the descent lemma.

    In units of :math:`\lVert \nabla f(x) \rVert^2 / L`, so that all functions share one bound.

    `at` holds the step sizes times L. Every start is a fresh random point.
    """
    h = np.linspace(0.05, 2.4, 48)
    changes = []
    for _ in range(n_problems):
        f, x = random_problem(rng, p)[:2]
        value, grad = f(x)
        changes.append((f(x - h[:, None] * grad)[0] - value) / (grad**2).sum())
    return Bench("descent lemma", h, np.stack(changes), descent_bound(0.0, 1.0, h, L=1.0))


def bench_convex(rng, n_problems=20, p=20, n_steps=200) -> Bench:
    r"""Gaps with t = 1/L against the O(1/k) theorem.

    In units of :math:`L \lVert x^{(0)} - x^* \rVert^2`, so that all problems share one bound.
    """
    k, gaps = np.arange(1, n_steps + 1), []
    for _ in range(n_problems):
        problem = random_problem(rng, p)
        run = minimize(problem.f, problem.x0, GradientDescent(1.0), max_steps=n_steps)
        gaps.append(run.values[1:] / problem.distance**2)
    return Bench("smooth and convex", k, np.stack(gaps), convex_bound(1.0, 1.0, k))


def bench_strongly_convex(rng, kappa, n_problems=20, p=20) -> Bench:
    """Gaps in 10 kappa steps of size 1/M, in units of the first gap, against the linear rate."""
    n_steps = int(10 * kappa)
    k = np.arange(n_steps + 1)
    problems = [random_problem(rng, p, m=1 / kappa) for _ in range(n_problems)]
    gaps = [problem.relative_gaps(GradientDescent(1.0), n_steps) for problem in problems]
    return Bench("strongly convex", k, np.stack(gaps), linear_bound(1.0, k, 1 / kappa, M=1.0))


class Race(NamedTuple):
    """Relative gaps, by problem and step rule, and the condition numbers of the problems."""

    kappas: dict[str, float]
    gaps: dict[str, dict[str, Float[Array, " steps"]]]

    def table(self) -> Table:
        """The share of the first gap that each rule leaves on each problem at the end."""
        rules = list(next(iter(self.gaps.values())))
        columns = {
            "problem": list(self.gaps),
            "κ": [rounded(self.kappas[name]) for name in self.gaps],
        }
        return Table(
            columns
            | {f"{rule}, %": [_percent(g[rule][-1]) for g in self.gaps.values()] for rule in rules}
        )

    def __repr__(self):
        return repr(self.table())

    def _repr_html_(self):
        return self.table()._repr_html_()


def race(problems: dict[str, Problem], n_steps, first_step=100.0) -> Race:
    """Run the three step rules on each problem; backtracking starts at `first_step`."""
    gaps = {}
    for name, problem in problems.items():
        rules = {
            "fixed 1/M": 1 / problem.M,
            "backtracking": Backtracking(problem.f, first_step),
            "exact": ExactLineSearch(problem.f, 1 / problem.M),
        }
        gaps[name] = {
            rule: problem.relative_gaps(GradientDescent(step), n_steps)
            for rule, step in rules.items()
        }
    return Race({name: problem.kappa for name, problem in problems.items()}, gaps)


def rounded(number) -> str:
    """Two significant digits without an exponent, for numbers such as condition numbers.

    >>> rounded(52365337.3)
    '52,000,000'
    """
    return f"{float(f'{number:.2g}'):,.0f}"


def _percent(share):
    return "below 1e-8" if share < 1e-10 else f"{100 * share:.2g}"
