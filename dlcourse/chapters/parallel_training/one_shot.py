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
from dlcourse.linear.newton import Newton
from dlcourse.optim import minimize
from dlcourse.tables import PrintsTable, Table

Array = np.ndarray
# Enough for an estimate that exists. Where outcomes are separable each step leaves about 1/e of the
# gradient, so after many more it would pass for zero.
MAX_STEPS = 15


@dataclass(frozen=True)
class Pieces:
    """The negative log-likelihood of every piece, called as a loss: (value, gradient).

    Each is a sum over rows, so that K machines get those of all rows from one all-reduce of their
    own.
    """

    X: Float[Array, "*pieces n p"]
    y: Float[Array, "*pieces n"]

    def __call__(self, beta: Float[Array, "*pieces p"]):
        score = (self.X @ beta[..., None])[..., 0]
        gradient = (np.swapaxes(self.X, -1, -2) @ (expit(score) - self.y)[..., None])[..., 0]
        return (np.logaddexp(0, score) - self.y * score).sum(axis=-1), gradient

    def hessian(self, beta: Float[Array, "*pieces p"]) -> Float[Array, "*pieces p p"]:
        p = expit((self.X @ beta[..., None])[..., 0])
        return np.swapaxes(self.X, -1, -2) @ (self.X * (p * (1 - p))[..., None])

    def newton(self, start: Float[Array, "*pieces p"], max_steps: int):
        r"""Newton's method on all pieces at once, until the gradients are zero up to rounding.

        .. displayed:: eq-parallel-newton
        """
        return minimize(self, start, Newton(self.hessian), max_steps=max_steps, tolerance=1e-9)


def fit(X, y) -> Float[Array, "*pieces p"]:
    """Maximum likelihood estimates of the pieces, each by Newton's method from zero.

    Raises `ValueError` if one has not converged, as when its outcomes are separable.
    """
    descent = Pieces(X, y).newton(np.zeros(X.shape[:-2] + X.shape[-1:]), MAX_STEPS)
    if not descent.is_converged.all():
        raise ValueError(
            f"A piece of {X.shape[-2]} rows has no estimate after {MAX_STEPS} Newton steps: its "
            "outcomes may be separable. Use fewer, larger pieces."
        )
    return descent.x


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
        refined = Pieces(X, y).newton(average, max_steps=1).x
        for errors, estimate in zip(squares.values(), (average, refined), strict=True):
            errors.append(mean_square(estimate))
    squares = {name: np.array(errors) for name, errors in squares.items()}
    return OneShot(n, list(n_pieces), squares, float(mean_square(fit(X, y))))
