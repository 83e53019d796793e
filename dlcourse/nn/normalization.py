r"""Layers that standardize what passes through them.

x  inputs (n, p)      gain, offset  learned scale and shift (p,)
"""

import numpy as np

from dlcourse.autograd import divide, standardize, subtract
from dlcourse.autograd.capture import tracked
from dlcourse.autograd.tensor import Tensor
from dlcourse.nn.layers import Layer


class BatchNorm(Layer):
    r"""Standardize each feature: by its batch in training, by running statistics otherwise.

    .. math:: y_{ij} = \gamma_j \frac{x_{ij} - \mu_j}{\sqrt{v_j + \epsilon}} + \beta_j, \qquad
              r_j^+ = (1 - \rho) \, r_j + \rho \, \mu_j

    Gain and offset are :math:`\gamma` and :math:`\beta`; the running mean r becomes :math:`r^+`,
    and the running variance is renewed likewise. As in PyTorch the batch is divided by its biased
    variance (1/n), the running one is unbiased (1/(n - 1)), and `rate` is the weight :math:`\rho`
    of the newest batch. Raises `ValueError` for another number of features, and for one row in
    training.
    Reference: Ioffe and Szegedy (2015).

    >>> layer = BatchNorm(1)
    >>> layer(np.array([[1.0], [3.0]]), training=True).data.round(4).ravel()
    array([-1.,  1.])
    >>> layer.running_mean, layer.running_variance
    (array([0.2]), array([1.1]))
    """

    def __init__(self, n_features, rate=0.1, epsilon=1e-5, dtype=np.float64):
        self.rate, self.epsilon = rate, epsilon
        self.gain = Tensor(np.ones(n_features, dtype))
        self.offset = Tensor(np.zeros(n_features, dtype))
        self.running_mean = np.zeros(n_features, dtype)
        self.running_variance = np.ones(n_features, dtype)

    def __call__(self, x, training=False):
        _check_width(x, self.gain)
        if training:
            z, (mean, variance) = standardize(_at_least_two_rows(x), 0, self.epsilon)
            n = len(x)
            self._remember(self.running_mean, mean.reshape(-1))
            self._remember(self.running_variance, variance.reshape(-1) * (n / (n - 1)))
        else:
            spread = np.sqrt(tracked(self.running_variance) + self.epsilon)
            z = divide(subtract(x, self.running_mean), spread)
        return z * self.gain + self.offset

    def _remember(self, running, newest):
        running = tracked(running)
        running += self.rate * (newest - running)


class LayerNorm(Layer):
    r"""Standardize each observation over its features, in training and after.

    Needs no batch and no running statistics. Raises `ValueError` for another number of features.
    Reference: Ba, Kiros and Hinton (2016).

    >>> LayerNorm(2)(np.array([[1.0, 3.0]])).data.round(4)
    array([[-1.,  1.]])
    """

    def __init__(self, n_features, epsilon=1e-5, dtype=np.float64):
        self.epsilon = epsilon
        self.gain = Tensor(np.ones(n_features, dtype))
        self.offset = Tensor(np.zeros(n_features, dtype))

    def __call__(self, x, training=False):
        _check_width(x, self.gain)
        z, _ = standardize(x, -1, self.epsilon)
        return z * self.gain + self.offset


def _check_width(x, gain):
    shape = np.shape(x)
    if len(shape) < 2 or shape[-1:] != gain.shape:
        raise ValueError(
            f"`x` must have shape (n, {gain.size}), one column a feature, got {shape}. Give the "
            "layer the number of features that arrive, `n_features`."
        )


def _at_least_two_rows(x):
    if len(x) < 2:
        raise ValueError(
            f"Batch normalization needs two rows or more in training, got {len(x)}: the variance "
            "of one is 0. Choose a `batch_size` that does not leave a last batch of one row."
        )
    return x
