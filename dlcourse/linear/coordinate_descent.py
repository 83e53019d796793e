r"""Coordinate descent for the elastic net, and the duality gap.

G  gram, Z'Z/n (p, p), its diagonal 1     b         coefficients (p,)
c  moments, Z'y/n (p,)                    lam       penalty per observation
variance  of y, y'y/n after centering     l1_ratio  the lasso's share a of the penalty

.. math:: J(b) = \tfrac12 (\mathrm{variance} - 2 c^\top b + b^\top G b)
          + \lambda \Bigl( a \lVert b \rVert_1 + \frac{1 - a}{2} \lVert b \rVert^2 \Bigr)

Everything here works on the moments of the data, so no step costs more for more observations.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.linalg import lapack

Array = np.ndarray
SINGULAR = 1e-10  # relative: a smaller pivot or eigenvalue of a curvature matrix is rounding
MAX_ROUNDS = 1_000  # for one penalty: cycles over coordinates that come in, and jumps


class Problem(NamedTuple):
    """What the solvers need to know of the data and of the kind of penalty."""

    gram: Float[Array, "p p"]
    moments: Float[Array, " p"]
    variance: float
    l1_ratio: float

    def penalties(self, lam):
        """The factors of the L1 norm of b and of half its squared Euclidean norm."""
        return lam * self.l1_ratio, lam * (1 - self.l1_ratio)

    def slopes(self, b: Float[Array, "*lams p"]) -> Float[Array, "*lams p"]:
        r"""How fast the fit improves with each coefficient, z_j'residual / n.

        .. math:: c - G b
        """
        return self.moments - b @ self.gram


def soft_threshold(u: Float[Array, "*shape"], threshold: float) -> Float[Array, "*shape"]:
    r"""Move toward zero by `threshold`, and stop there.

    .. math:: S(u, t) = \operatorname{sign}(u) \max(|u| - t, 0)

    >>> soft_threshold(np.array([-3.0, 0.5, 2.0]), 1.0) + 0.0
    array([-2.,  0.,  1.])
    """
    return np.sign(u) * np.maximum(np.abs(u) - threshold, 0.0)


def coordinate_cycle(
    problem: Problem, b: Float[Array, " p"], lam: float, coordinates: Int[Array, " k"]
):
    r"""Minimize J along one coordinate after the other; changes `b` in place.

    .. math:: b_j \leftarrow \frac{S\bigl(c_j - \sum_{k \ne j} G_{jk} b_k, \; \lambda a\bigr)}
                                  {1 + \lambda (1 - a)}

    Reference: Friedman, Hastie and Tibshirani (2010).
    """
    l1, l2 = problem.penalties(lam)
    c = problem.moments.tolist()
    for j in coordinates.tolist():
        u = c[j] - problem.gram[j].dot(b).item() + b.item(j)  # the diagonal of G is 1
        # S(u, l1) on Python floats: ten times faster than NumPy for single numbers
        b[j] = (u - l1 if u > l1 else u + l1 if u < -l1 else 0.0) / (1 + l2)


def duality_gap(
    problem: Problem, b: Float[Array, "*lams p"], lam: float | Float[Array, "*lams"]
) -> float | Float[Array, "*lams"]:
    r"""J(b) minus a lower bound on the minimum of J: b is at most this far from optimal.

    .. math:: \text{gap} = J(b) - D(\theta), \qquad
              D(\theta) = \theta^\top y - \frac n2 \lVert \theta \rVert^2
                          - \sum_j g^*(z_j^\top \theta), \qquad
              g^*(v) = \frac{\max(|v| - \lambda a, 0)^2}{2 \lambda (1 - a)}

    at :math:`\theta` = residual / n. For the lasso :math:`g^*` is infinite outside
    :math:`|v| \le \lambda`, so there the residual is first shrunk until it fits.
    """
    l1, l2 = problem.penalties(lam)
    slopes = problem.slopes(b)
    explained = (b * problem.moments).sum(-1)  # y'Zb / n
    rss = problem.variance - explained - (b * slopes).sum(-1)  # |residual|^2 / n
    primal = rss / 2 + l1 * np.abs(b).sum(-1) + l2 * (b**2).sum(-1) / 2
    if problem.l1_ratio < 1:
        excess = np.maximum(np.abs(slopes) - np.expand_dims(l1, -1), 0.0)
        dual = problem.variance - explained - rss / 2 - (excess**2).sum(-1) / (2 * l2)
    else:
        shrink = l1 / np.maximum(np.abs(slopes).max(-1), l1)
        dual = shrink * (problem.variance - explained) - shrink**2 * rss / 2
    return primal - dual


def minimizer(
    problem: Problem, start: Float[Array, " p"], lam: float, tolerance: float
) -> tuple[Float[Array, " p"], bool]:
    """The minimizer of J, and whether it was reached; with a `tolerance`, a b near enough.

    Near enough is a duality gap of at most `tolerance` times the variance.

    Coordinate descent over the zeros that the fit pulls away from zero. When there are none, the
    signs are likely those of the solution, and for known signs the solution is a linear system: go
    there, as far as the signs allow, and on without the coordinate that has become zero. Stay if
    all optimality conditions hold; else others may come in. J falls from one set of signs to the
    next, so none comes twice. Without a lasso's part signs do not matter: one linear system.
    """
    l1, l2 = problem.penalties(lam)
    if l1 == 0:
        return _minimum_of_bowl(problem.gram, l2, problem.moments)
    b, is_there = start.copy(), True
    for _ in range(MAX_ROUNDS):
        slopes = problem.slopes(b)
        enters = _wants_in(problem, b, slopes, l1)
        if is_there and enters.any():
            coordinate_cycle(problem, b, lam, np.flatnonzero(enters))
            continue
        b, is_there = _keeping_signs(problem, b, slopes, lam)
        if is_there and not _wants_in(problem, b, problem.slopes(b), l1).any():
            return b, True
        if tolerance and duality_gap(problem, b, lam) <= tolerance * problem.variance:
            return b, True
    return b, False


def _wants_in(problem, b, slopes, l1) -> Bool[Array, " p"]:
    """Which zeros the fit pulls at more strongly than the penalty holds them."""
    rounding = 1e-12 * l1 + 1e-14 * np.sqrt(problem.variance)
    return (b == 0) & (np.abs(slopes) > l1 + rounding)


def _keeping_signs(problem, b, slopes, lam):
    r"""Go from b straight to the minimizer of J for the signs of b, or until a sign would change.

    .. math:: (G_{AA} + \lambda (1 - a) I) \, (b_A^{\text{new}} - b_A)
              = c_A - (G b)_A - \lambda a \operatorname{sign} b_A - \lambda (1 - a) b_A

    A are the coordinates that are not zero. Where a column in A is a combination of others, the
    system may have no solution: then go along the combination, which changes the penalty alone,
    until a coordinate is zero. Also says whether the minimizer is reached.
    """
    l1, l2 = problem.penalties(lam)
    A = np.flatnonzero(b)
    if not len(A):
        return b, True
    start, b = b[A], b.copy()
    downhill = slopes[A] - l1 * np.sign(start) - l2 * start
    way, has_end = _minimum_of_bowl(problem.gram[A][:, A], l2, downhill)
    crosses = way * start < 0 if not has_end else (start + way) * start < 0
    if not crosses.any():
        b[A] = start + way
        return b, True
    share = np.full(len(A), np.inf)  # of the way, until each coordinate is zero
    share[crosses] = -start[crosses] / way[crosses]
    b[A] = start + share.min() * way
    b[A[share.argmin()]] = 0.0
    return b, False


def _minimum_of_bowl(gram, l2, downhill):
    """The way from zero to the minimum of a quadratic; where it has none, a way that only falls.

    Also says which of the two it is. With more columns than rows `gram` is singular, up to
    rounding, which makes Cholesky break down or, worse, go on with a pivot that is rounding.
    """
    curvature = gram.copy()
    curvature.flat[:: len(gram) + 1] += l2  # the diagonal
    # Cholesky, called directly: half the work of `np.linalg.solve`, a fifth of its overhead.
    factor, way, breaks_down = lapack.dposv(curvature, downhill, lower=True)
    if not breaks_down and factor.diagonal().min() ** 2 > SINGULAR * (1 + l2):
        return way, True
    eigenvalues, V = np.linalg.eigh(gram)
    along, is_flat = V.T @ downhill, eigenvalues <= SINGULAR * eigenvalues[-1]
    flat = V[:, is_flat] @ along[is_flat]
    if l2 == 0 and np.abs(flat).max(initial=0.0) > 1e-10 * np.abs(downhill).max():
        return flat, False
    bowl = np.where(is_flat, l2 or np.inf, eigenvalues + l2)
    return V @ (along / bowl), True
