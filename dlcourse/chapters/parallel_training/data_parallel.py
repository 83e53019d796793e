r"""Data-parallel training: every worker a replica, every replica its own rows.

X, y   all rows (n, n_features), (n,)           x      parameters of a replica, one vector (N,)
g_r    gradient of the mean loss on shard r     n_r    rows in shard r

A way to combine gradients is a function `combine(grad, share)`, called by every worker between the
gradient and the step. It changes `grad` in place, and is all that data parallelism adds to a
training loop; `share` is n_r / n.
"""

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
import torch.distributed as dist
from jaxtyping import Float
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from dlcourse import _checks
from dlcourse.optim import SGD, walk
from dlcourse.parallel.rings import ring_all_reduce
from dlcourse.parallel.workers import Group
from dlcourse.tables import PrintsTable, Table

Array = np.ndarray


def equal_sizes(n: int, n_workers: int) -> tuple[int, ...]:
    """Shard sizes that differ by one at most and add up to n.

    >>> equal_sizes(10, 4)
    (3, 3, 2, 2)
    """
    return tuple(n // n_workers + (rank < n % n_workers) for rank in range(n_workers))


def unequal_sizes(n: int, n_workers: int) -> tuple[int, ...]:
    """Shard sizes in the proportions 1, 2, 3, ..., n rows in all.

    >>> unequal_sizes(100, 2)
    (33, 67)
    """
    ranks = np.arange(n_workers + 1)
    cuts = n * ranks * (ranks + 1) // (n_workers * (n_workers + 1))
    return tuple(int(end - start) for start, end in pairwise(cuts))


@dataclass(frozen=True)
class Job:
    """A network to train on rows that are divided among workers, `sizes[r]` of them to worker r.

    Raises `ValueError` unless `X` and `y` are regression data and the `sizes`, all positive, add up
    to its rows.
    """

    X: Float[Array, "n features"]
    y: Float[Array, " n"]
    sizes: tuple[int, ...]
    n_steps: int
    seed: int = 0  # of the first weights
    optimizer: object = SGD(0.1)

    def __post_init__(self):
        X, y = _checks.regression_data(self.X, self.y)
        if sum(self.sizes) != len(y) or min(self.sizes) < 1:
            raise ValueError(
                f"`sizes` must be positive and add up to the {len(y)} rows, got {self.sizes}. "
                f"Use `equal_sizes({len(y)}, n_workers)`."
            )
        for name, value in (("X", X.astype(float)), ("y", y.astype(float))):
            object.__setattr__(self, name, value)  # as they were converted, once

    def check_workers(self, n_workers: int):
        """Raise `ValueError` unless every worker has a shard and every shard a worker."""
        if len(self.sizes) != n_workers:
            raise ValueError(
                f"A job of {len(self.sizes)} shards needs as many workers, got {n_workers}: rows "
                f"would be left out. Use `sizes=equal_sizes({len(self.y)}, {n_workers})`."
            )

    def own_shard(self):
        """`shard` of the worker that asks."""
        self.check_workers(dist.get_world_size())
        return self.shard(dist.get_rank())

    def shard(self, rank: int):
        """Rows of one worker as tensors of their own, so that all are aligned alike in memory."""
        start = sum(self.sizes[:rank])
        rows = slice(start, start + self.sizes[rank])
        return torch.from_numpy(self.X[rows].copy()), torch.from_numpy(self.y[rows].copy())


def make_network(n_features: int, seed: int) -> torch.nn.Sequential:
    """One hidden layer of eight tanh units in float64, its weights drawn by NumPy from `seed`."""
    rng = np.random.default_rng(seed)
    network = torch.nn.Sequential(
        torch.nn.Linear(n_features, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1)
    ).double()
    with torch.no_grad():
        for parameter in network.parameters():
            weights = rng.normal(size=parameter.shape) / np.sqrt(parameter.shape[-1])
            parameter.copy_(torch.from_numpy(weights))
    return network


def mean_loss(network, X, y) -> torch.Tensor:
    """Half the mean squared error over the rows given."""
    return ((network(X)[:, 0] - y) ** 2).mean() / 2


def gradient(network, X, y) -> torch.Tensor:
    """Gradient of the mean loss over the rows given, all parameters in one vector (N,)."""
    grads = torch.autograd.grad(mean_loss(network, X, y), list(network.parameters()))
    return torch.cat([grad.ravel() for grad in grads])


def average(grad: torch.Tensor, share: float) -> None:
    r"""Every replica gets the mean of the gradients of all replicas.

    .. displayed:: eq-parallel-mean

    It is the gradient on all rows only if the shards are equally large.
    """
    dist.all_reduce(grad)  # adds up over the workers
    grad /= dist.get_world_size()


def weigh(grad: torch.Tensor, share: float) -> None:
    r"""Every replica gets the mean in which each shard counts by its rows.

    .. displayed:: eq-parallel-gradient
    """
    grad *= share
    dist.all_reduce(grad)


def average_by_ring(grad: torch.Tensor, share: float) -> None:
    """The mean, by our own all-reduce."""
    ring_all_reduce(grad)
    grad /= dist.get_world_size()


def add(grad: torch.Tensor, share: float) -> None:
    """A mistake: the sum where the mean belongs, P times too long."""
    dist.all_reduce(grad)


def keep(grad: torch.Tensor, share: float) -> None:
    """A mistake: no exchange at all, so that every replica trains on its own shard."""


WAYS = {"mean": average, "mean, our ring": average_by_ring, "sum": add, "no exchange": keep}
MEANS = {"mean, unequal shards": average, "weighted, unequal shards": weigh}


def descend(job: Job, grad_at: Callable, optimizer=None) -> Float[Array, "points N"]:
    """Parameters at the start and after each step along `grad_at(network)`, one row a point.

    The steps are those of the job's optimizer, or of the one given.
    """
    optimizer = optimizer or job.optimizer
    network = make_network(job.X.shape[1], job.seed)
    start = parameters_to_vector(network.parameters()).detach().numpy().copy()

    def gradient_at(k, x):
        vector_to_parameters(torch.from_numpy(x), network.parameters())
        return grad_at(network).numpy()

    return walk(optimizer, start, gradient_at, job.n_steps)


def train(job: Job, combine: Callable) -> Float[Array, "points N"]:
    """The run of this worker's replica: its own rows, the gradients of all."""
    X, y = job.own_shard()

    def combined(network):
        grad = gradient(network, X, y)
        combine(grad, len(y) / len(job.y))
        return grad

    return descend(job, combined)


def train_alone(job: Job) -> Float[Array, "points N"]:
    """The same run in one process that has all rows."""
    X, y = torch.from_numpy(job.X), torch.from_numpy(job.y)
    return descend(job, lambda network: gradient(network, X, y))


def train_in_turn(job: Job) -> Float[Array, "points N"]:
    """The same run in one process that takes one shard after the other: gradient accumulation."""
    shards = [job.shard(rank) for rank in range(len(job.sizes))]

    def mean(network):
        total = gradient(network, *shards[0])
        for X, y in shards[1:]:
            total += gradient(network, X, y)
        return total / len(shards)

    return descend(job, mean)


@dataclass(frozen=True, repr=False)
class Comparison(PrintsTable):
    """Replicas of several data-parallel runs, and how far they are from one process."""

    replicas: dict[str, Float[Array, "workers points N"]]
    alone: Float[Array, "points N"]
    in_turn: Float[Array, "points N"]

    def distances(self, name: str) -> Float[Array, " points"]:
        """Largest difference of any parameter of any replica from one process, by step."""
        return np.abs(self.replicas[name] - self.alone).max(axis=(0, 2))

    def replicas_agree(self, name: str) -> bool:
        """Whether all replicas hold the same bits after every step."""
        return bool((self.replicas[name] == self.replicas[name][0]).all())

    def agrees(self, name: str) -> bool:
        """Whether every parameter is that of one process to 1e-12, after every step."""
        return bool(self.distances(name).max() < 1e-12)

    @property
    def as_in_turn(self) -> bool:
        """Whether one process that takes the shards in turn finds the same bits as the mean."""
        return bool((self.replicas["mean"][0] == self.in_turn).all())

    def prose(self) -> dict[str, str]:
        """What the chapter's text says of the runs, rounded as it is read."""
        return {
            "parallel_workers": f"{len(self.replicas['mean'])}",
            "parallel_bits": "to the last bit" if self.as_in_turn else "to 1e-12",
            "parallel_sum": f"{self.distances('sum')[-1]:.2f}",
        }

    def table(self):
        ends = {name: self.distances(name)[-1] for name in self.replicas}
        return Table(
            {
                "gradients combined": list(self.replicas),
                "replicas equal bit for bit": [self.replicas_agree(name) for name in self.replicas],
                "as one process": [self.agrees(name) for name in self.replicas],
                "largest difference": [
                    "below 1e-12" if self.agrees(name) else f"{end:.4f}"
                    for name, end in ends.items()
                ],
            }
        )


def alone_and_divided(group: Group, job: Job) -> Comparison:
    """Train in each way with the shards of the job, by both means with unequal ones, and alone."""
    job.check_workers(group.n_workers)
    uneven = replace(job, sizes=unequal_sizes(len(job.y), group.n_workers))
    replicas = {way: np.stack(group.run(train, job, WAYS[way])) for way in WAYS}
    replicas |= {way: np.stack(group.run(train, uneven, MEANS[way])) for way in MEANS}
    with one_thread():
        return Comparison(replicas, train_alone(job), train_in_turn(job))


@contextmanager
def one_thread():
    """Torch computes with one thread, as the workers do, so that sums are added in one order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
