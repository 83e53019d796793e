r"""Functions whose minimum is known, to try optimizers on.

x  point (*runs, p)     L  Lipschitz constant of the gradient

Each satisfies, or breaks, one hypothesis of a convergence theorem. Like the losses they are records
called at a point, `value, gradient = f(x)`. Chapter: book/gradient_descent.ipynb.
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

    .. math:: f(x) = \begin{cases} \frac{L}{2} \lVert x \rVert^2 & \lVert x \rVert \le \delta \\
              L \delta \lVert x \rVert - \frac{L}{2} \delta^2 & \text{otherwise} \end{cases}

    On the cone every step has the same length, so the right `delta` makes this the slowest of all
    smooth convex functions. Reference: Drori and Teboulle (2014). Book: eq. `eq-gd-huber`.

    >>> Huber(delta=1.0)(np.array([3.0, 4.0]))
    (np.float64(4.5), array([0.6, 0.8]))
    """

    delta: float
    L: float = 1.0

    def __call__(self, x: Float[Array, "*runs p"]):
        radius = np.linalg.norm(x, axis=-1)
        inside = np.minimum(radius, self.delta)
        gradient = self.L * x * (self.delta / np.maximum(radius, self.delta))[..., None]
        return self.L * inside * (radius - inside / 2), gradient


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
