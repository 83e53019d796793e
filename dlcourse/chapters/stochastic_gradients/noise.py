r"""Which rows make a mini-batch, and how far its gradient is off.

n     number of observations           rows      numbers of the rows of one batch (*runs, B)
B     batch size                       per_row   gradient of each row's loss at one point (n, p)
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from dlcourse.batches import replaced, shuffled
from dlcourse.tables import PrintsTable, Table

Array = np.ndarray


def row_gradients(X: Float[Array, "n p"], y: Float[Array, " n"], beta) -> Float[Array, "n p"]:
    """Gradient of half the squared residual of each row; their mean is that of `SquaredError`."""
    return (X @ beta - y)[:, None] * X


def gradient_noise(per_row: Float[Array, "n p"], batch_size, with_replacement: bool):
    r"""Mean squared distance of a mini-batch gradient from the full gradient, exactly.

    .. displayed:: eq-sgd-variance, eq-sgd-variance-without

    The first with replacement, the second without; :math:`s^2` is the mean squared distance of the
    gradients of single rows from their mean.

    >>> gradient_noise(np.array([[0.0], [2.0]]), np.array([1, 2]), with_replacement=False)
    array([1., 0.])
    """
    n = len(per_row)
    spread = ((per_row - per_row.mean(0)) ** 2).sum(1).mean()
    noise = spread / np.asarray(batch_size)
    return noise if with_replacement else noise * (n - batch_size) / (n - 1)


@dataclass(frozen=True, repr=False)
class BatchNoise(PrintsTable):
    """Measured noise of mini-batch gradients beside what the formulas say, by batch size."""

    n: int
    batch_sizes: Int[Array, " sizes"]
    measured: dict[str, Float[Array, " sizes"]]  # how drawn -> mean squared distance
    expected: dict[str, Float[Array, " sizes"]]
    bias: float  # largest |mean gradient - full gradient|, in standard errors

    @property
    def slope(self) -> float:
        """Of the line through the measured points with replacement, both axes logarithmic."""
        points = np.log(self.batch_sizes), np.log(self.measured["with replacement"])
        return float(np.polyfit(*points, 1)[0])

    def table(self):
        columns = {"batch size": list(self.batch_sizes[::2])}
        for how, noise in self.measured.items():
            columns[how] = [f"{value:.3f}" for value in noise[::2]]
            columns[f"expected {how}"] = [f"{value:.3f}" for value in self.expected[how][::2]]
        return Table(columns)


def measure_noise(X, y, beta, batch_sizes, rng) -> BatchNoise:
    """Gradients of 2,000 mini-batches of each size, drawn in both ways, against the full one."""
    per_row, n, n_draws = row_gradients(X, y, beta), len(y), 2_000
    full, batch_sizes = per_row.mean(0), np.asarray(batch_sizes)
    measured = {"with replacement": [], "without": []}
    z_scores = []
    for size in batch_sizes:
        for how, order in zip(measured, (replaced, shuffled), strict=True):
            deviation = per_row[order(rng, (n_draws, n))[:, :size]].mean(1) - full  # (n_draws, p)
            measured[how].append((deviation**2).sum(1).mean())
            if size < n:
                error = deviation.std(0) / np.sqrt(n_draws)
                z_scores.append(np.abs(deviation.mean(0) / error).max())
    expected = {how: gradient_noise(per_row, batch_sizes, how != "without") for how in measured}
    measured = {how: np.array(noise) for how, noise in measured.items()}
    return BatchNoise(n, batch_sizes, measured, expected, bias=float(max(z_scores)))
