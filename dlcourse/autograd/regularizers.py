r"""Operations between the layers of a network: standardization and dropout.

x  tensor (n, p)     axis  over which mean and variance are taken     rng  source of the noise
"""

import numpy as np
from jaxtyping import Inexact

from dlcourse.autograd.capture import launch
from dlcourse.autograd.reductions import total
from dlcourse.autograd.tensor import Tensor, TensorLike, as_tensor, number, record


def standardize(x: Inexact[TensorLike, "n p"], axis: int, epsilon: float = 1e-5):
    r"""`x` with mean 0 and variance 1 along `axis`, and the (mean, variance) that were removed.

    .. math:: z = \frac{x - \mu}{\sqrt{v + \epsilon}}, \qquad
              \bar x = \frac{1}{\sqrt{v + \epsilon}}
              \Bigl( \bar z - \operatorname{mean}(\bar z) - z \operatorname{mean}(\bar z z) \Bigr)

    The gradient loses its mean and its part along z: what the operation takes out of x, it takes
    out of the gradient too. Along axis 0 this is batch normalization, along axis -1 layer
    normalization. Reference: Ioffe and Szegedy (2015); Ba, Kiros and Hinton (2016).
    """
    x = as_tensor(x)
    n = number(x.shape[axis], x.data.real.dtype)

    def average(a):
        sums = launch(total, a, axis, True)
        return launch(np.divide, sums, n, out=sums)

    mean = average(x.data)
    centered = launch(np.subtract, x.data, mean)
    variance = average(launch(np.multiply, centered, centered))
    scale = launch(np.sqrt, launch(np.add, variance, number(epsilon, n.dtype)))
    z = launch(np.divide, centered, scale, out=centered)

    def vjp(g):
        along = launch(np.multiply, g, z)
        along = launch(np.multiply, z, average(along), out=along)
        rest = launch(np.subtract, g, average(g))
        x.receive(np.divide, launch(np.subtract, rest, along, out=rest), scale)

    return record(z, vjp, x), (mean, variance)


def dropout(x: Inexact[TensorLike, "..."], p: float, rng) -> Inexact[Tensor, "..."]:
    r"""Zero each entry with probability `p`, and divide the others by 1 - p.

    .. math:: y = \frac{m}{1 - p} \odot x, \qquad m \sim \operatorname{Bernoulli}(1 - p)

    The division keeps the mean, so that nothing needs rescaling later ("inverted" dropout). Each
    replay draws anew. Reference: Srivastava et al. (2014).
    """
    check_probability(p)
    x = as_tensor(x)
    mask = launch(_uniform, rng, x.shape, x.data.real.dtype)
    launch(np.greater_equal, mask, number(p, mask.dtype), out=mask)
    launch(np.divide, mask, number(1 - p, mask.dtype), out=mask)
    return record(launch(np.multiply, x.data, mask), lambda g: x.receive(np.multiply, g, mask), x)


def check_probability(p):
    if not 0 <= p < 1:
        raise ValueError(
            f"`p`, the probability of dropping an entry, must lie in [0, 1), got {p!r}. "
            "If you mean the probability of keeping it, use 1 - p."
        )


def _uniform(rng, shape, dtype, out=None):
    return rng.random(shape, dtype, out)
