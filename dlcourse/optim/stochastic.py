r"""Stochastic gradient descent: the update rule.

x     point (*runs, p)                           k  steps taken, a 0-d array
grad  gradient of the loss on a mini-batch at x

The rule is that of gradient descent; what is stochastic is the gradient it is handed. Drawing the
mini-batches, by shuffling once an epoch, is therefore the business of the loop that computes the
gradient. `SGD` is a record of its own beside `GradientDescent` for two reasons. It takes schedules,
which look at the step count only: a line search on a noisy value would fit the step to the noise.
And it has the in-place `update` that networks need.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from dlcourse import _checks
from dlcourse.optim._inplace import add_scaled, advance, check_update, number_at
from dlcourse.optim._settings import check_learning_rate, check_step, rate_at

Array = np.ndarray
Point = Float[Array, "*runs p"]
Buffer = Float[Array, "..."]  # one point, in any shape


class SGDState(NamedTuple):
    """All that plain SGD remembers."""

    k: Int[Array, ""]  # steps taken


@dataclass(frozen=True)
class SGD:
    r"""Step against the gradient of a mini-batch.

    .. displayed:: eq-sgd-step

    Given the point, the mean of :math:`g_k` is the gradient of the whole loss: eq. `eq-sgd-noise`.
    `learning_rate` is :math:`\alpha_k`: a number, one number a run, or a schedule. PyTorch's
    `torch.optim.SGD(momentum=0)`. Raises `ValueError` where it starts from anything but finite
    floats. Reference: Robbins and Monro (1951).

    >>> optimizer = SGD(learning_rate=0.5)
    >>> x = np.array([1.0, -2.0])
    >>> optimizer.step(x, grad=2 * x, state=optimizer.init(x))
    (array([0., 0.]), SGDState(k=array(1)))
    """

    learning_rate: float | Float[Array, "*runs"] | Callable

    def __post_init__(self):
        check_learning_rate(self.learning_rate)

    def init(self, x: Point) -> SGDState:
        _checks.floats(x, "x")
        return SGDState(k=np.array(0))

    def step(self, x: Point, grad: Point, state: SGDState):
        """The next point and state."""
        x, grad = check_step(x, grad)
        alpha = rate_at(self.learning_rate, int(state.k), x, grad)
        return x - alpha * grad, SGDState(np.array(state.k + 1))

    def update(self, x: Buffer, grad: Buffer, state: SGDState) -> None:
        """The same step in place."""
        check_update(x, grad)
        alpha = number_at(self.learning_rate, int(state.k), x, grad)
        add_scaled(x.reshape(-1), -alpha, grad.reshape(-1))
        advance(state.k)
