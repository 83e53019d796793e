r"""Operations between the layers of a network: standardization and dropout.

x  tensor (n, p)     axis  over which mean and variance are taken     rng  source of the noise

In formulas a bar marks the gradient of the loss with respect to what is under it.
"""

import numpy as np
from jaxtyping import Inexact

from dlcourse.autograd.capture import launch
from dlcourse.autograd.reductions import axes_of_some
from dlcourse.autograd.rules import arrays_of, number, operation, taylor, times, times_bounded
from dlcourse.autograd.tensor import Tensor, TensorLike

Array = np.ndarray


def standardize(
    x: Inexact[TensorLike, "n p"], axis: int, epsilon: float = 1e-5
) -> tuple[Tensor, tuple]:
    r"""`x` with mean 0 and variance 1 along `axis`, and the (mean, variance) that were removed.

    .. math:: z_i = \frac{x_i - \mu}{\sqrt{v + \epsilon}}, \qquad
              \bar x_i = \frac{1}{\sqrt{v + \epsilon}} \Bigl(
              \bar z_i - \frac1n \sum_j \bar z_j - \frac{z_i}{n} \sum_j \bar z_j z_j \Bigr)

    n counts the entries along `axis`. The gradient loses its mean and its part along z: what the
    operation takes out of x, it takes out of the gradient too. Along axis 0 this is batch
    normalization, along axis -1 layer normalization.
    Reference: Ioffe and Szegedy (2015); Ba, Kiros and Hinton (2016).
    """
    axes, _ = axes_of_some(x, axis)
    mean, variance = _moments(arrays_of((x,))[0], axes)
    return _standardized(x, axes, mean, variance, epsilon), (mean, variance)


@operation(1)
def _standardized(x, axes, mean, variance, epsilon):
    scale = taylor(np.sqrt, lambda _, y: 0.5 / y, variance + epsilon)
    z = (x - mean) / scale
    return z, lambda g: (g - _mean(g, axes) - z * _mean(g * z, axes)) / scale


def _moments(x, axes):
    mean = _mean(x, axes)
    distance = x - mean
    return mean, _mean(distance * distance, axes)


def _mean(x, axes):
    total = x.sum(axes, keepdims=True)
    return total / number(x.size // total.size, x.real.dtype)


@operation(1)
def dropout(x: Inexact[Array, "..."], p: float, rng):
    r"""Zero each entry with probability `p`, and divide the others by 1 - p.

    .. math:: y_i = \frac{m_i}{1 - p} \, x_i

    The mask m is 1 with probability 1 - p, else 0. The division keeps the mean, so that nothing
    needs rescaling later ("inverted" dropout). Each replay draws anew.
    Reference: Srivastava et al. (2014).
    """
    check_probability(p)
    check_generator(rng)
    dtype = x.real.dtype
    mask = (launch(_uniform, rng, x.shape, dtype) >= p) * number(1 / (1 - p), dtype)
    return times(x, mask), lambda g: times_bounded(g, mask)


def check_probability(p):
    """Raise `ValueError` unless 0 <= p < 1."""
    if not 0 <= p < 1:
        raise ValueError(
            f"`p`, the probability of dropping an entry, must lie in [0, 1), got {p!r}. "
            "If you mean the probability of keeping it, use 1 - p."
        )


def check_generator(rng):
    """Raise `ValueError` unless `rng` is a random number generator of NumPy."""
    if not isinstance(rng, np.random.Generator):
        raise ValueError(
            f"`rng` must be a generator of random numbers, got {rng!r}. Use "
            "`np.random.default_rng(0)`, which gives the same numbers in each run."
        )


def _uniform(rng, shape, dtype, out=None):
    return rng.random(shape, dtype, out)
