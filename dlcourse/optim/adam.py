r"""Adam and its relatives: AMSGrad and AdamW.

x     point (*runs, p)            m  average of the gradients, recent ones weigh most
grad  gradient at x               v  average of their squares, likewise
                                  k  steps taken, a 0-d array

The rates alpha, beta1, beta2 stay as given. What adapts is the scale of each coordinate: a step is
about alpha long whether the gradient is 1e3 or 1e-3.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from dlcourse import _checks
from dlcourse.optim._inplace import add_scaled, advance, blocks, check_update, number_at
from dlcourse.optim._settings import (
    check_learning_rate,
    check_one_beta,
    check_step,
    rate_at,
)

Array = np.ndarray
Point = Float[Array, "*runs p"]
Buffer = Float[Array, "..."]  # one point, in any shape


class AdamState(NamedTuple):
    """What Adam and AdamW remember."""

    m: Point
    v: Point
    k: Int[Array, ""]  # steps taken


@dataclass(frozen=True)
class Adam:
    r"""Step along the averaged gradient, each coordinate divided by its own typical size.

    .. displayed:: eq-adam-mean, eq-adam-mean-square, eq-adam-correction, eq-adam-step

    The averages start at zero and are too small at first; dividing by :math:`1 - \beta^k` makes
    them averages of the gradients seen. `epsilon` stands outside the root, as in the paper and in
    PyTorch: inside it, 1e-8 would be a floor of 1e-4 under the size of a gradient. TensorFlow adds
    `epsilon` to the uncorrected root, the paper's "epsilon hat": at first it counts for more there.
    Raises `ValueError` for a negative `epsilon`, and where it starts from anything but finite
    floats.
    Reference: Kingma and Ba (2015), algorithm 1.

    >>> optimizer = Adam(learning_rate=0.1)
    >>> x = np.array([1.0, 1.0])
    >>> x, state = optimizer.step(x, np.array([1e3, -1e-3]), optimizer.init(x))
    >>> x.round(3)  # one step is alpha long, however large the gradient
    array([0.9, 1.1])
    """

    learning_rate: float | Float[Array, "*runs"] | Callable = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self):
        check_learning_rate(self.learning_rate)
        check_one_beta(self.beta1, "beta1")
        check_one_beta(self.beta2, "beta2")
        _checks.not_negative(self.epsilon, "epsilon")

    def init(self, x: Point) -> AdamState:
        _checks.floats(x, "x")
        return AdamState(m=np.zeros_like(x), v=np.zeros_like(x), k=np.array(0))

    def step(self, x: Point, grad: Point, state: AdamState):
        """The next point and state."""
        x, grad = check_step(x, grad, state.m, state.v)
        alpha, k = rate_at(self.learning_rate, int(state.k), x, grad), int(state.k) + 1
        m = self.beta1 * state.m + (1 - self.beta1) * grad
        v = self.beta2 * state.v + (1 - self.beta2) * grad**2
        m_hat = m / (1 - self.beta1**k)
        v_hat = v / (1 - self.beta2**k)
        x = x - alpha * m_hat / (np.sqrt(v_hat) + self.epsilon)
        return x, AdamState(m, v, np.array(k))

    def update(self, x: Buffer, grad: Buffer, state: AdamState) -> None:
        """The same step in place, the two bias corrections moved from the arrays to alpha."""
        check_update(x, grad, state.m, state.v)
        alpha, epsilon = self._corrected(x, grad, state.k)
        for x_, g, m, v, work in blocks(x, grad, state.m, state.v):
            _average(g, m, v, work, self)
            np.sqrt(v, out=work)
            work += epsilon
            np.divide(m, work, out=work)
            add_scaled(x_, -alpha, work)

    def _corrected(self, x, grad, k):
        r"""Count the step; :math:`\alpha` and :math:`\epsilon` to use with m and v themselves.

        .. math:: \alpha \frac{m / c_1}{\sqrt{v / c_2} + \epsilon}
                  = \frac{\alpha \sqrt{c_2}}{c_1} \frac{m}{\sqrt{v} + \epsilon \sqrt{c_2}},
                  \qquad c_i = 1 - \beta_i^k
        """
        alpha, k = number_at(self.learning_rate, int(k), x, grad), advance(k)
        root = (1 - self.beta2**k) ** 0.5
        return alpha * root / (1 - self.beta1**k), self.epsilon * root


class AMSGradState(NamedTuple):
    """What AMSGrad remembers."""

    m: Point
    v: Point
    v_max: Point  # largest v so far
    k: Int[Array, ""]  # steps taken


@dataclass(frozen=True)
class AMSGrad(Adam):
    r"""Adam with a divisor that never falls, which repairs its convergence proof.

    .. displayed:: eq-amsgrad-step

    As in PyTorch the maximum is over v, and the bias correction comes after it. The paper has no
    bias correction and no epsilon; Optax takes the maximum over the corrected
    :math:`\hat v`, which a large first gradient dominates for ever.
    Reference: Reddi, Kale and Kumar (2018), algorithm 2.

    >>> optimizer = AMSGrad(learning_rate=0.1)
    >>> optimizer.step(np.ones(1), np.ones(1), optimizer.init(np.ones(1)))[0].round(6)
    array([0.9])
    """

    def init(self, x: Point) -> AMSGradState:
        m, v, k = super().init(x)
        return AMSGradState(m, v, v_max=np.zeros_like(x), k=k)

    def step(self, x: Point, grad: Point, state: AMSGradState):
        """The next point and state."""
        x, grad = check_step(x, grad, state.m, state.v, state.v_max)
        alpha, k = rate_at(self.learning_rate, int(state.k), x, grad), int(state.k) + 1
        m = self.beta1 * state.m + (1 - self.beta1) * grad
        v = self.beta2 * state.v + (1 - self.beta2) * grad**2
        v_max = np.maximum(state.v_max, v)
        m_hat = m / (1 - self.beta1**k)
        v_hat = v_max / (1 - self.beta2**k)
        x = x - alpha * m_hat / (np.sqrt(v_hat) + self.epsilon)
        return x, AMSGradState(m, v, v_max, np.array(k))

    def update(self, x: Buffer, grad: Buffer, state: AMSGradState) -> None:
        """The same step in place."""
        check_update(x, grad, state.m, state.v, state.v_max)
        alpha, epsilon = self._corrected(x, grad, state.k)
        for x_, g, m, v, v_max, work in blocks(x, grad, state.m, state.v, state.v_max):
            _average(g, m, v, work, self)
            np.maximum(v_max, v, out=v_max)
            np.sqrt(v_max, out=work)
            work += epsilon
            np.divide(m, work, out=work)
            add_scaled(x_, -alpha, work)


@dataclass(frozen=True)
class AdamW(Adam):
    r"""Adam after a shrinkage of x that the division by the gradient's size does not touch.

    .. displayed:: eq-adamw-step

    A penalty :math:`\tfrac\lambda2 \lVert x \rVert^2` in the loss would enter m and v, and weights
    with large gradients would shrink less. `weight_decay` is :math:`\lambda`; as in PyTorch it is
    multiplied by the learning rate, and follows its schedule. The paper multiplies it by the
    schedule alone: its decay is our :math:`\alpha \lambda`. Raises `ValueError` for a negative
    `weight_decay`.
    Reference: Loshchilov and Hutter (2019), algorithm 2.

    >>> optimizer = AdamW(learning_rate=0.1, weight_decay=0.5)
    >>> x = np.array([2.0])
    >>> optimizer.step(x, grad=np.zeros(1), state=optimizer.init(x))[0]
    array([1.9])
    """

    weight_decay: float = 0.01

    def __post_init__(self):
        super().__post_init__()
        _checks.not_negative(self.weight_decay, "weight_decay")

    def step(self, x: Point, grad: Point, state: AdamState):
        """The next point and state."""
        x, grad = check_step(x, grad)
        alpha = rate_at(self.learning_rate, int(state.k), x, grad)
        return super().step((1 - alpha * self.weight_decay) * x, grad, state)

    def update(self, x: Buffer, grad: Buffer, state: AdamState) -> None:
        """The same step in place."""
        check_update(x, grad, state.m, state.v)
        x *= 1 - number_at(self.learning_rate, int(state.k), x, grad) * self.weight_decay
        super().update(x, grad, state)


def _average(g, m, v, work, adam):
    """m and v take in the gradient g, in place."""
    m *= adam.beta1
    add_scaled(m, 1 - adam.beta1, g)
    v *= adam.beta2
    np.multiply(g, g, out=work)
    add_scaled(v, 1 - adam.beta2, work)
