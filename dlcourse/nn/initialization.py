r"""First weights of a layer.

n_in, n_out  inputs and outputs of the layer     W  weights (n_in, n_out): y = x W + b

An initializer is called as `initializer(n_in, n_out, rng)`. Each states the variance of an entry,
because that decides whether signals keep their size: with inputs of mean square q, the outputs of
a linear layer have mean square :math:`n_{in} \operatorname{Var}(W) \, q`.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dlcourse import _checks

Weights = Float[np.ndarray, "n_in n_out"]


def zero(n_in: int, n_out: int, rng) -> Weights:
    """All zero: variance 0. Hidden units then stay equal for ever; good for a last layer only.

    >>> zero(2, 1, np.random.default_rng(0))
    array([[0.],
           [0.]])
    """
    return np.zeros((n_in, n_out))


@dataclass(frozen=True)
class Normal:
    r"""Normal with one standard deviation for all layers: variance :math:`\sigma^2`.

    Raises `ValueError` unless `sd` is positive.

    >>> Normal(0.01)(3, 2, np.random.default_rng(0)).shape
    (3, 2)
    """

    sd: float

    def __post_init__(self):
        _checks.positive(self.sd, "sd")

    def __call__(self, n_in: int, n_out: int, rng) -> Weights:
        return rng.normal(0.0, self.sd, size=(n_in, n_out))


def xavier(n_in: int, n_out: int, rng) -> Weights:
    r"""Normal with a compromise between forward and backward, for tanh and linear layers.

    .. math:: \operatorname{Var}(W_{ij}) = \frac{2}{n_{in} + n_{out}}

    Forward signals ask for 1/n_in, gradients for 1/n_out. Reference: Glorot and Bengio (2010).

    >>> float(xavier(300, 100, np.random.default_rng(0)).var().round(4))
    0.005
    """
    return rng.normal(0.0, np.sqrt(2 / (n_in + n_out)), size=(n_in, n_out))


def he(n_in: int, n_out: int, rng) -> Weights:
    r"""Normal with twice the variance that a linear layer needs, because relu halves it.

    .. math:: \operatorname{Var}(W_{ij}) = \frac{2}{n_{in}}

    Reference: He, Zhang, Ren and Sun (2015).

    >>> float(he(400, 100, np.random.default_rng(0)).var().round(4))
    0.005
    """
    return rng.normal(0.0, np.sqrt(2 / n_in), size=(n_in, n_out))


def orthogonal(n_in: int, n_out: int, rng) -> Weights:
    r"""A random matrix whose rows or columns, whichever are fewer, are orthonormal.

    .. math:: \operatorname{Var}(W_{ij}) = \frac{1}{\max(n_{in}, n_{out})}

    A deep linear network then keeps every length, not only the average one. The signs make the
    distribution uniform. Reference: Saxe, McClelland and Ganguli (2014).

    >>> W = orthogonal(4, 2, np.random.default_rng(0))
    >>> bool(np.allclose(W.T @ W, np.eye(2)))
    True
    """
    tall = rng.normal(size=(max(n_in, n_out), min(n_in, n_out)))
    Q, R = np.linalg.qr(tall)
    Q = Q * np.sign(np.diag(R))  # QR alone prefers some signs
    return Q if n_in >= n_out else Q.T


INITIALIZERS = {
    "zero": zero,
    "normal": Normal(0.01),
    "xavier": xavier,
    "he": he,
    "orthogonal": orthogonal,
}
