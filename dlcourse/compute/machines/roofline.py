"""The roof over every operation: peak rate or bandwidth, whichever is lower.

flops   operations of a computation, a multiply-add counts two
n_bytes that it must move between memory and the processor, at least once each
intensity = flops / n_bytes: how much is computed with what is fetched
"""

import time
from dataclasses import dataclass

import numpy as np

from dlcourse._checks import positive
from dlcourse.compute.machines.hardware import Device

ARRAY_BYTES = 2**26  # three such arrays fit into no cache of the day


@dataclass(frozen=True)
class Operation:
    """A computation by what it costs: operations, and bytes moved if each array moves once."""

    name: str
    flops: float
    n_bytes: float

    @property
    def intensity(self) -> float:
        """Operations a byte."""
        return self.flops / self.n_bytes


def attainable(intensity, peak_flops: float, bandwidth: float):
    """Operations a second that a machine can reach at an intensity: the roof.

    .. displayed:: eq-roofline

    `intensity` in operations a byte, number or array; `peak_flops` and `bandwidth` a second.
    Reference: Williams, Waterman and Patterson (2009).

    >>> attainable(np.array([1.0, 1000.0]), peak_flops=312e12, bandwidth=2039e9)
    array([2.039e+12, 3.120e+14])
    """
    positive(peak_flops, "peak_flops")
    positive(bandwidth, "bandwidth")
    return np.minimum(peak_flops, bandwidth * np.asarray(intensity, dtype=float))


def least_seconds(operation: Operation, device: Device, dtype: str) -> float:
    """The time that no program can beat: the longer of computing and moving."""
    rate = attainable(operation.intensity, device.peak(dtype), device.bandwidth_bytes_per_second)
    return float(operation.flops / rate)


def product(m: int, n: int, k: int, bytes_per_number: int = 2) -> Operation:
    """(m, k) times (k, n): 2 m n k operations on m k + k n + m n numbers of w bytes.

    .. displayed:: eq-roofline-product

    That is its `intensity`.
    """
    numbers = m * k + k * n + m * n
    return Operation(f"({m}, {k}) by ({k}, {n})", 2 * m * n * k, bytes_per_number * numbers)


def matrix_vector(m: int, n: int, bytes_per_number: int = 2) -> Operation:
    """A matrix (m, n) times one vector: 2 operations an entry, which is read for it alone."""
    numbers = m * n + m + n
    return Operation(f"({m}, {n}) by a vector", 2 * m * n, bytes_per_number * numbers)


def addition(n: int, bytes_per_number: int = 2) -> Operation:
    """The sum of two vectors: one operation an entry, two numbers read and one written."""
    return Operation("sum of two vectors", n, 3 * n * bytes_per_number)


@dataclass(frozen=True)
class Machine:
    """Rates measured on a machine, in double precision.

    `peak_flops` is the rate of a matrix product, `bandwidth` the bytes a second while two long
    vectors are added (the simplest of the STREAM kernels with an operation; McCalpin, 1995).
    """

    peak_flops: float
    bandwidth: float
    name: str = "this machine"

    def __repr__(self):
        return f"the roof of {self.name}; `report()` tells the numbers"

    @property
    def ridge(self) -> float:
        """Operations a byte from which on the peak, and no more the bandwidth, is the limit."""
        return self.peak_flops / self.bandwidth

    def roof(self, operation: Operation) -> float:
        """Operations a second that the machine can reach for an operation."""
        return float(attainable(operation.intensity, self.peak_flops, self.bandwidth))

    def report(self) -> str:
        """The numbers in words. They differ between machines and between minutes."""
        return (
            f"{self.name}: matrix product {self.peak_flops / 1e9:.3g} GFLOP/s, memory "
            f"{self.bandwidth / 1e9:.3g} GB/s, ridge at {self.ridge:.2g} operations a byte"
        )


# Measured by `measure` in November 2026 on one core of a cloud server, NumPy with OpenBLAS.
RECORDED = Machine(peak_flops=51e9, bandwidth=28e9, name="one core of a server")


def measure(rng: np.random.Generator, n: int = 768, n_repeats: int = 5) -> Machine:
    """Run a matrix product of side `n` and an addition too long for any cache, on this machine.

    The fastest of `n_repeats` runs counts, as other work on the machine only ever slows one down.
    Takes about half a second. Set OMP_NUM_THREADS=1 before Python starts to measure one core.
    """
    A, B, C = rng.normal(size=(n, n)), rng.normal(size=(n, n)), np.empty((n, n))
    peak = product(n, n, n, 8).flops / _fastest(lambda: np.matmul(A, B, out=C), n_repeats)
    a, b, c = (np.ones(ARRAY_BYTES // 8) for _ in range(3))
    moved = addition(len(a), 8).n_bytes
    return Machine(peak, moved / _fastest(lambda: np.add(a, b, out=c), n_repeats))


def _fastest(run, n_repeats: int) -> float:
    seconds = []
    for _ in range(n_repeats):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)
