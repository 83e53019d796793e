r"""Newton's method and gradient descent on one logit, step by step.


X  design matrix (n, p)      beta_hat  maximum likelihood estimate (p,)
y  0 or 1 (n,)               error     distance of the point after k steps from beta_hat

`dlcourse.linear.logistic` holds the solvers to use; here are the bare methods to look at.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dlcourse import _checks
from dlcourse.linear import logistic
from dlcourse.linear.least_squares import largest_curvature
from dlcourse.linear.newton import Newton
from dlcourse.losses import LogisticLoss
from dlcourse.optim import GradientDescent, minimize
from dlcourse.tables import PrintsTable, Table

Array = np.ndarray
ROUNDING = 1e-13  # errors below it, relative to the size of beta_hat, are rounding


@dataclass(frozen=True, repr=False)
class Race(PrintsTable):
    """Distance from the estimate after each step of each method, from the same start."""

    newton: Float[Array, " newton_steps"]
    descent: Float[Array, " descent_steps"]
    descent_factor: float  # what gradient descent's error is multiplied by in the end
    size: float  # length of the estimate

    def digits(self, errors) -> Float[Array, " steps"]:
        """Correct decimal digits, relative to the length of the estimate."""
        return -np.log10(np.maximum(errors / self.size, ROUNDING)) + 0.0  # no -0

    @property
    def factor_seen(self) -> float:
        """Per step of gradient descent, over 50 steps from where it is fairly near the estimate."""
        late = int(np.argmax(self.descent < 1e-4 * self.size))
        return float((self.descent[late + 50] / self.descent[late]) ** (1 / 50))

    def prose(self) -> dict[str, str]:
        """What the chapter's text says of both methods, rounded as it is read."""
        digits = self.digits(self.newton)
        return {f"lr_digits_{k}": f"{digits[k]:.0f}" for k in (3, 4, 5)} | {
            "lr_descent_steps": f"{int(np.argmax(self.digits(self.descent) > 10))}",
            "lr_factor": f"{self.descent_factor:.3f}",
            "lr_factor_seen": f"{self.factor_seen:.3f}",
        }

    def table(self):
        n_steps = len(self.descent) - 1
        shown = [*range(1, 7), *(k for k in (10, 100, 1_000) if k <= n_steps)]
        newton, descent = self.digits(self.newton), self.digits(self.descent)
        last = len(newton) - 1
        return Table(
            {
                "steps": shown,
                "Newton, correct digits": [_digits(newton[min(k, last)]) for k in shown],
                "gradient descent": [_digits(descent[k]) for k in shown],
            }
        )


def descent_against_newton(X: Float[Array, "n p"], y: Float[Array, " n"], n_steps: int) -> Race:
    """Both methods from zero: eight Newton steps, and `n_steps` of gradient descent of size 1/L."""
    loss = LogisticLoss(X, y)
    X, y, start = loss.X, loss.y, np.zeros(loss.X.shape[1])
    best = logistic.by_newton(X, y).coefficients
    bare = minimize(loss, start, Newton(lambda beta: logistic.hessian(X, beta)), max_steps=8)
    L = logistic.smoothness(X)
    descent = minimize(loss, start, GradientDescent(1 / L), max_steps=n_steps)
    smallest = float(np.linalg.eigvalsh(logistic.hessian(X, best))[0])
    return Race(
        newton=np.linalg.norm(bare.points - best, axis=1),
        descent=np.linalg.norm(descent.points - best, axis=1),
        descent_factor=1 - smallest / L,
        size=float(np.linalg.norm(best)),
    )


def hessian_lipschitz(X: Float[Array, "n p"]) -> float:
    r"""How fast the Hessian can change: by at most this times the distance moved.

    .. displayed:: eq-logistic-hessian-lipschitz

    Raises `ValueError` unless `X` is a matrix of finite numbers.

    >>> round(hessian_lipschitz(np.ones((10, 1))), 4)
    0.0962
    """
    X = _checks.design_matrix(X)
    longest = float(np.linalg.norm(X, axis=1).max())
    return longest * largest_curvature(X) / (6 * 3**0.5)


def _digits(number):
    return "all" if number > 12 else f"{number:.1f}"
