r"""All-reduce: every worker gives a vector, every worker gets the sum.

P   number of workers                      V   bytes of one vector
r   rank of a worker                       chunk   one of the P pieces of a vector

Each algorithm is written as its plan: who sends what to whom in which round. `simulate` carries a
plan out in NumPy and counts every message; `ring_all_reduce` carries the ring's plan out between
processes.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.distributed as dist
from jaxtyping import Float

from dlcourse.parallel.costs import FREE, Link

Array = np.ndarray


class Move(NamedTuple):
    """One message: chunks of `sender` go to `receiver`, who adds them to its own or replaces it."""

    sender: int
    receiver: int
    chunks: Sequence[int]
    adds: bool


def ring(size: int) -> Iterator[list[Move]]:
    """Rounds of the ring: chunks go around once to be added up, and once more to be handed out."""
    for k in range(size - 1):  # reduce-scatter
        yield [_to_next(r, size, chunk=r - k, adds=True) for r in range(size)]
    for k in range(size - 1):  # all-gather, of the sums: worker r holds that of chunk r + 1
        yield [_to_next(r, size, chunk=r + 1 - k, adds=False) for r in range(size)]


def _to_next(rank, size, chunk, adds):
    return Move(rank, (rank + 1) % size, [chunk % size], adds)


def star(size: int) -> Iterator[list[Move]]:
    """Rounds of the star: worker 0 collects all vectors and sends the sum to everyone."""
    whole = range(size)
    if size > 1:
        yield [Move(r, 0, whole, adds=True) for r in range(1, size)]
        yield [Move(0, r, whole, adds=False) for r in range(1, size)]


def doubling(size: int) -> Iterator[list[Move]]:
    """Rounds of recursive doubling: pairs at distance 1, 2, 4, ... exchange all that they have.

    Raises `ValueError` unless `size` is a power of two.
    """
    if size & (size - 1):
        raise ValueError(
            f"Recursive doubling needs a power of two as `size`, got {size}. Use `ring`."
        )
    distance = 1
    while distance < size:
        yield [Move(r, r ^ distance, range(size), adds=True) for r in range(size)]
        distance *= 2


PLANS = {"ring": ring, "star": star, "recursive doubling": doubling}


class Exchange(NamedTuple):
    """What an all-reduce gave each worker, and what it took."""

    sums: Float[Array, "P n"]
    bytes_sent: tuple[int, ...]  # by each worker
    messages_sent: tuple[int, ...]
    seconds: float  # on the given link, each worker sending one message at a time, as receiving


def simulate(vectors: Float[Array, "P n"], plan: Callable, link: Link = FREE) -> Exchange:
    """Carry out a plan on one vector a worker: all messages of a round at once, then the next.

    A worker sends and receives at the same time, but one message each at a time; a round lasts as
    long as its busiest worker.
    """
    size = len(vectors)
    held = [np.array_split(vector.copy(), size) for vector in vectors]
    bytes_sent, messages_sent, seconds = [0] * size, [0] * size, 0.0
    for moves in plan(size):
        mail = [[held[move.sender][c].copy() for c in move.chunks] for move in moves]
        busy = np.zeros((2, size))
        for move, chunks in zip(moves, mail, strict=True):
            n_bytes = sum(chunk.nbytes for chunk in chunks)
            bytes_sent[move.sender] += n_bytes
            messages_sent[move.sender] += 1
            busy[0, move.sender] += link.seconds(n_bytes)
            busy[1, move.receiver] += link.seconds(n_bytes)
            for c, chunk in zip(move.chunks, chunks, strict=True):
                before = held[move.receiver][c]
                held[move.receiver][c] = before + chunk if move.adds else chunk
        seconds += busy.max()
    sums = np.stack([np.concatenate(chunks) for chunks in held])
    return Exchange(sums, tuple(bytes_sent), tuple(messages_sent), float(seconds))


def ring_all_reduce(vector: torch.Tensor) -> int:
    """Replace this worker's vector by the sum over all workers; the bytes that it sent.

    All workers call it together, as they call `torch.distributed.all_reduce`.
    """
    rank, size = dist.get_rank(), dist.get_world_size()
    chunks, n_bytes = vector.tensor_split(size), 0
    for moves in ring(size):
        ours, theirs = moves[rank], moves[rank - 1]
        outgoing, incoming = chunks[ours.chunks[0]], chunks[theirs.chunks[0]]
        came = torch.empty_like(incoming)
        sending = dist.isend(outgoing, ours.receiver)  # `send` would wait, all around the ring
        dist.recv(came, theirs.sender)
        sending.wait()
        incoming.copy_(incoming + came if theirs.adds else came)
        n_bytes += outgoing.nbytes
    return n_bytes
