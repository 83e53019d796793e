r"""Four update rules that are all called momentum.

learning_rate  alpha, a number or a schedule      beta      momentum
velocity       what each rule remembers           k         steps taken

They differ in what a learning rate means, so that a number copied from one library to another can
be wrong by the factor 1 / (1 - beta).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dlcourse.optim import walk
from dlcourse.optim.momentum import MomentumState
from dlcourse.tables import PrintsTable, Table

Array = np.ndarray


@dataclass(frozen=True)
class Convention:
    """A rule of the family; each defines `move`, which gives the next point and velocity."""

    learning_rate: float | Callable
    beta: float = 0.9

    def init(self, x) -> MomentumState:
        return MomentumState(np.zeros_like(x), np.array(0))

    def step(self, x, grad, state: MomentumState):
        """The next point and state."""
        rate, k = self.learning_rate, int(state.k)
        alpha = rate(k) if callable(rate) else rate
        x, velocity = self.move(x, grad, state.velocity, alpha, is_first=k == 0)
        return x, MomentumState(velocity, np.array(k + 1))


class Polyak(Convention):
    r"""Heavy ball: the learning rate multiplies the whole velocity. `torch.optim.SGD`.

    .. displayed:: eq-heavy-ball-step
    """

    def move(self, x, grad, velocity, alpha, is_first):
        velocity = self.beta * velocity + grad
        return x - alpha * velocity, velocity


class Sutskever(Convention):
    r"""The learning rate is part of the velocity, and stays with it. Keras.

    .. displayed:: eq-heavy-ball-sutskever
    """

    def move(self, x, grad, velocity, alpha, is_first):
        velocity = self.beta * velocity - alpha * grad
        return x + velocity, velocity


class Averaged(Convention):
    r"""The velocity is an exponential average of the gradients. Adam, `torch.optim.Muon`.

    .. displayed:: eq-heavy-ball-average
    """

    def move(self, x, grad, velocity, alpha, is_first):
        velocity = self.beta * velocity + (1 - self.beta) * grad
        return x - alpha * velocity, velocity


class Dampened(Convention):
    r"""PyTorch's `dampening=beta`: an average whose first gradient enters in full.

    .. displayed:: eq-heavy-ball-dampening
    """

    def move(self, x, grad, velocity, alpha, is_first):
        velocity = self.beta * velocity + (1 if is_first else 1 - self.beta) * grad
        return x - alpha * velocity, velocity


CONVENTIONS = {
    "heavy ball": Polyak,
    "Sutskever": Sutskever,
    "average": Averaged,
    "dampening": Dampened,
}


@dataclass(frozen=True, repr=False, eq=False)
class Speeds(PrintsTable):
    """How far each rule moves at each step down a slope of 1, with the rate cut on the way."""

    moves: dict[str, Float[Array, " steps"]]
    cut_at: int  # first step with the smaller rate

    def table(self):
        moves = list(self.moves.values())
        return Table(
            {
                "rule": list(self.moves),
                "first move": [f"{move[0]:.3f}" for move in moves],
                "terminal": [f"{move[self.cut_at - 1]:.3f}" for move in moves],
                "rate cut to a tenth": [f"{move[self.cut_at]:.3f}" for move in moves],
                "terminal after it": [f"{move[-1]:.3f}" for move in moves],
            }
        )


def speeds(learning_rate: float, beta: float) -> Speeds:
    """Every rule on the slope of 1, until it settles; then the rate falls to a tenth."""
    cut_at = int(np.ceil(np.log(1e-6) / np.log(beta)))

    def rate(k):
        return learning_rate if k < cut_at else learning_rate / 10

    def slope(k, x):
        return np.ones(1)

    paths = {
        name: walk(rule(rate, beta), np.zeros(1), slope, 2 * cut_at)
        for name, rule in CONVENTIONS.items()
    }
    return Speeds({name: -np.diff(points[:, 0]) for name, points in paths.items()}, cut_at)
