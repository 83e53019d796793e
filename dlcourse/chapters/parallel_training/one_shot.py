r"""Estimate on each machine, communicate once: averages of logits.

X, y   rows of a logit (*pieces, n, p), (*pieces, n)     beta   coefficients (*pieces, p)
K      number of pieces into which all rows are divided

No processes here: what matters is how much is sent, not by whom, so all pieces of all runs are
fitted together.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import expit

from dlcourse import _checks
from dlcourse.tables import PrintsTable, Table

Array = np.ndarray
MAX_STEPS = 25  # of Newton's method


def newton_step(X, y, beta) -> Float[Array, "*pieces p"]:
    r"""The step of Newton's method toward the maximum of the likelihood, one a piece.

    .. math:: d = \Bigl( \sum_i p_i (1 - p_i) \, x_i x_i^\top \Bigr)^{-1} \sum_i (y_i - p_i) \, x_i

    Both sums are over rows, so that K machines get d from one all-reduce of their own sums. Book:
    eq. `eq-parallel-newton`.
    """
    p = expit((X @ beta[..., None])[..., 0])
    gradient = (np.swapaxes(X, -1, -2) @ (y - p)[..., None])[..., 0]
    hessian = np.swapaxes(X, -1, -2) @ (X * (p * (1 - p))[..., None])
    return np.linalg.solve(hessian, gradient[..., None])[..., 0]


def fit(X, y) -> Float[Array, "*pieces p"]:
    """Maximum likelihood estimates of the pieces, each by Newton's method from zero.

    Raises `ValueError` if one has not converged, as when its outcomes are separable.
    """
    beta = np.zeros(X.shape[:-2] + X.shape[-1:])
    for _ in range(MAX_STEPS):
        step = newton_step(X, y, beta)
        beta = beta + step
        if np.abs(step).max() < 1e-9:
            return beta
    raise ValueError(
        f"A piece of {X.shape[-2]} rows has no estimate after {MAX_STEPS} Newton steps: its "
        "outcomes may be separable. Use fewer, larger pieces."
    )


@dataclass(frozen=True, repr=False)
class OneShot(PrintsTable):
    """Root mean squared errors over many runs, relative to the estimate from all rows at once."""

    n: int
    n_pieces: list[int]
    squares: dict[str, Float[Array, " pieces"]]  # mean squared error of each way
    pooled: float  # mean squared error of the estimate from all rows

    def relative(self, name: str) -> Float[Array, " pieces"]:
        return np.sqrt(self.squares[name] / self.pooled)

    def prose(self) -> dict[str, str]:
        """The relative errors with the most pieces, rounded as the chapter's text reads them."""
        average, refined = (self.relative(name)[-1] for name in self.squares)
        return {"parallel_average": f"{average:.1f}", "parallel_refined": f"{refined:.2f}"}

    def table(self):
        columns = {
            "machines": self.n_pieces,
            "rows of each": [self.n // k for k in self.n_pieces],
        }
        for name in self.squares:
            columns[name] = [f"{value:.2f}" for value in self.relative(name)]
        return Table(columns)


def errors_by_pieces(n: int, n_pieces, beta: Float[Array, " p"], rng, n_runs: int = 100) -> OneShot:
    """Fit logits with known `beta` to n rows: all at once, and divided in each of `n_pieces`.

    Raises `ValueError` unless `n` is a multiple of each of `n_pieces`, `beta` a vector, `n_runs` a
    count and `rng` a generator.
    """
    _checks.generator(rng)
    beta, n_runs = _checks.vector(beta, "beta"), _checks.count(n_runs, "n_runs")
    for k in n_pieces:
        if _checks.count(n, "n") % _checks.count(k, "n_pieces"):
            raise ValueError(
                f"`n` must be a multiple of each of `n_pieces`, got {n} rows in {k} pieces."
            )
    p = len(beta)
    X = rng.normal(size=(n_runs, n, p))
    X[..., 0] = 1.0
    y = (rng.random((n_runs, n)) < expit(X @ beta)) * 1.0

    def mean_square(estimate):
        return ((estimate - beta) ** 2).sum(axis=-1).mean()

    squares = {"average": [], "average, then a Newton step": []}
    for k in n_pieces:
        pieces = fit(X.reshape(n_runs, k, n // k, p), y.reshape(n_runs, k, n // k))
        average = pieces.mean(axis=1)
        refined = average + newton_step(X, y, average)
        for errors, estimate in zip(squares.values(), (average, refined), strict=True):
            errors.append(mean_square(estimate))
    squares = {name: np.array(errors) for name, errors in squares.items()}
    return OneShot(n, list(n_pieces), squares, float(mean_square(fit(X, y))))
