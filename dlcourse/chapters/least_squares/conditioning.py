r"""What squaring the condition number costs.

X     design matrix (n, p)      kappa  largest over smallest singular value of X
gram  X'X (p, p)                single precision: 24 binary digits, about 7 decimal ones

Rounding differs between processors, so nothing is computed in single precision here: a matrix is
only stored in it. What follows is done in double precision, whose own rounding is too small to see.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from dlcourse import _checks
from dlcourse.datasets import design_with_singular_values
from dlcourse.linear.least_squares import by_qr

Array = np.ndarray
SHAPE = (60, 6)  # rows and columns of each design


class StorageErrors(NamedTuple):
    """Median relative error of the coefficients, by what was stored in single precision."""

    condition_numbers: Float[Array, " m"]
    design: Float[Array, " m"]  # X stored, then QR
    gram: Float[Array, " m"]  # X'X stored, then the normal equations

    def __repr__(self):
        last = self.condition_numbers[-1]
        return (
            f"relative error of beta at condition number {last:.0e}\n"
            f"X in single precision:   {self.design[-1]:.1e}\n"
            f"X'X in single precision: {self.gram[-1]:.1e}"
        )


def storage_errors(condition_numbers: Float[Array, " m"], rng, n_draws: int = 25) -> StorageErrors:
    r"""Solve systems y = X beta without noise after rounding X, or X'X, to single precision.

    The loss should grow like :math:`\kappa` for X and like :math:`\kappa^2` for X'X. Raises
    `ValueError` unless `rng` is a random number generator.
    Book: eq. `eq-squared-condition`.

    >>> storage_errors(np.array([1e3]), np.random.default_rng(0))
    relative error of beta at condition number 1e+03
    X in single precision:   7.4e-07
    X'X in single precision: 1.7e-03
    """
    _checks.generator(rng)
    errors = [
        np.median([_errors_of_one(kappa, rng) for _ in range(n_draws)], axis=0)
        for kappa in condition_numbers
    ]
    return StorageErrors(condition_numbers, *np.transpose(errors))


def _errors_of_one(kappa, rng):
    n, p = SHAPE
    X = design_with_singular_values(n, np.geomspace(1.0, 1 / kappa, p), rng)
    beta = rng.normal(size=p)
    y = X @ beta
    from_design = by_qr(in_single(X), y).beta
    from_gram = np.linalg.solve(in_single(X.T @ X), X.T @ y)
    return [np.linalg.norm(b - beta) / np.linalg.norm(beta) for b in (from_design, from_gram)]


def in_single(matrix: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The matrix with every entry rounded to single precision, as float64 again.

    >>> float(in_single(np.array(0.1)))
    0.10000000149011612
    """
    return matrix.astype(np.float32).astype(float)
