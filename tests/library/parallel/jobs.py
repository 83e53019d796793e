"""What the tests ask workers to do: functions that a fresh process can import."""

import numpy as np
import torch
import torch.distributed as dist

from dlcourse.chapters.parallel_training import data_parallel
from dlcourse.parallel.rings import ring_all_reduce


def both_sums(seed, length):
    """The sum of one random vector a worker by our ring and by torch, and the bytes of the ring."""
    rng = np.random.default_rng([seed, dist.get_rank()])
    ours = torch.from_numpy(rng.normal(size=length))
    theirs = ours.clone()
    n_bytes = ring_all_reduce(ours)
    dist.all_reduce(theirs)
    return ours.numpy(), theirs.numpy(), n_bytes


def combined_gradient(job, combine):
    """The gradient at the start after it has been combined, and the shard's own."""
    X, y = job.shard(dist.get_rank())
    own = data_parallel.gradient(data_parallel.make_network(X.shape[1], job.seed), X, y)
    grad = own.clone()
    combine(grad, len(y) / len(job.y))
    return grad.numpy(), own.numpy()


def append(numbers):
    numbers.append(dist.get_rank())
    return numbers


def close_over():
    return lambda: 0
