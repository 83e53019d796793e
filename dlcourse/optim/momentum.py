r"""Momentum: heavy ball and Nesterov.

x     point (*runs, p)            velocity  the gradients so far, older ones faded, like x
grad  gradient at x               k         steps taken, a 0-d array

Conventions differ, and each difference changes what a learning rate means.

====================  ==========================================  ===========================
name                  velocity                                    step
====================  ==========================================  ===========================
heavy ball, PyTorch   :math:`v \leftarrow \beta v + g`            :math:`-\alpha v`
exponential average   :math:`m \leftarrow \beta m + (1-\beta) g`  :math:`-\alpha m`
Sutskever, Keras      :math:`u \leftarrow \beta u - \alpha g`     :math:`+u`
dampening             heavy ball with :math:`(1-\beta) g`,        :math:`-\alpha v`
                      but an undamped first gradient
====================  ==========================================  ===========================

The exponential average is the heavy ball with the learning rate :math:`(1 - \beta) \alpha`.
Sutskever's form is the heavy ball while :math:`\alpha` is constant; under a schedule it carries the
old rates along. PyTorch's `dampening=beta` is not the exponential average: the first gradient
enters its velocity in full, and is as large as :math:`1/(1-\beta)` later ones.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from dlcourse import _checks
from dlcourse.optim._inplace import add_scaled, advance, blocks, check_update, number_at
from dlcourse.optim._settings import check_beta, check_learning_rate, check_step, rate_at

Array = np.ndarray
Point = Float[Array, "*runs p"]
Buffer = Float[Array, "..."]  # one point, in any shape


class MomentumState(NamedTuple):
    """What heavy ball and Nesterov remember."""

    velocity: Point
    k: Int[Array, ""]  # steps taken


@dataclass(frozen=True)
class HeavyBall:
    r"""Momentum: step along the sum of the gradients so far, each faded by `beta` a step.

    .. displayed:: eq-heavy-ball-step

    Under a constant gradient g the steps grow to :math:`\alpha g / (1 - \beta)`. `learning_rate`
    and `beta` are numbers, one number a run, or schedules. PyTorch's
    `torch.optim.SGD(momentum=beta)`. Raises `ValueError` where it starts from anything but finite
    floats. Reference: Polyak (1964). Book: eq. `eq-heavy-ball-terminal`.

    >>> optimizer = HeavyBall(learning_rate=0.1, beta=0.5)
    >>> x, state = optimizer.step(np.array([1.0]), np.array([2.0]), optimizer.init(np.array([1.0])))
    >>> optimizer.step(x, np.array([2.0]), state)
    (array([0.5]), MomentumState(velocity=array([3.]), k=array(2)))
    """

    learning_rate: float | Float[Array, "*runs"] | Callable
    beta: float | Float[Array, "*runs"] | Callable = 0.9

    def __post_init__(self):
        check_learning_rate(self.learning_rate)
        if not callable(self.beta):
            check_beta(self.beta)

    def init(self, x: Point) -> MomentumState:
        return MomentumState(velocity=np.zeros_like(_checks.floats(x, "x")), k=np.array(0))

    def step(self, x: Point, grad: Point, state: MomentumState):
        """The next point and state."""
        x, grad = check_step(x, grad, state.velocity)
        alpha = rate_at(self.learning_rate, int(state.k), x, grad)
        beta = rate_at(self.beta, int(state.k), x, grad)
        velocity = beta * state.velocity + grad
        return x - alpha * velocity, MomentumState(velocity, np.array(state.k + 1))

    def update(self, x: Buffer, grad: Buffer, state: MomentumState) -> None:
        """The same step in place."""
        check_update(x, grad, state.velocity)
        alpha = number_at(self.learning_rate, int(state.k), x, grad)
        beta = number_at(self.beta, int(state.k), x, grad)
        for x_, g, v, _ in blocks(x, grad, state.velocity):
            v *= beta
            v += g
            add_scaled(x_, -alpha, v)
        advance(state.k)


@dataclass(frozen=True)
class Nesterov(HeavyBall):
    r"""Nesterov's accelerated gradient: the velocity is used before it is a step old.

    .. displayed:: eq-nesterov-velocity

    The textbook form takes the gradient at the point ahead, :math:`y_k = x_k - \alpha \beta_k v_k`,
    and steps from :math:`x_k` to :math:`x_{k+1} = x_k - \alpha v_{k+1}`. Here, as in
    `torch.optim.SGD(nesterov=True)`, the point that is kept, and handed to `step` as x, is y: the
    gradient is always asked for there, and for a constant rate the two forms visit the same points
    y. A constant `beta` suits strongly convex functions. For merely convex ones it has to grow,
    `beta=GrowingMomentum()`; PyTorch, where both places share one momentum, takes another path as
    soon as it changes. Reference: Nesterov (1983), Sutskever et al. (2013).

    >>> optimizer = Nesterov(learning_rate=0.1, beta=0.5)
    >>> optimizer.step(np.array([1.0]), np.array([2.0]), optimizer.init(np.array([1.0])))
    (array([0.7]), MomentumState(velocity=array([2.]), k=array(1)))
    """

    def step(self, x: Point, grad: Point, state: MomentumState):
        """The next point and state."""
        x, grad = check_step(x, grad, state.velocity)
        alpha = rate_at(self.learning_rate, int(state.k), x, grad)
        beta, next_beta = (rate_at(self.beta, int(state.k) + i, x, grad) for i in (0, 1))
        velocity = beta * state.velocity + grad
        x = x - alpha * (grad + next_beta * velocity)
        return x, MomentumState(velocity, np.array(state.k + 1))

    def update(self, x: Buffer, grad: Buffer, state: MomentumState) -> None:
        """The same step in place."""
        check_update(x, grad, state.velocity)
        alpha = number_at(self.learning_rate, int(state.k), x, grad)
        beta, next_beta = (number_at(self.beta, int(state.k) + i, x, grad) for i in (0, 1))
        for x_, g, v, _ in blocks(x, grad, state.velocity):
            v *= beta
            v += g
            add_scaled(x_, -alpha, g)
            add_scaled(x_, -alpha * next_beta, v)
        advance(state.k)


@dataclass(frozen=True)
class GrowingMomentum:
    r"""Nesterov's momentum for convex functions that need not be strongly convex.

    .. displayed:: eq-nesterov-growing

    At k = 0 there is no velocity to fade, and the momentum is 0.
    Reference: Nesterov (1983), Su, Boyd and Candes (2016).

    >>> GrowingMomentum()(np.array([0, 1, 2, 4]))
    array([0.  , 0.  , 0.25, 0.5 ])
    """

    def __call__(self, k, x=None, grad=None):
        return np.maximum(k - 1, 0) / (k + 2)
