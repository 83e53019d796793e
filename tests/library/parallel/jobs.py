"""What the tests ask workers to do: functions that a fresh process can import."""

import contextlib
import os
import stat
import sys
import time

import numpy as np
import torch
import torch.distributed as dist

from dlcourse.chapters.parallel_training import data_parallel
from dlcourse.parallel.rings import ring_all_reduce
from dlcourse.parallel.workers import sum_of_ranks


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
    X, y = job.own_shard()
    own = data_parallel.gradient(data_parallel.make_network(X.shape[1], job.seed), X, y)
    grad = own.clone()
    combine(grad, len(y) / len(job.y))
    return grad.numpy(), own.numpy()


def append(numbers):
    numbers.append(dist.get_rank())
    return numbers


def stream_numbers():
    return (number for number in range(3))


def leave(rank, code):
    """Worker `rank` leaves by `sys.exit`; the others wait for its number."""
    if dist.get_rank() == rank:
        sys.exit(code)
    return sum_of_ranks()


def leave_slowly(rank, code, seconds):
    """Worker `rank` hangs up on everybody at once, but takes its time to end."""
    if dist.get_rank() == rank:
        for number in range(3, 1_000):
            with contextlib.suppress(OSError):
                if stat.S_ISSOCK(os.fstat(number).st_mode):
                    os.close(number)
        time.sleep(seconds)
        os._exit(code)
    return sum_of_ranks()
