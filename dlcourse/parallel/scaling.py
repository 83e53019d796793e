"""What is left of P-fold hardware once the workers must talk.

c  seconds that one example takes a worker     P  number of workers
b  examples of a worker in a step              V  bytes of gradient that each of them exchanges
B  examples of all workers in a step           t  seconds of the exchange
m  batches computed for each exchange
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from dlcourse import _checks
from dlcourse.parallel.costs import Link, ring_seconds
from dlcourse.tables import PrintsTable, Table

Array = np.ndarray


@dataclass(frozen=True)
class Cluster:
    """Equal workers in a ring that train one model.

    `example_seconds` is what one worker takes for one example (or token), forward and backward;
    `gradient_bytes` what it sends of its gradient. With `overlaps` the exchange goes on behind the
    computation, as far as there is computation to hide it; `n_accumulated` batches are computed for
    each exchange. Raises `ValueError` unless the seconds, bytes and batches are positive.
    """

    example_seconds: float
    gradient_bytes: float
    link: Link
    overlaps: bool = False
    n_accumulated: int = 1

    def __post_init__(self):
        _checks.positive(self.example_seconds, "example_seconds")
        _checks.positive(self.gradient_bytes, "gradient_bytes")
        _checks.positive(self.n_accumulated, "n_accumulated")

    def exchange_seconds(self, n_workers):
        return ring_seconds(self.gradient_bytes, n_workers, self.link)

    def step_seconds(self, n_workers, batch):
        """Time of one step in which each worker has `batch` examples at a time.

        .. displayed:: eq-parallel-step-seconds
        """
        compute = self.n_accumulated * np.asarray(batch) * self.example_seconds
        exchange = self.exchange_seconds(np.asarray(n_workers))
        return np.maximum(compute, exchange) if self.overlaps else compute + exchange

    def weak_speed_up(self, n_workers, batch):
        """Examples per second relative to one worker, when each worker has `batch` of them."""
        n_workers, alone = np.asarray(n_workers), self.n_accumulated * batch * self.example_seconds
        return n_workers * alone / self.step_seconds(n_workers, batch)

    def strong_speed_up(self, n_workers, batch):
        """How much sooner a step of `batch` examples in all is done than by one worker."""
        n_workers = np.asarray(n_workers)
        alone = self.n_accumulated * batch * self.example_seconds
        return alone / self.step_seconds(n_workers, batch / n_workers)

    def best_n_workers(self, batch) -> float:
        """With how many workers a step of `batch` examples in all is shortest; not rounded.

        .. displayed:: eq-parallel-best-workers

        alpha and beta are the link's latency and its seconds per byte. 1 where sending costs more
        than it saves. It holds without overlap and accumulation.
        """
        gain = batch * self.example_seconds - 2 * self.link.seconds_per_byte * self.gradient_bytes
        return float(np.sqrt(max(1.0, gain / (2 * self.link.latency_seconds))))

    def hiding_batch(self, n_workers):
        """Examples per worker from which on the exchange takes no longer than the computation.

        .. displayed:: eq-parallel-hiding
        """
        return self.exchange_seconds(np.asarray(n_workers)) / self.example_seconds


def hiding_tokens(flops_per_second: float, bytes_per_second: float, bytes_per_gradient: float):
    """Tokens per worker that hide the exchange of a language model of any size, large P.

    .. displayed:: eq-parallel-hiding-tokens

    F are the FLOPs and W the bytes a second, k the bytes of a gradient. A token costs 6 FLOPs a
    parameter and the gradient has k bytes a parameter, so the number of parameters cancels.

    >>> hiding_tokens(3e14, 1e11, bytes_per_gradient=2)
    2000.0
    """
    return bytes_per_gradient / 3 * flops_per_second / bytes_per_second


@dataclass(frozen=True, repr=False)
class Scaling(PrintsTable):
    """Speed-up over one worker, by number of workers."""

    n_workers: Int[Array, " counts"]
    speed_ups: dict[str, Float[Array, " counts"]]

    def table(self):
        columns = {"workers": list(self.n_workers)}
        for name, values in self.speed_ups.items():
            columns[name] = [f"{value:,.1f}" for value in values]
        return Table(columns)


def compare_scaling(cluster: Cluster, batch: int) -> Scaling:
    """Speed-ups of 1, 2, 4, ..., 1024 workers in four settings.

    Strong: a step of 16 times `batch` examples, divided among all workers. Weak: `batch` examples
    for each worker, as they are, overlapped, and with four batches accumulated for each exchange.
    """
    n_workers = 2 ** np.arange(11)
    return Scaling(
        n_workers,
        {
            "strong": cluster.strong_speed_up(n_workers, 16 * batch),
            "weak": cluster.weak_speed_up(n_workers, batch),
            "weak, 4 accumulated": replace(cluster, n_accumulated=4).weak_speed_up(
                n_workers, batch
            ),
            "weak, overlapped": replace(cluster, overlaps=True).weak_speed_up(n_workers, batch),
        },
    )
