"""What an all-reduce costs, in bytes and in seconds.

alpha  latency of a message, in seconds      P  number of workers
beta   seconds per byte                      V  bytes of the vector that is reduced
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

from dlcourse import _checks


class Link(NamedTuple):
    """What a message of v bytes costs: a latency, and a time for each byte.

    .. displayed:: eq-parallel-link

    >>> Link(latency_seconds=2e-6, seconds_per_byte=1e-9).seconds(1_000)
    3e-06
    """

    latency_seconds: float
    seconds_per_byte: float

    def seconds(self, n_bytes):
        return self.latency_seconds + self.seconds_per_byte * n_bytes


FREE = Link(0.0, 0.0)


def ring_bytes(n_bytes, n_workers):
    """Bytes that each worker sends in a ring all-reduce; less than twice the vector.

    .. displayed:: eq-parallel-ring-bytes

    >>> ring_bytes(1_000, n_workers=4)
    1500.0
    """
    return 2 * (n_workers - 1) / n_workers * n_bytes


def ring_seconds(n_bytes, n_workers, link: Link):
    """Time of a ring all-reduce: 2 (P - 1) messages of a chunk each.

    .. displayed:: eq-parallel-ring-seconds
    """
    return 2 * (n_workers - 1) * link.seconds(n_bytes / n_workers)


def star_seconds(n_bytes, n_workers, link: Link):
    """Time of collecting all vectors at one worker and sending the sum back.

    .. displayed:: eq-parallel-star-seconds
    """
    return 2 * (n_workers - 1) * link.seconds(n_bytes)


def doubling_seconds(n_bytes, n_workers, link: Link):
    """Time of recursive doubling: few messages, each of the whole vector.

    .. displayed:: eq-parallel-doubling-seconds
    """
    return np.log2(n_workers) * link.seconds(n_bytes)


def crossing_bytes(n_workers, link: Link):
    """Size from which on the ring is faster than recursive doubling; from 4 workers on.

    .. displayed:: eq-parallel-crossing
    """
    messages, doublings = 2 * (n_workers - 1), np.log2(n_workers)
    bytes_in_a_latency = link.latency_seconds / link.seconds_per_byte
    return bytes_in_a_latency * (messages - doublings) / (doublings - messages / n_workers)


def fit_link(n_bytes, seconds, n_workers: int) -> Link:
    """The link that explains measured times of all-reduces best, as if they went by ring.

    Least squares on relative errors, so that small vectors count as much as large ones, with both
    constants at least zero. `n_bytes` and `seconds` are sequences of one length, positive;
    `n_workers` is at least 2. Raises `ValueError` unless there are as many times as sizes, and two
    workers or more.
    """
    n_bytes, seconds = np.asarray(n_bytes, dtype=float), np.asarray(seconds, dtype=float)
    _checks.same_shape(n_bytes, seconds, ("n_bytes", "seconds"))
    if _checks.count(n_workers, "n_workers") < 2:
        raise ValueError(f"`n_workers` must be at least 2, got {n_workers!r}: one sends nothing.")
    messages = 2.0 * (n_workers - 1)
    design = np.column_stack([np.full(len(n_bytes), messages), messages * n_bytes / n_workers])
    scale = design.max(axis=0)
    constants, _ = nnls(design / seconds[:, None] / scale, np.ones(len(seconds)))
    return Link(*(float(value) for value in constants / scale))
