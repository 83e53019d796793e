r"""The loops under logit and softmax regression.

loss  gives (value, gradient) at the coefficients   x   the coefficients as one vector
H     its matrix of second derivatives              margins  how far a direction moves each
                                                             observation to its own side
"""

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


def newton(loss, hessian_at, margins_of, x, max_steps, renewal):
    """Newton steps down a convex loss, halved while they do not bring it down enough."""
    value, gradient = loss(x)
    H, decrement, n_steps = hessian_at(x), np.inf, 0
    _check_rank(H, loss.X.shape)
    while decrement > CONVERGED and n_steps < max_steps:
        step = -np.linalg.solve(H, gradient)
        if -(gradient @ step) > renewal * decrement:
            H = hessian_at(x)
            step = -np.linalg.solve(H, gradient)
        check_overlap(margins_of(step), step, loss.lam)
        decrement = -(gradient @ step)  # twice the fall of the quadratic model, in any units
        t, (new_value, new_gradient) = 1.0, loss(x + step)
        while new_value > value * (1 + ROUNDING) - t * decrement / 4:
            t /= 2
            new_value, new_gradient = loss(x + t * step)
        H = _through_secant(H, t * step, new_gradient - gradient)
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
    """Raise if `direction` separates: a certificate, so never raised where the maximum exists.

    A Newton step on separable data moves the separated observations by about 1, step after step;
    the last step on other data moves none of them visibly.
    """
    if margins.max() > 1e-3 and margins.min() >= -NEGLIGIBLE * margins.max() and not np.any(lam):
        raise SeparableError(direction)


def _through_secant(H, move, change):
    """The BFGS update: the matrix close to H that maps the move to the gradient's change."""
    curvature, image = change @ move, H @ move
    if not curvature > 0:  # the last steps of all, where the change is rounding
        return H
    return H + np.outer(change, change) / curvature - np.outer(image, image) / (move @ image)


def _check_rank(H, shape):
    scale = 1 / np.sqrt(np.maximum(np.diag(H), np.finfo(float).tiny))
    rank = numerical_rank(np.linalg.eigvalsh(scale[:, None] * H * scale), shape)
    if rank < len(H):
        raise ValueError(
            f"The columns of `X`, shape {shape}, must be linearly independent, and are not: the "
            "coefficients are not unique. Drop redundant columns, collect more rows, or set `lam` "
            "above 0."
        )
