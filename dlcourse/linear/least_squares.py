r"""Least squares four ways, each saying the rank.

X     design matrix (n, p)      beta  coefficients (p,)
y     outcome (n,)              rank  independent columns of X, as far as rounding lets us see
gram  X'X (p, p)                R     triangle with R'R = X'X (p, p)

Three solvers need full column rank and raise without it. They are sorted by what they ask of X:
`by_normal_equations` and `by_cholesky` are fast and see only X'X, `by_qr` sees X itself, and
`minimum_norm` always answers.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from dlcourse import _checks

Array = np.ndarray


class Solution(NamedTuple):
    """Coefficients, the rank of the design they were found from, and how they were found."""

    beta: Float[Array, " p"]
    rank: int
    method: str

    def __repr__(self):
        # Adding 0 turns -0 into 0: the sign of a rounding error differs between processors.
        digits = np.array2string(self.beta.round(4) + 0.0, separator=" ", threshold=20)
        return f"{self.method}: rank {self.rank} of {len(self.beta)}\nbeta = {digits}"


def by_normal_equations(X: Float[Array, "n p"], y: Float[Array, " n"]) -> Solution:
    r"""Solve the normal equations by Gaussian elimination.

    .. displayed:: eq-normal-equations

    Raises `ValueError` below full rank. Forming X'X squares the condition number of X.

    >>> by_normal_equations(np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]), np.array([1.0, 3, 5]))
    normal equations: rank 2 of 2
    beta = [1. 2.]
    """
    gram, moments, rank, units = _normal_equations(X, y)
    return Solution(np.linalg.solve(gram, moments) / units, rank, "normal equations")


def by_cholesky(X: Float[Array, "n p"], y: Float[Array, " n"]) -> Solution:
    r"""Solve the normal equations by a triangular factor of the Gram matrix.

    .. displayed:: eq-cholesky

    Uses that X'X is symmetric and positive definite. Raises `ValueError` below full rank.

    >>> by_cholesky(np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]), np.array([1.0, 3.0, 5.0]))
    Cholesky: rank 2 of 2
    beta = [1. 2.]
    """
    gram, moments, rank, units = _normal_equations(X, y)
    R = np.linalg.cholesky(gram).T
    w = forward_substitution(R.T, moments)
    return Solution(back_substitution(R, w) / units, rank, "Cholesky")


def by_qr(X: Float[Array, "n p"], y: Float[Array, " n"]) -> Solution:
    r"""Rotate the problem until it is triangular; X'X is never formed.

    .. displayed:: eq-qr, eq-qr-split

    Factoring [X y] at once gives w = Q'y without storing the (n, p) matrix Q, which halves the
    time. Raises `ValueError` below full rank. Reference: Golub (1965).

    >>> by_qr(np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]), np.array([1.0, 3.0, 5.0]))
    QR: rank 2 of 2
    beta = [1. 2.]
    """
    X, y = _checks.regression_data(X, y)
    p = X.shape[1]
    triangle = np.linalg.qr(np.column_stack([X, y]), mode="r")
    R, w = triangle[:p, :p], triangle[:p, p]
    rank = numerical_rank(np.linalg.svd(R / units_of(X), compute_uv=False), X.shape)
    _require_full_rank(rank, X.shape)
    return Solution(back_substitution(R, w), rank, "QR")


def minimum_norm(X: Float[Array, "n p"], y: Float[Array, " n"]) -> Solution:
    r"""The shortest of all least squares solutions, at any rank.

    .. displayed:: eq-minimum-norm

    From the singular value decomposition :math:`X = U \Sigma V^\top`. Directions of X whose
    singular value is zero up to rounding get the coefficient zero. Below full column rank the
    shortest solution, and so the answer, depends on the units of the columns. Raises `ValueError`
    unless `X` and `y` are regression data of finite numbers.
    Reference: Penrose (1956).

    >>> minimum_norm(np.array([[1.0, 1.0], [2.0, 2.0]]), np.array([2.0, 4.0]))
    minimum norm: rank 1 of 2
    beta = [1. 1.]
    """
    X, y = _checks.regression_data(X, y)
    spectrum = np.linalg.svd(X / units_of(X), compute_uv=False)
    if numerical_rank(spectrum, X.shape) == X.shape[1]:  # one solution, and QR minds no units
        return by_qr(X, y)._replace(method="minimum norm")
    U, singular_values, Vt = np.linalg.svd(X, full_matrices=False)
    rank = numerical_rank(singular_values, X.shape)
    coordinates = (U[:, :rank].T @ y) / singular_values[:rank]
    return Solution(Vt[:rank].T @ coordinates, rank, "minimum norm")


def largest_curvature(X: Float[Array, "n p"]) -> float:
    r"""The largest eigenvalue L of X'X / n, the largest curvature of J. Steps below 2/L are usable.

    Raises `ValueError` unless `X` is a matrix of finite numbers.
    Book: eq. `eq-gd-least-squares-rate`.

    >>> largest_curvature(np.array([[2.0, 0.0], [0.0, 1.0]]))
    2.0
    """
    X = _checks.design_matrix(X)
    return float(np.linalg.eigvalsh(X.T @ X / len(X))[-1])


SOLVERS = {
    "normal equations": by_normal_equations,
    "Cholesky": by_cholesky,
    "QR": by_qr,
    "minimum norm": minimum_norm,
}


def covariance(X: Float[Array, "n p"], noise_sd: float) -> Float[Array, "p p"]:
    r"""Covariance matrix of the least squares estimator when errors have one variance.

    .. displayed:: eq-sampling-variance

    Computed from the triangle of QR, as :math:`\sigma^2 R^{-1} R^{-\top}`. Square roots of its
    diagonal are the standard errors. Raises `ValueError` below full rank, and unless `noise_sd` is
    0 or more.

    >>> np.diag(covariance(np.array([[1.0, -1.0], [1.0, 1.0]]), noise_sd=2.0)).round(12)
    array([2., 2.])
    """
    X = _checks.design_matrix(X)
    _checks.not_negative(noise_sd, "noise_sd")
    R = np.linalg.qr(X, mode="r")
    spectrum = np.linalg.svd(R / units_of(X), compute_uv=False)
    _require_full_rank(numerical_rank(spectrum, X.shape), X.shape)
    R_inverse = back_substitution(R, np.eye(len(R)))
    return noise_sd**2 * R_inverse @ R_inverse.T


def back_substitution(R: Float[Array, "p p"], b: Float[Array, "p ..."]) -> Float[Array, "p ..."]:
    """Solve R x = b for an upper triangle R, from the last row up.

    Raises `ValueError` where R or b holds no numbers.

    >>> back_substitution(np.array([[1.0, 2.0], [0.0, 4.0]]), np.array([5.0, 8.0]))
    array([1., 2.])
    """
    R, b = _checks.as_floats(R, "R"), _checks.as_floats(b, "b")
    x = np.zeros_like(b)
    for j in reversed(range(len(b))):
        x[j] = (b[j] - R[j, j + 1 :] @ x[j + 1 :]) / R[j, j]
    return x


def forward_substitution(L: Float[Array, "p p"], b: Float[Array, "p ..."]) -> Float[Array, "p ..."]:
    """Solve L x = b for a lower triangle L: read backward, it is an upper one.

    Raises `ValueError` where L or b holds no numbers.

    >>> forward_substitution(np.array([[4.0, 0.0], [2.0, 1.0]]), np.array([8.0, 5.0]))
    array([2., 1.])
    """
    L, b = _checks.as_floats(L, "L"), _checks.as_floats(b, "b")
    return back_substitution(L[::-1, ::-1], b[::-1])[::-1]


def units_of(X: Float[Array, "n p"]) -> Float[Array, " p"]:
    """For each column a power of two at or above its largest entry; 1 for a column of zeros.

    A column in cents instead of dollars is as independent of the others as before. So ranks are
    read from columns in these units. Powers of two, because dividing by them rounds nothing.

    >>> units_of(np.array([[3.0, 0.0], [-1.0, 0.0]]))
    array([4., 1.])
    """
    largest = np.abs(X).max(0)
    return np.ldexp(X.dtype.type(1), np.frexp(np.where(largest > 0, largest, 0.5))[1])


def numerical_rank(spectrum: Float[Array, " p"], shape: tuple[int, int]) -> int:
    """How many values of a nonnegative spectrum stand out from rounding errors.

    The threshold, the largest value times max(n, p) times the machine precision, is the usual
    one for singular values of X. Applied to the eigenvalues of X'X, which are their squares, it
    sees singular values only down to the square root of that.

    >>> numerical_rank(np.array([3.0, 1.0, 1e-17]), shape=(100, 3))
    2
    """
    threshold = spectrum.max() * max(shape) * np.finfo(spectrum.dtype).eps
    return int((spectrum > threshold).sum())


def _normal_equations(X, y):
    """X'X, X'y and the rank that X'X shows, for X in its own units; and these units."""
    X, y = _checks.regression_data(X, y)
    units = units_of(X)
    X = X / units
    gram = X.T @ X  # NumPy sees the symmetry and calls SYRK: half the work of a general product
    rank = numerical_rank(np.linalg.eigvalsh(gram), X.shape)
    _require_full_rank(rank, X.shape, "X'X")
    return gram, X.T @ y, rank, units


def _require_full_rank(rank, shape, seen="X"):
    n, p = shape
    if rank == p:
        return
    cure = "Use `minimum_norm(X, y)`, drop redundant columns, or collect more rows."
    if seen == "X'X":
        cure += " Columns that only come close to redundant? `by_qr` sees more digits than X'X."
    raise ValueError(
        f"`X` must have full column rank, got numerical rank {rank} for {p} columns and {n} rows, "
        f"as read from {seen}: the coefficients are not unique. {cure}"
    )
