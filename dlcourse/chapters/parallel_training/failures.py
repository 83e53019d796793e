"""Jobs in which one worker fails, to see what becomes of the others."""

import os
import time

import torch.distributed as dist

from dlcourse.parallel.workers import sum_of_ranks


def vanish(rank: int, exit_code: int) -> int:
    """Worker `rank` ends at once, as when its machine is lost; the others wait for its number."""
    if dist.get_rank() == rank:
        os._exit(exit_code)
    return sum_of_ranks()


def stumble(rank: int) -> int:
    """Worker `rank` raises `ValueError`; the others wait for its number."""
    if dist.get_rank() == rank:
        raise ValueError("the rows of this shard are missing")
    return sum_of_ranks()


def oversleep(rank: int, seconds: float) -> int:
    """Worker `rank` comes `seconds` late; the others wait for its number."""
    if dist.get_rank() == rank:
        time.sleep(seconds)
    return sum_of_ranks()
