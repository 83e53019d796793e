r"""All variables of a network in one flat vector, of which the layers hold views.

flat  the numbers (p,)      grad  the gradient (p,), written there by `backward`
loss  a function without arguments that returns the loss, a tensor

An optimizer sees one vector, as in every chapter; it takes one call however many layers there are.
"""

from collections.abc import Callable
from math import prod

import numpy as np
from jaxtyping import Inexact

from dlcourse import _checks
from dlcourse.autograd.capture import launch
from dlcourse.autograd.tensor import Tensor

Array = np.ndarray


class Parameters:
    """Made from the named tensors of a network, which it moves into `flat`.

    Change `flat` before the forward pass or after `take_gradient`, not in between: the gradient
    would mix old numbers with new ones, and nobody would notice. See `Tensor`. Raises `ValueError`
    for no tensors, and for tensors of several dtypes.

    >>> W, b = Tensor([[1.0, 2.0]]), Tensor([3.0, 4.0])
    >>> parameters = Parameters({"weight": W, "offset": b})
    >>> parameters.flat[:] = [5.0, 6.0, 7.0, 8.0]
    >>> W.data
    array([[5., 6.]])
    >>> parameters
    4 parameters in float64
    weight (1, 2)
    offset (2,)
    """

    def __init__(self, tensors: dict[str, Tensor]):
        if not tensors:
            raise ValueError("A network needs at least one layer with parameters, got none.")
        self.tensors = tensors
        self.shapes = {name: x.shape for name, x in tensors.items()}
        dtypes = {x.dtype for x in tensors.values()}
        if len(dtypes) != 1:
            raise ValueError(
                f"All layers of a network must have one dtype, got {sorted(map(str, dtypes))}. "
                "Give each layer the same `dtype=`."
            )
        self.flat = np.concatenate([x.data.ravel() for x in tensors.values()])
        self.grad = np.zeros_like(self.flat)
        self._hold(self.flat, self.grad)

    def views(self, flat: Inexact[Array, " p"]) -> dict[str, Array]:
        """Any vector shaped like `flat` (the gradient, a direction), by name and in its shape."""
        stops = np.cumsum([prod(shape) for shape in self.shapes.values()])
        parts = np.split(flat, stops[:-1])
        return {
            name: part.reshape(shape)
            for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
        }

    def take_gradient(self, loss: Tensor):
        """Write the gradient of `loss` into `grad`; it is 0 where the loss does not depend."""
        for x in self.tensors.values():
            x.grad = None
        loss.backward()
        for x in self.tensors.values():
            if x.grad is None:
                launch(_clear, out=x.place)

    def function(self, loss: Callable) -> Callable:
        """The loss as a function of the flat vector that returns (value, gradient).

        That is the form which `optim.minimize`, `check_gradient` and the chapters on curvature
        take. Complex points are welcome, so `derivative_along` gives Hessian-vector products.
        """

        def f(x):
            _checks.same_shape(x, self.flat, ("x", "parameters.flat"))
            grad = np.zeros_like(x)
            self._hold(np.asarray(x), grad)
            try:
                value = loss()
                self.take_gradient(value)
            finally:
                self._hold(self.flat, self.grad)
            return value.data, grad

        return f

    def are_held(self) -> bool:
        """Whether the layers still look into this vector."""
        return all(x.data.base is self.flat for x in self.tensors.values())

    def _hold(self, flat, grad):
        views, places = self.views(flat), self.views(grad)
        for name, x in self.tensors.items():
            x.data, x.place = views[name], places[name]

    def __len__(self):
        return self.flat.size

    def __repr__(self):
        lines = [f"{name} {shape}" for name, shape in self.shapes.items()]
        return "\n".join([f"{len(self):,} parameters in {self.flat.dtype}", *lines])


def _clear(place):
    place[...] = 0
