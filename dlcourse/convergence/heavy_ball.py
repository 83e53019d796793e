r"""Heavy ball on quadratics: everything about it in closed form.

relative_step  alpha * lam: the step times the curvature along one axis of the quadratic
beta           momentum                     k     number of steps
m, M           smallest, largest curvature  rate  factor by which the distance shrinks in the end

Along an axis with curvature lam, x measured from the minimizer, a step of
`dlcourse.optim.HeavyBall`, v <- beta v + lam x and then x <- x - alpha v, multiplies the pair
(alpha v, x) by a matrix R. With v in place of alpha v, as some write it, only the unit changes.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Complex, Float

from dlcourse import _checks

Array = np.ndarray
_DOUBLE_ROOT = 1e-14  # below this discriminant rounding can no longer tell two roots from one


def iteration_matrix(relative_step, beta) -> Float[Array, "*shape 2 2"]:
    """The matrix R that one step applies to the pair (alpha v, x).

    .. displayed:: eq-heavy-ball-matrix

    Reference: Goh (2017).

    >>> iteration_matrix(0.05, beta=0.2)
    array([[ 0.2 ,  0.05],
           [-0.2 ,  0.95]])
    """
    h, beta = np.broadcast_arrays(relative_step, np.asarray(beta, float))
    return np.stack([np.stack([beta, h], -1), np.stack([-beta, 1 - h], -1)], -2)


def eigenvalues(relative_step, beta) -> Complex[Array, "*shape 2"]:
    """The two eigenvalues of `iteration_matrix`; their product is beta.

    .. displayed:: eq-heavy-ball-eigenvalues

    >>> eigenvalues(1.0, beta=0.25).round(3)
    array([0.125+0.484j, 0.125-0.484j])
    """
    trace, root = _trace_and_root(relative_step, beta)
    return np.stack([trace + root, trace - root], -1) / 2


def spectral_radius(relative_step, beta) -> Float[Array, "*shape"]:
    r"""The larger modulus of the two eigenvalues: the factor per step in the long run.

    .. displayed:: eq-heavy-ball-radius

    Here :math:`s = 1 + \beta - \alpha\lambda` is the trace of the matrix. In the first case the
    eigenvalues are complex and the path oscillates; the modulus is the root of beta because it is
    the root of their product, the determinant.

    >>> spectral_radius(np.array([0.5, 3.9]), beta=0.81).round(3)
    array([0.9  , 1.576])
    """
    trace, root = _trace_and_root(relative_step, beta)
    return np.abs(np.abs(trace) + root) / 2


def is_stable(relative_step, beta) -> Bool[Array, "*shape"]:
    """Does the path along this axis reach the minimizer, from every start at rest?

    .. displayed:: eq-heavy-ball-stable

    Asked of this axis alone, together with 0 <= beta < 1.

    >>> is_stable(np.array([1.9, 2.1, 3.7]), beta=np.array([0.0, 0.0, 0.9]))
    array([ True, False,  True])
    """
    h, beta = np.asarray(relative_step), np.asarray(beta)
    return (h > 0) & (h < 2 + 2 * beta) & (beta >= 0) & (beta < 1)


def matrix_power(relative_step, beta, k) -> Float[Array, "*shape 2 2"]:
    r"""The matrix of k steps, k at least 1, from the eigenvalues alone.

    .. displayed:: eq-heavy-ball-power

    Where the two eigenvalues are one :math:`\sigma`, it is the limit

    .. math:: R^k = k \sigma^{k-1} R - (k - 1) \sigma^k I

    `k` may be an array that broadcasts with the other two.

    >>> matrix_power(0.05, beta=0.2, k=3).round(4)
    array([[-0.0055,  0.0561],
           [-0.2245,  0.8364]])
    """
    h, beta, k = np.broadcast_arrays(relative_step, beta, k)
    R, identity = iteration_matrix(h, beta), np.eye(2)
    first, second = (sigma[..., None, None] for sigma in np.moveaxis(eigenvalues(h, beta), -1, 0))
    k = k[..., None, None]
    is_double = np.abs(first - second) ** 2 < _DOUBLE_ROOT
    distance = np.where(is_double, 1.0, first - second)
    apart = (first**k * (R - second * identity) - second**k * (R - first * identity)) / distance
    middle = (first + second) / 2
    together = k * middle ** (k - 1) * R - (k - 1) * middle**k * identity
    return np.where(is_double, together, apart).real


def position_after(relative_step, beta, k) -> Float[Array, "*shape"]:
    r"""The k-th point along the axis as a multiple of the first, from a start at rest.

    .. math:: x_k = (R^k)_{2,2} \, x_0

    >>> position_after(1.0, beta=0.25, k=np.array([1, 2]))
    array([ 0.  , -0.25])
    """
    return matrix_power(relative_step, beta, k)[..., 1, 1]


def distance_bound(distance, rate, k):
    """Bound on the distance to the minimizer of a quadratic after k steps, from a start at rest.

    .. displayed:: eq-heavy-ball-distance

    `rate` is rho, the largest `spectral_radius` over the curvatures. With the optimal parameters
    the axis of curvature M attains the bound at every k.

    >>> distance_bound(distance=1.0, rate=0.5, k=2)
    1.0
    """
    return (1 + k * (1 + rate)) * rate**k * distance


class Parameters(NamedTuple):
    """Step and momentum of a method."""

    learning_rate: float
    beta: float


def optimal_parameters(m, M) -> Parameters:
    """The step and the momentum with the smallest rate over all curvatures from m to M.

    .. displayed:: eq-heavy-ball-optimal

    kappa is M / m. Reference: Polyak (1964).

    >>> optimal_parameters(m=1.0, M=9.0)
    Parameters(learning_rate=0.25, beta=0.25)
    """
    rate = optimal_rate(m, M)
    return Parameters(float(4 / (np.sqrt(m) + np.sqrt(M)) ** 2), rate**2)


def optimal_rate(m, M) -> float:
    """The smallest rate that any step and momentum have over all curvatures from m to M.

    .. displayed:: eq-heavy-ball-rate

    kappa is M / m. Raises `ValueError` unless 0 < m <= M.

    >>> optimal_rate(m=1.0, M=9.0)
    0.5
    """
    _checks.curvatures(m, M)
    return float((np.sqrt(M) - np.sqrt(m)) / (np.sqrt(M) + np.sqrt(m)))


def _trace_and_root(relative_step, beta):
    trace = 1 + np.asarray(beta, float) - relative_step
    return trace, np.sqrt(trace**2 - 4 * np.asarray(beta) + 0j)
