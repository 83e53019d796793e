"""Which rows make a mini-batch.

n   number of observations           rows   numbers of the rows of one batch (*runs, B)
B   batch size

An order of drawing is a function `order(rng, shape)` that gives the rows of one epoch, (*runs, n);
the batches are B columns at a time.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

Array = np.ndarray


def shuffled(rng, shape: tuple[int, ...]) -> Int[Array, "*runs n"]:
    """A new permutation in each epoch: every row comes exactly once."""
    return rng.permuted(np.broadcast_to(np.arange(shape[-1]), shape), axis=-1)


def replaced(rng, shape: tuple[int, ...]) -> Int[Array, "*runs n"]:
    """Each row drawn from all rows: some come twice, and about one in e not at all."""
    return rng.integers(shape[-1], size=shape)


class Budget(NamedTuple):
    """What every optimizer may spend."""

    n_epochs: int
    batch_size: int

    def n_steps(self, n: int) -> int:
        r"""Steps on n observations; the last one of an epoch is smaller where B does not divide n.

        .. displayed:: eq-sgd-steps
        """
        return self.n_epochs * -(-n // self.batch_size)


def batches(
    budget: Budget, n: int, rng, order: Callable = shuffled, runs: tuple[int, ...] = ()
) -> Iterator[Int[Array, "*runs b"]]:
    """Rows of one mini-batch after the other, drawn anew in each epoch, for every run its own.

    >>> for rows in batches(Budget(n_epochs=1, batch_size=4), 10, np.random.default_rng(0)):
    ...     print(rows)
    [4 6 2 7]
    [3 5 9 0]
    [8 1]
    """
    for _ in range(budget.n_epochs):
        epoch = order(rng, (*runs, n))
        yield from (epoch[..., i : i + budget.batch_size] for i in range(0, n, budget.batch_size))


def on_rows(loss, rows: Int[Array, " b"]):
    """The same loss on some of its observations: its gradient is a mini-batch gradient."""
    return replace(loss, X=loss.X[rows], y=loss.y[rows])
