r"""Principal components: the directions along which features vary most.


X  features (n, p)            V       directions, one a row (k, p), orthonormal
Z  centered features (n, p)   scores  coordinates of the rows along V (n, k)

Nothing here knows an outcome y: the direction of most variance need not be the one that predicts.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dlcourse import _checks
from dlcourse.linear.shrinkage import standardize
from dlcourse.tables import PrintsTable, Table

Array = np.ndarray


@dataclass(frozen=True, repr=False, eq=False)
class Components(PrintsTable):
    """Directions of most variance, and how to go to their coordinates and back.

    Its methods raise `ValueError` for what is no matrix of finite numbers.
    """

    directions: Float[Array, "k p"]
    variances: Float[Array, " k"]  # of the scores, divisor n - 1
    shares: Float[Array, " k"]  # of the variance of all features together
    mean: Float[Array, " p"]
    sd: Float[Array, " p"]  # what the columns were divided by: ones unless standardized

    def scores(self, X: Float[Array, "m p"]) -> Float[Array, "m k"]:
        r"""Coordinates of rows along the directions.

        .. math:: t = V D^{-1} (x - \bar x)

        D is the diagonal matrix of `sd`.
        """
        return (_checks.design_matrix(X) - self.mean) / self.sd @ self.directions.T

    def reconstruct(self, scores: Float[Array, "m k"]) -> Float[Array, "m p"]:
        r"""The rows that have these coordinates, and none along the directions left out.

        .. math:: \hat x = \bar x + D V^\top t
        """
        return _checks.as_floats(scores, "scores") @ self.directions * self.sd + self.mean

    def table(self):
        return Table(
            {
                "component": list(range(1, len(self.shares) + 1)),
                "sd of scores": [float(v) for v in np.sqrt(self.variances)],
                "share": [f"{share:.4f}" for share in self.shares],
                "cumulative": [f"{share:.4f}" for share in np.cumsum(self.shares)],
            }
        )


def principal_components(
    X: Float[Array, "n p"], n_components: int | None = None, *, is_standardized: bool = True
) -> Components:
    r"""The orthonormal directions that keep most of the variance, from the SVD of the features.

    .. math:: Z = U \Sigma V, \qquad
              \widehat{\operatorname{Var}}(Z v_k^\top) = \frac{\sigma_k^2}{n - 1}

    By the Eckart-Young theorem no other k directions reconstruct Z with a smaller squared error.
    With `is_standardized` the columns get standard deviation 1 first, so that units do not matter;
    scikit-learn's `PCA` does not do that. Each direction is signed so that its largest entry, or
    the first of them, is positive: it is unique where the variances differ. Raises `ValueError`
    unless `X` is a matrix whose rows differ and `n_components` is at most its rank can be.
    Reference: Jolliffe (2002).

    >>> X = np.array([[2.0, 2.0], [-2.0, -2.0], [1.0, -1.0], [-1.0, 1.0]])
    >>> principal_components(X)
    component  sd of scores  share   cumulative
            1         1.461  0.8000  0.8000
            2        0.7303  0.2000  1.0000
    """
    X = _checks.design_matrix(X)
    n, p = X.shape
    limit = min(n - 1, p)
    k = limit if n_components is None else _checks.count(n_components, "n_components")
    if not 1 <= k <= limit:
        raise ValueError(
            f"`n_components` must lie between 1 and {limit} for {n} rows and {p} features, got {k}."
        )
    mean, sd = X.mean(0), np.ones(p)
    if is_standardized:
        Z, mean, sd = standardize(X)
    else:
        Z = X - mean
    _, sigma, V = np.linalg.svd(Z, full_matrices=False)
    if sigma[0] <= 1e-14 * np.linalg.norm(X):  # of equal rows the mean, rounded, leaves that
        raise ValueError("`X` must vary: all its rows are equal, so no direction has variance.")
    size = np.abs(V)
    largest = (size > (1 - 1e-8) * size.max(1, keepdims=True)).argmax(
        1
    )  # the first, up to rounding
    V = V * np.sign(np.take_along_axis(V, largest[:, None], axis=1))
    variances = sigma**2 / (n - 1)
    return Components(V[:k], variances[:k], variances[:k] / variances.sum(), mean, sd)
