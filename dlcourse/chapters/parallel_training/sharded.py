r"""Models that are divided, not copied: optimizer states, matrices, layers.

P     number of workers, or stages     X    input (n, p)
x     parameters, one vector (N,)      A, B matrices of two layers (p, h), (h, q)
m     number of micro-batches
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist
from jaxtyping import Float, Int

from dlcourse.chapters.parallel_training.data_parallel import Job, average, descend, gradient

Array = np.ndarray


@dataclass(frozen=True)
class OwnPiece:
    """An optimizer divided among workers: each has the state of its piece of x, and steps it.

    This is stage 1 of ZeRO. The pieces are sent around after the step, so that every worker starts
    the next one with all of x. Reference: Rajbhandari et al. (2020).
    """

    optimizer: object

    def init(self, x: Float[Array, " N"]):
        return self.optimizer.init(_pieces(x)[dist.get_rank()])

    def step(self, x: Float[Array, " N"], grad: Float[Array, " N"], state):
        rank, x = dist.get_rank(), x.copy()
        piece, state = self.optimizer.step(_pieces(x)[rank], _pieces(grad)[rank], state)
        _pieces(x)[rank][:] = piece
        for owner, sent in enumerate(_pieces(x)):
            dist.broadcast(torch.from_numpy(sent), owner)
        return x, state


def _pieces(vector):
    return np.array_split(vector, dist.get_world_size())


def train_counting(job: Job, is_divided: bool):
    """The run of one replica (points, N), and how many numbers its optimizer keeps for x."""
    X, y = job.own_shard()
    optimizer = OwnPiece(job.optimizer) if is_divided else job.optimizer

    def combined(network):
        grad = gradient(network, X, y)
        average(grad, len(y) / len(job.y))
        return grad

    counted = _Counting(optimizer)
    points = descend(job, combined, counted)
    return points, counted.n_numbers


class _Counting:
    """Passes calls on to an optimizer and remembers the size of its state."""

    def __init__(self, optimizer):
        self.optimizer, self.step, self.n_numbers = optimizer, optimizer.step, 0

    def init(self, x):
        state = self.optimizer.init(x)
        self.n_numbers = sum(part.size for part in state if part.ndim)
        return state


def two_layers(X, A, B) -> Float[Array, "n q"]:
    r"""This worker's part of tanh(X A) B, and the sum of all parts: one all-reduce.

    .. displayed:: eq-parallel-tensor

    Here :math:`\phi` is tanh and C is `B`. Each worker needs its columns of A and its rows of B.
    Reference: Shoeybi et al. (2019).
    """
    rank, size = dist.get_rank(), dist.get_world_size()
    A_r = np.array_split(A, size, axis=1)[rank]
    B_r = np.array_split(B, size, axis=0)[rank]
    part = torch.from_numpy(np.tanh(X @ A_r) @ B_r)
    dist.all_reduce(part)
    return part.numpy()


@dataclass(frozen=True)
class Timetable:
    """Which micro-batch each stage of a pipeline works on in each slot, forward, then backward."""

    slots: Int[Array, "stages slots"]  # 1, 2, ... forward, -1, -2, ... backward, 0 idle

    @property
    def bubble(self) -> float:
        """Idle time relative to the time of work."""
        return float((self.slots == 0).sum() / (self.slots != 0).sum())

    def __repr__(self):
        width = len(str(self.slots.max()))
        rows = [
            " ".join((str(abs(slot)) if slot else ".").rjust(width) for slot in row)
            for row in self.slots
        ]
        return "\n".join(f"stage {stage}  {row}" for stage, row in enumerate(rows))


def pipeline(n_stages: int, n_micro_batches: int) -> Timetable:
    r"""All micro-batches forward through the stages, then all backward, a slot for each.

    .. displayed:: eq-parallel-bubble

    Reference: Huang et al. (2019).

    >>> pipeline(n_stages=2, n_micro_batches=3)
    stage 0  1 2 3 . . 3 2 1
    stage 1  . 1 2 3 3 2 1 .
    """
    half = n_micro_batches + n_stages - 1
    slots = np.zeros((n_stages, 2 * half), dtype=int)
    for stage in range(n_stages):
        forward = np.arange(1, n_micro_batches + 1)
        slots[stage, stage : stage + n_micro_batches] = forward
        slots[stage, ::-1][stage : stage + n_micro_batches] = -forward
    return Timetable(slots)
