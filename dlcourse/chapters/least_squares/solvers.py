"""One estimator, five solvers: do they agree?

X  design matrix (n, p)      y  outcome (n,)
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dlcourse import _checks
from dlcourse.linear.least_squares import SOLVERS, Solution, largest_curvature
from dlcourse.losses import SquaredError
from dlcourse.optim import Descent, GradientDescent, minimize
from dlcourse.tables import PrintsTable, Table

Array = np.ndarray


@dataclass(frozen=True, repr=False)
class Comparison(PrintsTable):
    """One data set through all solvers, and through gradient descent on J."""

    solutions: dict[str, Solution]
    descent: Descent

    @property
    def distances(self) -> dict[str, float]:
        """Relative distance of the coefficients from those of QR."""
        ours = self.solutions["QR"].beta
        found = {name: solution.beta for name, solution in self.solutions.items()}
        found["gradient descent"] = self.descent.x
        size = np.linalg.norm(ours)
        return {name: float(np.linalg.norm(b - ours) / size) for name, b in found.items()}

    @property
    def unfinished(self) -> Float[Array, " steps"]:
        """How far gradient descent's slopes are from those of QR after each step, in shares of
        their size. The first coefficient is the intercept, no slope.
        """
        slopes = self.solutions["QR"].beta[1:]
        return np.linalg.norm(self.descent.points[:, 1:] - slopes, axis=1) / np.linalg.norm(slopes)

    def prose(self) -> dict[str, str]:
        """What the chapter's text says of gradient descent, rounded as it is read."""
        return {
            "ls_gd_steps": f"{int(self.descent.n_steps):,}",
            "ls_off_100": f"{self.unfinished[100]:.0%}",
            "ls_off_1000": f"{self.unfinished[1_000]:.0%}",
        }

    def table(self):
        ranks = [str(solution.rank) for solution in self.solutions.values()]
        steps = [f"{int(self.descent.n_steps):,}"]
        return Table(
            {
                "solver": list(self.distances),
                "rank seen": [*ranks, "-"],
                "steps": ["-"] * len(ranks) + steps,
                "agrees with QR to 1e-8": [d < 1e-8 for d in self.distances.values()],
            }
        )


def coefficients_by_solver(
    X: Float[Array, "n p"], y: Float[Array, " n"], max_steps: int = 50_000
) -> Comparison:
    """Solve by every solver, and by gradient descent from zero until the gradient has all but gone.

    Raises `ValueError` unless `X` and `y` are regression data of finite numbers.

    >>> X = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
    >>> coefficients_by_solver(X, np.array([1.0, 3.0, 5.0]))
    solver            rank seen  steps  agrees with QR to 1e-8
    normal equations  2          -                        True
    Cholesky          2          -                        True
    QR                2          -                        True
    minimum norm      2          -                        True
    gradient descent  -          172                      True
    """
    X, y = _checks.regression_data(X, y)
    loss, start = SquaredError(X, y), np.zeros(X.shape[1])
    descent = minimize(
        loss,
        start,
        GradientDescent(1 / largest_curvature(X)),
        max_steps=max_steps,
        tolerance=1e-11 * float(np.linalg.norm(loss(start)[1])),
    )
    return Comparison({name: solve(X, y) for name, solve in SOLVERS.items()}, descent)
