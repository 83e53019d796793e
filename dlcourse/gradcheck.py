r"""Check a hand-written gradient against central differences. Floor 0: every room may call it.

f  gives (value, gradient) at a point    x    point (p,), or any shape; float64
v  random direction of length one        step the h of the differences

Central differences miss the slope by about :math:`h^2` (curvature) plus :math:`\epsilon / h`
(rounding of f). The sum is smallest near the cube root of :math:`\epsilon`, and then about ten
digits of the slope are right: enough to see an error of one part in a million.
"""

import numpy as np
from jaxtyping import Float

from dlcourse import _checks
from dlcourse.tables import Table

Array = np.ndarray
RTOL = 1e-6  # one part in a million
STEP = np.finfo(float).eps ** (1 / 3)  # 6e-6: truncation and rounding errors are of one size


def check_gradient(f, x: Float[Array, "..."], rng, rtol=RTOL):
    r"""Raise `AssertionError` unless the gradient of `f` has the right slope at `x`.

    .. displayed:: eq-directional-difference

    There `f` is called J, and `x` :math:`\beta`. One random direction `v` tests all coordinates at
    once: an error in any of them changes the slope. Values with a leading `runs` axis are added up.
    Choose a point away from a minimum, where there is a slope to compare. Raises `ValueError`
    unless `x` and the gradient hold finite numbers in double precision and have one shape.

    >>> rng = np.random.default_rng(0)
    >>> check_gradient(lambda x: (x @ x, 2 * x), np.ones(3), rng)
    >>> check_gradient(lambda x: (x @ x, x), np.ones(3), rng)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    AssertionError: <lambda>: the gradient says slope -0.10565, central differences say -0.2113. ...
    """
    x = _float64(x)
    gradient = np.asarray(f(x)[1])
    _checks.same_shape(gradient, x, ("gradient of f", "x"))
    direction = rng.normal(size=x.shape)
    direction /= np.linalg.norm(direction)
    analytic = np.sum(gradient * direction)
    numeric, rounding = _slope(f, x, direction)
    if not abs(analytic - numeric) <= rtol * max(abs(analytic), abs(numeric)) + 10 * rounding:
        name = getattr(f, "__name__", type(f).__name__)
        raise AssertionError(
            f"{name}: the gradient says slope {analytic:.5g}, central differences say "
            f"{numeric:.5g}. Compare it with `numerical_gradient(f, x)` to see which coordinate "
            "is wrong."
        )


def numerical_gradient(f, x: Float[Array, "..."]) -> Float[Array, "..."]:
    """The gradient by central differences, coordinate by coordinate: 2 calls of `f` for each.

    Raises `ValueError` unless `x` holds finite numbers in double precision.

    >>> numerical_gradient(lambda x: (x @ x, None), np.array([1.0, -2.0])).round(6)
    array([ 2., -4.])
    """
    x = _float64(x)
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        direction = np.zeros_like(x)
        direction[index] = 1.0
        gradient[index], _ = _slope(f, x, direction)
    return gradient


def verdicts(f, x: Float[Array, " p"], claims: dict) -> Table:
    """Candidates for the gradient of `f` at `x`, each beside its verdict by central differences.

    >>> verdicts(lambda x: (x @ x, None), np.ones(2), {"x": np.ones(2), "2x": 2 * np.ones(2)})
    gradient  length  agrees with differences
    x          1.414                    False
    2x         2.828                     True
    """
    numeric = numerical_gradient(f, x)
    size = np.linalg.norm(numeric)
    errors = [np.linalg.norm(claim - numeric) for claim in claims.values()]
    return Table(
        {
            "gradient": list(claims),
            "length": [float(np.linalg.norm(claim)) for claim in claims.values()],
            "agrees with differences": [bool(error <= RTOL * size) for error in errors],
        }
    )


def _slope(f, x, direction):
    """Slope of `f` along `direction`, and how far the rounding of `f` alone can move it."""
    step = STEP * max(1.0, np.abs(x).max(initial=0.0))  # x itself is rounded in proportion to |x|
    ahead, behind = (np.asarray(f(x + sign * step * direction)[0]) for sign in (1, -1))
    if ahead.dtype != np.float64:
        raise ValueError(
            f"`f` must return float64 values, got {ahead.dtype}: in fewer digits the differences "
            "are mostly rounding. Build the function from float64 arrays for the check."
        )
    ahead, behind = ahead.sum(), behind.sum()
    rounding = np.finfo(float).eps * (abs(ahead) + abs(behind)) / (2 * step)
    return (ahead - behind) / (2 * step), rounding


def _float64(x):
    x = _checks.floats(x, "x")
    if x.dtype != np.float64:
        raise ValueError(
            f"`x` must be float64, got {x.dtype}: in fewer digits the differences are mostly "
            "rounding. Use `x.astype(float)` for the check."
        )
    return x
