r"""Linear losses that repeat, on which Adam goes to the worst point.

cycle  slopes of the losses f_t(x) = slope x on [-1, 1], repeated for ever; their sum is positive,
       so the best point is -1 and the worst is 1
moves  displacements over one cycle, once the averages repeat themselves, in units of alpha

Reference: Reddi, Kale and Kumar (2018), sections 3 and 5.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dlcourse.optim import Adam, AMSGrad, PolynomialDecay, walk
from dlcourse.tables import PrintsTable, Table

Array = np.ndarray
THREE = np.array([3.0, -1.0, -1.0])  # for beta1 = 0, beta2 = 0.1


def rare_spike(length: int = 101) -> Float[Array, " length"]:
    """One slope of 10 `length`, then -10 for the rest of the cycle: the slopes add up to 10.

    Book: eq. `eq-amsgrad-losses`.

    >>> rare_spike()[:3], rare_spike().sum()
    (array([1010.,  -10.,  -10.]), np.float64(10.0))
    """
    cycle = np.full(length, -10.0)
    cycle[0] = 10.0 * length
    return cycle


@dataclass(frozen=True)
class Projected:
    """An optimizer each of whose steps ends with a return to [-1, 1]."""

    optimizer: object

    def init(self, x):
        return self.optimizer.init(x)

    def step(self, x, grad, state):
        x, state = self.optimizer.step(x, grad, state)
        return np.clip(x, -1.0, 1.0), state


def follow(optimizer, cycle: Float[Array, " length"], n_cycles: int) -> Float[Array, " points"]:
    """Points visited from 0, each step followed by a return to [-1, 1]."""
    slopes = np.tile(cycle, n_cycles)[:, None]
    return walk(Projected(optimizer), np.zeros(1), lambda k, x: slopes[k], len(slopes))[:, 0]


def settled(values: Float[Array, " length"], beta: float) -> Float[Array, " length"]:
    r"""An exponential average of values that have repeated for ever, at each place of the cycle.

    .. math:: \frac{1 - \beta}{1 - \beta^n} \sum_{j=0}^{n-1} \beta^j z_{i-j}

    >>> settled(np.array([1.0, 0.0]), beta=0.5).round(4)
    array([0.6667, 0.3333])
    """
    n = len(values)
    weights = (1 - beta) / (1 - beta**n) * beta ** np.arange(n)
    return np.array([weights @ np.roll(values[::-1], i + 1) for i in range(n)])


def moves(
    cycle: Float[Array, " length"], beta1: float, beta2: float, keeps_largest: bool = False
) -> Float[Array, " length"]:
    """Moves of Adam over a settled cycle without walls, in units of alpha; of AMSGrad if it
    `keeps_largest`. Book: eq. `eq-amsgrad-cycle`.

    >>> moves(THREE, beta1=0.0, beta2=0.1).round(3)
    array([-1.047,  0.762,  0.966])
    """
    v = settled(cycle**2, beta2)
    return -settled(cycle, beta1) / np.sqrt(v.max() if keeps_largest else v)


@dataclass(frozen=True, repr=False)
class Counterexample(PrintsTable):
    """Where the two go on one sequence of losses, and how they move within a settled cycle."""

    points: Mapping[str, Float[Array, " points"]]
    moves: Mapping[str, Float[Array, " length"]]

    def prose(self) -> dict[str, str]:
        """Where the two end, and how far a cycle moves Adam up and AMSGrad down."""
        return {
            "adam_end": f"{self.points['Adam'][-1]:.2f}",
            "adam_amsgrad": f"{self.points['AMSGrad'][-1]:.2f}",
            "adam_up": f"{self.moves['Adam'].sum():.1f}",
            "adam_down": f"{-self.moves['AMSGrad'].sum():.2f}",
        }

    def table(self):
        return Table(
            {
                "optimizer": list(self.points),
                "end": [f"{x[-1]:.2f}" for x in self.points.values()],
                "down / α": [f"{m[m < 0].sum():.3f}" for m in self.moves.values()],
                "up / α": [f"+{m[m > 0].sum():.3f}" for m in self.moves.values()],
                "in all / α": [f"{m.sum():+.3f}" for m in self.moves.values()],
            }
        )


def run(
    cycle: Float[Array, " length"], n_cycles: int, beta1: float = 0.9, beta2: float = 0.99
) -> Counterexample:
    """Adam and AMSGrad on `cycle`, with step sizes that fall like the root of the step count."""
    falling = PolynomialDecay(0.5, power=0.5)
    settings = {"beta1": beta1, "beta2": beta2, "epsilon": 0.0}
    return Counterexample(
        {
            make.__name__: follow(make(falling, **settings), cycle, n_cycles)
            for make in (Adam, AMSGrad)
        },
        {
            "Adam": moves(cycle, beta1, beta2),
            "AMSGrad": moves(cycle, beta1, beta2, keeps_largest=True),
        },
    )
