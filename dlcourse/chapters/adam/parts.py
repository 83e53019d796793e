r"""Adam put together from its parts, one of which can be left out.

x     point (*runs, p)          m  average of the gradients
grad  gradient at x             v  average of their squares
k     steps taken               beta  how much of an average stays at each step, in [0, 1)
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from dlcourse import _checks
from dlcourse.optim import Constant, Cosine

Array = np.ndarray
Point = Float[Array, "*runs p"]


class Average(NamedTuple):
    r"""An exponential average that starts at zero, with or without the correction for that start.

    .. displayed:: eq-adam-mean, eq-adam-correction

    Of the squared gradients it is v instead of m, and `beta` :math:`\beta_2`. With `beta` 0 it is
    the latest value.

    >>> average = Average(beta=0.9)
    >>> m, m_hat = average.take(np.zeros(1), np.array([2.0]), k=1)
    >>> m.round(6), m_hat.round(6)
    (array([0.2]), array([2.]))
    """

    beta: float
    is_corrected: bool = True

    def take(self, m: Point, new: Point, k: int) -> tuple[Point, Point]:
        """The average with `new` taken in, the k-th value, and what is read off it."""
        m = self.beta * m + (1 - self.beta) * new
        return m, m / (1 - self.beta**k) if self.is_corrected else m


LATEST = Average(beta=0.0)


class AssembledState(NamedTuple):
    """What the two averages remember."""

    m: Point
    v: Point
    k: Int[Array, ""]  # steps taken


@dataclass(frozen=True)
class Assembled:
    r"""A step along one average of the gradients, divided by the root of an average of squares.

    .. displayed:: eq-adam-step

    `learning_rate` is one number, or one number a run; `schedule` multiplies it. Without
    `mean_square` nothing is divided. Raises `ValueError` where it starts from anything but finite
    floats.

    >>> adam = Assembled(0.1, mean=Average(0.9), mean_square=Average(0.999))
    >>> adam.step(np.zeros(2), np.array([1e3, -1e-3]), adam.init(np.zeros(2)))[0].round(4)
    array([-0.1,  0.1])
    """

    learning_rate: float | Float[Array, "*runs"]
    mean: Average = LATEST
    mean_square: Average | None = None
    schedule: Callable = Constant(1.0)
    epsilon: float = 1e-8

    def init(self, x: Point) -> AssembledState:
        _checks.floats(x, "x")
        return AssembledState(np.zeros_like(x), np.zeros_like(x), k=np.array(0))

    def step(self, x: Point, grad: Point, state: AssembledState):
        """The next point and state."""
        k = int(state.k) + 1
        alpha = np.asarray(self.learning_rate)[..., None] * self.schedule(k - 1)
        (m, move), v = self.mean.take(state.m, grad, k), state.v
        if self.mean_square is not None:
            v, v_hat = self.mean_square.take(v, grad**2, k)
            move = move / (np.sqrt(v_hat) + self.epsilon)
        return x - alpha * move, AssembledState(m, v, np.array(k))


def variants(n_steps: int, beta1: float = 0.9, beta2: float = 0.999) -> dict[str, Callable]:
    """From the plain gradient to Adam, a part at a time; each makes an optimizer from a step size.

    The last one lets the step size fall to zero over `n_steps` along half a cosine.

    >>> list(variants(n_steps=100))[-2:]
    ['Adam', 'Adam, falling step']
    """
    mean, mean_square = Average(beta1), Average(beta2)
    raw_mean, raw_mean_square = Average(beta1, False), Average(beta2, False)
    adam = partial(Assembled, mean=mean, mean_square=mean_square)
    return {
        "gradient": Assembled,
        "averaged": partial(Assembled, mean=mean),
        "scaled": partial(Assembled, mean_square=mean_square),
        "scaled, uncorrected": partial(Assembled, mean_square=raw_mean_square),
        "Adam, uncorrected": partial(Assembled, mean=raw_mean, mean_square=raw_mean_square),
        "Adam": adam,
        "Adam, falling step": partial(adam, schedule=Cosine(1.0, n_steps)),
    }
