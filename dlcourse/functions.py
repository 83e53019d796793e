r"""Functions whose minimum is known, to try optimizers on.

x  point (*runs, p)     L  Lipschitz constant of the gradient

Each satisfies, or breaks, one hypothesis of a convergence theorem. Like the losses they are records
called at a point, `value, gradient = f(x)`.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

Array = np.ndarray


class AbsoluteValue(NamedTuple):
    r"""The sum of :math:`|x_j|`: convex and Lipschitz, but its gradient jumps at zero.

    >>> AbsoluteValue()(np.array([-2.0, 0.5]))
    (np.float64(2.5), array([-1.,  1.]))
    """

    def __call__(self, x: Float[Array, "*runs p"]):
        return np.abs(x).sum(-1), np.sign(x)


class KinkedBowl(NamedTuple):
    r"""The sum of :math:`|x_j| + m x_j^2 / 2`: strongly convex, but its gradient jumps at zero.

    >>> KinkedBowl(m=1.0)(np.array([-2.0, 0.0]))
    (np.float64(4.0), array([-3.,  0.]))
    """

    m: float

    def __call__(self, x: Float[Array, "*runs p"]):
        value, sign = AbsoluteValue()(x)
        return value + self.m / 2 * (x**2).sum(-1), sign + self.m * x


class Quartic(NamedTuple):
    r"""The sum of :math:`x_j^4 / 4`: convex, but its curvature vanishes at the minimizer.

    Its gradient is Lipschitz with L = 3 on the cube where all :math:`|x_j| \le 1`.

    >>> Quartic()(np.array([2.0, 0.0]))
    (np.float64(4.0), array([8., 0.]))
    """

    def __call__(self, x: Float[Array, "*runs p"]):
        return (x**4).sum(-1) / 4, x**3


class DoubleWell(NamedTuple):
    r"""Two valleys, near u = -1 and u = 1, with a saddle between them; x = (u, v).

    .. math:: f(u, v) = \tfrac14 (u^2 - 1)^2 + \tau u + \tfrac12 v^2

    Not convex. A positive `tilt` :math:`\tau` makes the left valley the deeper one.

    >>> DoubleWell()(np.array([0.0, 1.0]))  # the gradient has no part along u
    (np.float64(0.75), array([0., 1.]))
    """

    tilt: float = 0.0

    def __call__(self, x: Float[Array, "*runs 2"]):
        u, v = x[..., 0], x[..., 1]
        value = (u**2 - 1) ** 2 / 4 + self.tilt * u + v**2 / 2
        return value, np.stack([u**3 - u + self.tilt, v], axis=-1)


class Huber(NamedTuple):
    r"""A bowl inside the radius `delta` and a cone outside it: convex, with gradient constant L.

    .. displayed:: eq-gd-huber

    Here r is the length of x. On the cone every step has the same length, so the right `delta`
    makes this the slowest of all smooth convex functions. With `m` above 0 it is strongly convex:
    :math:`\tfrac{m}{2} \lVert x \rVert^2` is added to the Huber function of L - m.
    Reference: Drori and Teboulle (2014).

    >>> Huber(delta=1.0)(np.array([3.0, 4.0]))
    (np.float64(4.5), array([0.6, 0.8]))
    """

    delta: float
    L: float = 1.0
    m: float = 0.0

    def __call__(self, x: Float[Array, "*runs p"]):
        radius = np.linalg.norm(x, axis=-1)
        inside = np.minimum(radius, self.delta)
        clipped = x * (self.delta / np.maximum(radius, self.delta))[..., None]
        value = (self.L - self.m) * inside * (radius - inside / 2) + self.m / 2 * radius**2
        return value, (self.L - self.m) * clipped + self.m * x


class LogCosh(NamedTuple):
    r"""A smooth relative of the mean absolute error, with an optional ridge.

    .. math:: f(x) = \frac1n \sum_{i=1}^n \log \cosh a_i^\top (x - c)
              + \frac{m}{2} \lVert x - c \rVert^2

    Convex, strongly convex with constant `m`, and smooth: L is m plus the largest eigenvalue of
    :math:`A^\top A / n`, where :math:`a_i` are the rows of `A`.

    >>> value, gradient = LogCosh(np.eye(2), center=np.zeros(2))(np.array([0.0, 100.0]))
    >>> round(float(value), 6), gradient
    (49.653426, array([0. , 0.5]))
    """

    A: Float[Array, "n p"]
    center: Float[Array, " p"]
    m: float = 0.0

    def __call__(self, x: Float[Array, "*runs p"]):
        shift = x - self.center
        z = shift @ self.A.T  # (*runs, n)
        # log cosh z = log(e^z + e^-z) - log 2, in the form that cannot overflow
        value = np.logaddexp(z, -z).mean(-1) - np.log(2) + self.m / 2 * (shift**2).sum(-1)
        return value, np.tanh(z) @ self.A / len(self.A) + self.m * shift


class Waves(NamedTuple):
    r"""Waves in several directions, with an optional bowl: smooth, but with many local minima.

    .. math:: f(x) = \frac1n \sum_{i=1}^n \bigl( 1 - \cos a_i^\top x \bigr)
              + \frac{m}{2} \lVert x \rVert^2

    Its minimum is 0, at zero. L is at most m plus the largest eigenvalue of :math:`A^\top A / n`.

    >>> value, gradient = Waves(np.eye(1), m=0.1)(np.array([np.pi]))
    >>> round(float(value), 4), gradient.round(4)
    (2.4935, array([0.3142]))
    """

    A: Float[Array, "n p"]
    m: float = 0.0

    def __call__(self, x: Float[Array, "*runs p"]):
        z = x @ self.A.T  # (*runs, n)
        value = (1 - np.cos(z)).mean(-1) + self.m / 2 * (x**2).sum(-1)
        return value, np.sin(z) @ self.A / len(self.A) + self.m * x


class Washboard(NamedTuple):
    r"""In each coordinate a slope that is `slope` at every step of size 1/L, gentler between.

    A bowl of curvature L up to the point slope/L; beyond it, the slope falls to one half and comes
    back over every distance slope/L. Of all L-smooth functions that fall as far it keeps the
    gradients of gradient descent with t = 1/L the largest.
    Reference: Abbaszadehpeivasti, de Klerk and Zamani (2022).

    >>> Washboard(slope=1.0)(np.array([[1.0], [1.5], [2.0]]))
    (array([0.5  , 0.875, 1.25 ]), array([[1. ],
           [0.5],
           [1. ]]))
    """

    slope: float
    L: float = 1.0

    def __call__(self, x: Float[Array, "*runs p"]):
        width = self.slope / self.L
        n_periods, u = np.divmod(np.maximum(x - width, 0), width)
        from_end = np.minimum(u, width - u)
        fall = self.slope * from_end - self.L / 2 * from_end**2
        period = 3 / 4 * self.slope * width
        beyond = n_periods * period + np.where(u <= width / 2, fall, period - fall)
        inside = np.minimum(x, width)
        gradient = self.L * (inside - np.where(x > width, from_end, 0))
        return (self.L / 2 * inside**2 + beyond).sum(-1), gradient


class LessardBowl(NamedTuple):
    r"""In each coordinate three quadratics whose slopes meet: curvature 25, then 1, then 25.

    .. math:: f'(x) = \begin{cases} 25 x & \text{if } x < 1, \\ x + 24 & \text{if } 1 \le x < 2, \\
              25 x - 24 & \text{otherwise} \end{cases}

    Strongly convex with m = 1 and smooth with M = 25. On it heavy ball with the
    parameters that are best for quadratics of these curvatures runs in a circle.
    Reference: Lessard, Recht and Packard (2016).

    >>> LessardBowl()(np.array([[1.0], [2.0]]))
    (array([12.5, 38. ]), array([[25.],
           [26.]]))
    """

    def __call__(self, x: Float[Array, "*runs p"]):
        middle, right = np.clip(x - 1, 0, 1), np.maximum(x - 2, 0)
        left = np.minimum(x, 1)
        value = 12.5 * left**2 + 25 * middle + middle**2 / 2 + 26 * right + 12.5 * right**2
        return value.sum(-1), 25 * left + middle + 25 * right


class Slope(NamedTuple):
    r"""Minus the sum of the coordinates: convex and smooth, but without a lower bound.

    >>> Slope()(np.array([1.0, 2.0]))
    (np.float64(-3.0), array([-1., -1.]))
    """

    def __call__(self, x: Float[Array, "*runs p"]):
        return -x.sum(-1), -np.ones_like(x)


class SlowSlope(NamedTuple):
    r"""In each coordinate a slope down to 0, slower than any power: it has no minimizer.

    .. math:: f(x) = \frac{1}{\log(e + x)}

    It is that from 0 on, and to the left its tangent there. Convex and smooth with L = 3/e^2.

    >>> SlowSlope()(np.array([[0.0], [np.e**4 - np.e]]))[0]
    array([1.  , 0.25])
    """

    def __call__(self, x: Float[Array, "*runs p"]):
        right = np.maximum(x, 0)
        log = np.log(np.e + right)
        value = 1 / log - np.minimum(x, 0) / np.e
        return value.sum(-1), -1 / ((np.e + right) * log**2)
