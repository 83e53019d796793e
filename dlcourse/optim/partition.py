"""One flat vector, several optimizers: each piece of it a shape and an optimizer of its own.

x     point (*runs, p)     pieces  in the order in which they lie in x, without gaps
grad  gradient at x        state   one state a piece
"""

from dataclasses import dataclass
from math import prod
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from dlcourse import _checks
from dlcourse.optim._inplace import check_update
from dlcourse.optim._settings import check_optimizer, check_step

Array = np.ndarray
Point = Float[Array, "*runs p"]


class Piece(NamedTuple):
    """A stretch of the flat vector: the array that it holds, and what moves it."""

    shape: tuple[int, ...]
    optimizer: object


@dataclass(frozen=True)
class Partition:
    """Move each piece of x by its own optimizer. The parameters of a network are such an x.

    Raises `ValueError` where it starts from anything but finite floats.

    >>> from dlcourse.optim import SGD, Muon
    >>> optimizer = Partition((Piece((2, 2), Muon(0.1)), Piece((2,), SGD(0.1))))
    >>> x, grad = np.zeros(6), np.array([3.0, 0.0, 0.0, -1.0, 1.0, -1.0])
    >>> optimizer.step(x, grad, optimizer.init(x))[0].round(3) + 0.0
    array([-0.075,  0.   ,  0.   ,  0.113, -0.1  ,  0.1  ])
    """

    pieces: tuple[Piece, ...]

    def __post_init__(self):
        for piece in self.pieces:
            check_optimizer(piece.optimizer)

    def init(self, x: Point) -> tuple:
        return tuple(
            optimizer.init(part) for optimizer, part in self._parts(_checks.floats(x, "x"))
        )

    def step(self, x: Point, grad: Point, state: tuple):
        """The next point and state."""
        x, grad = check_step(x, grad)
        moved = [
            optimizer.step(part, part_grad, part_state)
            for (optimizer, part), (_, part_grad), part_state in zip(
                self._parts(x), self._parts(grad), state, strict=True
            )
        ]
        flat = [part.reshape(*x.shape[:-1], -1) for part, _ in moved]
        return np.concatenate(flat, axis=-1), tuple(part_state for _, part_state in moved)

    def update(self, x: Point, grad: Point, state: tuple) -> None:
        """The same step in place."""
        check_update(x, grad)
        for (optimizer, part), (_, part_grad), part_state in zip(
            self._parts(x), self._parts(grad), state, strict=True
        ):
            optimizer.update(part, part_grad, part_state)

    def _parts(self, x):
        """Each piece's optimizer and, in its shape, its part of x: a view where x is one point."""
        n = sum(prod(shape) for shape, _ in self.pieces)
        if x.shape[-1:] != (n,):
            raise ValueError(
                f"`x` must be flat, (*runs, {n}), the sum of the pieces, got {x.shape}. "
                "List the shape of every array in `x`, in order."
            )
        start = 0
        for shape, optimizer in self.pieces:
            stop = start + prod(shape)
            yield optimizer, x[..., start:stop].reshape(*x.shape[:-1], *shape)
            start = stop


def muon_for_hidden(shapes, muon, other) -> Partition:
    """`muon` for the matrices between the first and the last, `other` for all else.

    `shapes` are those of a network's parameters in order, `network.parameters.shapes.values()`. The
    first matrix reads the data, as an embedding does, and the last one writes the answer: neither
    is hidden. Raises `ValueError` where no matrix is hidden.

    >>> from dlcourse.optim import AdamW, Muon
    >>> shapes = [(2, 16), (16,), (16, 16), (16,), (16, 1), (1,)]
    >>> muon_for_hidden(shapes, Muon(0.02), AdamW(0.001)).pieces[1].shape
    (16, 16)
    """
    shapes = list(shapes)
    matrices = [index for index, shape in enumerate(shapes) if len(shape) == 2]
    if len(matrices) < 3:
        raise ValueError(
            "`muon_for_hidden` needs a matrix between the first and the last, got the shapes "
            f"{shapes}. Use AdamW alone, or add a hidden layer."
        )
    pieces, waiting = [], 0
    for index, shape in enumerate(shapes):
        if index in matrices[1:-1]:
            pieces += [Piece((waiting,), other), Piece(tuple(shape), muon)]
            waiting = 0
        else:
            waiting += prod(shape)  # neighbours share one call
    return Partition((*(piece for piece in pieces if prod(piece.shape)), Piece((waiting,), other)))
