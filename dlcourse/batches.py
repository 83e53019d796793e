"""Which rows make a mini-batch.

n   number of observations           rows   numbers of the rows of one batch (*runs, B)
B   batch size

An order of drawing is a function `order(rng, n_runs, n)` that gives each run the rows of one epoch
(n_runs, n); the batches are B columns at a time.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

Array = np.ndarray


def shuffled(rng, n_runs: int, n: int) -> Int[Array, "n_runs n"]:
    """A new permutation in each epoch: every row comes exactly once."""
    return rng.permuted(np.tile(np.arange(n), (n_runs, 1)), axis=1)


def replaced(rng, n_runs: int, n: int) -> Int[Array, "n_runs n"]:
    """Each row drawn from all rows: some come twice, and about one in e not at all."""
    return rng.integers(n, size=(n_runs, n))


def batches(order: Callable, rng, n_runs: int, n: int, batch_size: int) -> Iterator:
    r"""The mini-batches of one epoch; the last one is smaller where B does not divide n.

    .. math:: \text{steps} = \text{epochs} \cdot \lceil n / B \rceil

    Book: eq. `eq-sgd-steps`.

    >>> [rows.shape for rows in batches(shuffled, np.random.default_rng(0), 2, n=10, batch_size=4)]
    [(2, 4), (2, 4), (2, 2)]
    """
    epoch = order(rng, n_runs, n)
    for start in range(0, n, batch_size):
        yield epoch[:, start : start + batch_size]


class Budget(NamedTuple):
    """What every optimizer may spend."""

    n_epochs: int
    batch_size: int

    def batches(self, n: int, rng) -> Iterator[Int[Array, " b"]]:
        """Rows of one mini-batch after the other, shuffled anew in each epoch."""
        for _ in range(self.n_epochs):
            order = rng.permutation(n)
            yield from (order[i : i + self.batch_size] for i in range(0, n, self.batch_size))

    def n_steps(self, n: int) -> int:
        return self.n_epochs * -(-n // self.batch_size)


def on_rows(loss, rows: Int[Array, " b"]):
    """The same loss on some of its observations: its gradient is a mini-batch gradient."""
    return replace(loss, X=loss.X[rows], y=loss.y[rows])
