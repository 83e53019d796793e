"""The same training by `DistributedDataParallel`, and what it sends."""

import numpy as np
import torch
from jaxtyping import Float
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import parameters_to_vector

from dlcourse.chapters.parallel_training.data_parallel import Job, make_network, mean_loss

Array = np.ndarray


def train(job: Job) -> tuple[Float[Array, "points N"], list[int]]:
    """The run of this worker's replica by SGD, and the bytes of gradient reduced in each step."""
    X, y = job.own_shard()
    replica = DistributedDataParallel(make_network(job.X.shape[1], job.seed))
    n_bytes = [0]
    replica.register_comm_hook(n_bytes, _count_and_reduce)
    optimizer = torch.optim.SGD(replica.parameters(), lr=job.optimizer.learning_rate)
    points, reduced = [_flat(replica)], []
    for _ in range(job.n_steps):
        n_bytes[0] = 0
        optimizer.zero_grad()
        mean_loss(replica, X, y).backward()  # the gradients of all replicas, averaged
        optimizer.step()
        points.append(_flat(replica))
        reduced.append(n_bytes[0])
    return np.stack(points), reduced


def _count_and_reduce(n_bytes, bucket):
    n_bytes[0] += bucket.buffer().nbytes
    return allreduce_hook(None, bucket)


def _flat(network):
    return parameters_to_vector(network.parameters()).detach().numpy().copy()
