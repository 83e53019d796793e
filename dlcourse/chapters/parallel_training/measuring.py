"""All-reduce with a stopwatch, on the machine of the reader.

The seconds differ from machine to machine and from run to run, so the record prints what should
hold on all of them; the seconds are in `timing.seconds`, and `timing.details()` shows them.
"""

import time
from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist
from jaxtyping import Float

from dlcourse.parallel.costs import Link, fit_link, ring_bytes, ring_seconds
from dlcourse.parallel.rings import ring_all_reduce
from dlcourse.parallel.workers import Group
from dlcourse.tables import Table

Array = np.ndarray
SIZES = tuple(1 << k for k in range(10, 25, 2))  # bytes: 1 KiB to 16 MiB


@dataclass(frozen=True)
class Timing:
    """Shortest time of an all-reduce by size, ours and torch's, and the link fitted to torch's."""

    n_workers: int
    n_bytes: tuple[int, ...]
    seconds: dict[str, Float[Array, " sizes"]]  # "torch" or "our ring" -> by size
    bytes_sent: tuple[int, ...]  # by each worker of our ring, by size
    link: Link

    def grows(self, name: str) -> bool:
        """Whether the largest vector took longer than the smallest, by a factor of 2 at least."""
        return bool(self.seconds[name][-1] > 2 * self.seconds[name][0])

    def sends_as_predicted(self) -> bool:
        """Whether our ring sent the bytes of the formula, to the byte."""
        return [*self.bytes_sent] == [ring_bytes(v, self.n_workers) for v in self.n_bytes]

    def __repr__(self):
        n = len(self.n_bytes)
        lines = [f"{n} sizes from {self.n_bytes[0]:,} to {self.n_bytes[-1]:,} bytes"]
        lines.append(f"bytes sent are those of the formula: {self.sends_as_predicted()}")
        lines += [f"time grows with size, {name}: {self.grows(name)}" for name in self.seconds]
        lines.append(f"seconds per byte above zero: {self.link.seconds_per_byte > 0}")
        return "\n".join(lines)

    def details(self) -> Table:
        """What was measured on this machine, and what the fitted link says, in microseconds."""
        fitted = [ring_seconds(v, self.n_workers, self.link) for v in self.n_bytes]
        columns = {"bytes": list(self.n_bytes)}
        for name, seconds in [*self.seconds.items(), ("fitted", fitted)]:
            columns[name] = [f"{1e6 * value:.0f}" for value in seconds]
        return Table(columns)


def time_all_reduce(group: Group, sizes=SIZES, n_repeats: int = 15) -> Timing:
    """Time torch's all-reduce and our ring on float64 vectors of about `sizes` bytes.

    Sizes are rounded up so that every chunk of the ring is equally large. Times are the shortest
    of `n_repeats`, by the slowest worker: other programs can only make them longer.
    """
    sizes = tuple(v + -v % (8 * group.n_workers) for v in sizes)
    answers = group.run(_time_here, sizes, n_repeats)
    slowest = np.max([seconds for seconds, _ in answers], axis=0)  # (2, sizes, repeats)
    seconds = dict(zip(("torch", "our ring"), slowest.min(axis=-1), strict=True))
    link = fit_link(sizes, seconds["torch"], group.n_workers)
    return Timing(group.n_workers, sizes, seconds, tuple(answers[0][1]), link)


def _time_here(sizes, n_repeats):
    """Seconds (2, sizes, repeats) of both algorithms on this worker, and the bytes of the ring."""
    seconds, bytes_sent = np.empty((2, len(sizes), n_repeats)), []
    for i, n_bytes in enumerate(sizes):
        vector = torch.zeros(n_bytes // 8, dtype=torch.float64)
        bytes_sent.append(ring_all_reduce(vector))
        for repeat in range(n_repeats):
            for which, reduce in enumerate((dist.all_reduce, ring_all_reduce)):
                dist.barrier()
                start = time.perf_counter()
                reduce(vector)
                seconds[which, i, repeat] = time.perf_counter() - start
    return seconds, bytes_sent
