r"""Newton's method bare, and the loops under logit and softmax regression.

loss  gives (value, gradient) at the coefficients   x   the coefficients as one vector
H     its matrix of second derivatives              margins  how far a direction moves each
                                                             observation to its own side, per
                                                             unit of the observation's size
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dlcourse.linear.least_squares import numerical_rank
from dlcourse.optim import GradientDescent, minimize

Array = np.ndarray
NEGLIGIBLE = 1e-8  # margins of a Newton step below this share of its largest are rounding
CONVERGED = 1e-12  # twice the distance of the loss from its minimum before the last Newton step
ROUNDING = 1e-14  # relative, of a mean loss


class SeparableError(ValueError):
    """The classes are separable: no finite coefficients maximize the likelihood.

    The likelihood rises along `direction` for ever: coefficients (p,), or (mp,) class after class.
    """

    def __init__(self, direction):
        self.direction = direction
        super().__init__(
            "The classes are separable: along some direction in the coefficients the likelihood "
            "rises for ever, so it has no maximum. Set `lam` above 0 for a ridge penalty, drop the "
            "features that give the class away (the error's `direction` weighs them), or collect "
            "observations that overlap."
        )


@dataclass(frozen=True)
class Newton:
    r"""Full Newton steps, as an optimizer: nothing keeps them from going astray.

    .. math:: x^{(k+1)} = x^{(k)} - H(x^{(k)})^{-1} \nabla f(x^{(k)})

    `hessian_at(x)` is (*runs, p, p). A step raises `numpy.linalg.LinAlgError` where it has become
    singular; `newton` shortens its steps and says why. Book: eq. `eq-logistic-newton`.

    >>> from dlcourse.losses import Quadratic
    >>> bowl = Quadratic(np.diag([1.0, 100.0]), center=np.array([3.0, -1.0]))
    >>> minimize(bowl, np.zeros(2), Newton(lambda x: bowl.A), max_steps=1).x
    array([ 3., -1.])
    """

    hessian_at: Callable

    def init(self, x: Float[Array, "*runs p"]) -> None:
        """Newton's method remembers nothing."""

    def step(self, x: Float[Array, "*runs p"], grad: Float[Array, "*runs p"], state: None):
        """The next point and state."""
        return x - _solve(self.hessian_at(x), grad), state


@dataclass(frozen=True, repr=False, eq=False)
class Fit:
    """Coefficients that minimize the mean loss, and how the solver left off."""

    coefficients: Float[Array, "*shape"]  # beta (p,) or theta (m, p)
    loss: float  # mean negative log-likelihood, plus the penalty
    gradient_norm: float
    n_steps: int
    is_converged: bool
    method: str

    def __repr__(self):
        how = "converged" if self.is_converged else "stopped at the step limit"
        digits = np.array2string(self.coefficients.round(4) + 0.0, separator=" ", threshold=30)
        return f"{self.method}: {how}, mean loss {self.loss:.6g}\ncoefficients = {digits}"


def newton(loss, hessian_at, margins_of, x, max_steps):
    """Newton steps down a convex loss, halved while they do not bring it down enough.

    Raises `SeparableError` where the loss falls for ever, and `ValueError` where many points are
    best.
    """
    value, gradient = loss(x)
    _check_rank(hessian_at(x), loss)
    decrement, n_steps = np.inf, 0
    while decrement > CONVERGED and n_steps < max_steps:
        step = -_solve(hessian_at(x), gradient)
        check_overlap(margins_of(step), step, loss.lam)
        decrement = -(gradient @ step)  # twice the fall of the quadratic model, in any units
        t, (new_value, new_gradient) = 1.0, loss(x + step)
        while new_value > value * (1 + ROUNDING) - t * decrement / 4:
            t /= 2
            new_value, new_gradient = loss(x + t * step)
        x, value, gradient = x + t * step, new_value, new_gradient
        n_steps += 1
    is_converged = bool(decrement <= CONVERGED)
    return Fit(x, float(value), float(np.linalg.norm(gradient)), n_steps, is_converged, "Newton")


def descend(loss, x0, learning_rate, max_steps, tolerance):
    """Gradient descent with a fixed step, as a `Fit`."""
    descent = minimize(
        loss, x0, GradientDescent(learning_rate), max_steps=max_steps, tolerance=tolerance
    )
    return Fit(
        descent.x,
        float(descent.value),
        float(descent.gradient_norm),
        int(descent.n_steps),
        bool(descent.is_converged),
        "gradient descent",
    )


def check_overlap(margins, direction, lam):
    """Raise `SeparableError` if `direction` separates: a certificate, so never where a maximum is.

    A Newton step on separable data moves the separated observations by about 1, step after step;
    the last step on other data moves none of them visibly. The margins are those of observations
    brought to one size (`of_one_size`): beside the raw margin of one huge entry, such as a code for
    a missing value, all others would look like rounding.
    """
    if margins.max() > 1e-3 and margins.min() >= -NEGLIGIBLE * margins.max() and not np.any(lam):
        raise SeparableError(direction)


def of_one_size(X: Float[Array, "n p"]) -> Float[Array, "n p"]:
    """Rows shortened until no entry is above the median of its column, zeros apart.

    >>> of_one_size(np.array([[1.0, 20.0], [1.0, -10.0], [1.0, 0.0], [1.0, 5e9]]))[:, 1]
    array([ 20., -10.,   0.,  20.])
    """
    entries = np.abs(X)
    medians = [np.median(column[column > 0]) if column.any() else 1.0 for column in entries.T]
    return X / np.maximum(1.0, (entries / medians).max(1, keepdims=True))


def _solve(H, gradient):
    """The solution of H x = gradient; a unit diagonal, so that no column's unit matters."""
    scale = _scale(H)
    scaled = scale[..., :, None] * H * scale[..., None, :]
    return scale * np.linalg.solve(scaled, (scale * gradient)[..., None])[..., 0]


def _scale(H):
    diagonal = np.diagonal(H, axis1=-2, axis2=-1)
    return 1 / np.sqrt(np.maximum(diagonal, np.finfo(float).tiny))


def _check_rank(H, loss):
    scale, shape = _scale(H), loss.X.shape
    rank = numerical_rank(np.linalg.eigvalsh(scale[:, None] * H * scale), shape)
    if rank < len(H):
        cure = (
            "Several constant columns? Keep one, the intercept: `lam` leaves them alone."
            if np.any(loss.lam)
            else "Drop redundant columns, collect more rows, or set `lam` above 0."
        )
        raise ValueError(
            f"The columns of `X`, shape {shape}, must be linearly independent, and are not: the "
            f"coefficients are not unique. {cure}"
        )
