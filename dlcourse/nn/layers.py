r"""Layers, and how they are put together.

x  inputs, one observation a row (..., n_in)    training  whether this is a training step

A layer is called as `layer(x, training=False)`. What it learns are its tensors; what it remembers
besides, such as running means, are its arrays. Both are found by looking at its attributes. An
activation is a plain function of a tensor, such as `autograd.relu`.
"""

from collections.abc import Callable

import numpy as np

from dlcourse.autograd import add, affine, affine_relu, relu
from dlcourse.autograd.regularizers import check_generator, check_probability, dropout
from dlcourse.autograd.tensor import Tensor
from dlcourse.nn.initialization import he
from dlcourse.nn.parameters import Parameters


class Layer:
    """What all layers share: their parts by name, and their parameters in one flat vector.

    Calling one that does not define it raises `NotImplementedError`.
    """

    _parameters = None

    def __call__(self, x, training: bool = False) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} must define `__call__(x, training)`.")

    @property
    def parameters(self) -> Parameters:
        """The flat vector of which all layers hold views.

        Made on first use, and anew if a layer has moved into the vector of another network.
        """
        if self._parameters is None or not self._parameters.are_held():
            named = {x: name for name, x in _parts("", self) if isinstance(x, Tensor)}
            self._parameters = Parameters({name: x for x, name in named.items()})
        return self._parameters

    def predict(self, X) -> np.ndarray:
        """The outputs for the inputs `X`, outside of training: plain numbers, no tensor."""
        return self(X).data

    def arrays(self) -> dict[str, np.ndarray]:
        """All numbers of the network by name: what it has learned, and its running statistics."""
        return {name: x.data if isinstance(x, Tensor) else x for name, x in _parts("", self)}

    def __repr__(self):
        tensors = {x: name for name, x in _parts("", self) if isinstance(x, Tensor)}
        lines = [f"{name} {x.shape}" for x, name in tensors.items()]
        n = sum(x.size for x in tensors)
        return "\n  ".join([f"{type(self).__name__} with {n:,} parameters", *lines])


def _parts(path, part):
    """Pairs (name, tensor or array), the name being the path of attributes to it."""
    if isinstance(part, Tensor | np.ndarray):
        yield path, part
    inner = vars(part) if isinstance(part, Layer) else {}
    if isinstance(part, tuple | list):
        inner = dict(enumerate(part))
    if isinstance(part, dict):
        inner = part
    if isinstance(part, set | frozenset) and any(isinstance(x, Layer | Tensor) for x in part):
        raise ValueError(f"`{path}` is a set, which has no order. Keep its layers in a list.")
    for name, x in inner.items():
        yield from _parts(f"{path}.{name}" if path else name, x)


class Linear(Layer):
    r"""An affine map and, if given, an activation.

    .. math:: y = \phi(x W + b)

    The weights W have shape (n_in, n_out); the offsets b start at zero. PyTorch stores W
    transposed, and starts from another distribution.

    >>> from dlcourse.autograd import relu
    >>> layer = Linear(3, 2, np.random.default_rng(0), activation=relu)
    >>> layer(np.ones((4, 3))).shape
    (4, 2)
    """

    def __init__(self, n_in, n_out, rng, activation=None, initializer=he, dtype=np.float64):
        check_generator(rng)
        self.activation = activation
        self.weight = Tensor(initializer(n_in, n_out, rng).astype(dtype))
        self.offset = Tensor(np.zeros(n_out, dtype))

    def __call__(self, x, training=False):
        if self.activation is relu:
            return affine_relu(x, self.weight, self.offset)
        y = affine(x, self.weight, self.offset)
        return y if self.activation is None else self.activation(y)


class Dropout(Layer):
    """In training, drop each entry with probability `p`; otherwise do nothing.

    >>> layer = Dropout(0.5, np.random.default_rng(0))
    >>> layer(Tensor([1.0, 2.0]))
    Tensor([1., 2.])
    """

    def __init__(self, p: float, rng):
        check_probability(p)
        check_generator(rng)
        self.p, self.rng = p, rng

    def __call__(self, x, training=False):
        return dropout(x, self.p, self.rng) if training and self.p > 0 else x


class Sequential(Layer):
    """Layers and plain functions, one after the other."""

    def __init__(self, *layers: Layer | Callable):
        self.layers = layers

    def __call__(self, x, training=False):
        for layer in self.layers:
            x = layer(x, training) if isinstance(layer, Layer) else layer(x)
        return x


class Residual(Layer):
    r"""A block with a path around it.

    .. math:: y = x + F(x)

    The gradient reaches x whatever F does. Reference: He, Zhang, Ren and Sun (2016).
    """

    def __init__(self, *block: Layer | Callable):
        self.block = Sequential(*block)

    def __call__(self, x, training=False):
        return add(x, self.block(x, training))


class MLP(Sequential):
    """A multilayer perceptron: affine maps with an activation between them.

    `sizes` counts the inputs, the units of each hidden layer, and the outputs; the last map has no
    activation. `dropout_p` is the probability of dropping a hidden unit. Raises `ValueError` for
    fewer than two sizes.

    >>> network = MLP((2, 16, 16, 1), np.random.default_rng(0))
    >>> len(network.parameters)
    337
    """

    def __init__(
        self, sizes, rng, activation=relu, initializer=he, dropout_p=0.0, dtype=np.float64
    ):
        if len(sizes) < 2:
            raise ValueError(f"`sizes` must name inputs and outputs, got {sizes!r}.")
        layers = []
        for n_in, n_out in zip(sizes[:-2], sizes[1:-1], strict=True):
            layers.append(Linear(n_in, n_out, rng, activation, initializer, dtype))
            if dropout_p:
                layers.append(Dropout(dropout_p, rng))
        super().__init__(*layers, Linear(*sizes[-2:], rng, None, initializer, dtype))
