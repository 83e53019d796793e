r"""Gradient descent: the update rule, apart from the loop.

x     point (*runs, p)         learning_rate  the step size t, or a rule that finds it
grad  gradient at x            state          what the optimizer remembers

An optimizer is a frozen record of hyperparameters with two pure methods: `init(x)` gives the first
state, `step(x, grad, state)` the next point and the next state.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from dlcourse.optim._settings import check_learning_rate, check_step, rate_at

Point = Float[np.ndarray, "*runs p"]
StepSize = Float[np.ndarray, "*runs"]
StepRule = Callable[[int, Point, Point], StepSize]


class StepCount(NamedTuple):
    """All that plain gradient descent remembers: the number k of steps taken."""

    k: int = 0


@dataclass(frozen=True)
class GradientDescent:
    r"""Step against the gradient.

    .. displayed:: eq-gd-step

    `learning_rate` is the step size :math:`t_k`: one number; one number a run, shape (*runs,); or
    a rule `rule(k, x, grad)` that returns it, such as `Backtracking(f)`.
    Reference: Cauchy (1847).

    >>> optimizer = GradientDescent(learning_rate=0.5)
    >>> x = np.array([1.0, -2.0])
    >>> optimizer.step(x, grad=2 * x, state=optimizer.init(x))
    (array([0., 0.]), StepCount(k=1))
    """

    learning_rate: float | StepSize | StepRule

    def __post_init__(self):
        check_learning_rate(self.learning_rate)

    def init(self, x: Point) -> StepCount:
        return StepCount()

    def step(self, x: Point, grad: Point, state: StepCount):
        """The next point and state."""
        x, grad = check_step(x, grad)
        t = rate_at(self.learning_rate, state.k, x, grad)
        return x - t * grad, StepCount(state.k + 1)
