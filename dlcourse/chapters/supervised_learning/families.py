r"""One loss, one data set, several families of models.

x  feature on [-1, 1] (n,)      y  outcome (n,)      curve  predictions at the nodes (nodes,)

Only the family changes from fit to fit. The data are `datasets.sales_response`, so the risk of a
fit is known: the variance of the noise plus the squared distance from the truth.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dlcourse import autograd, nn, optim
from dlcourse.datasets import CurveData
from dlcourse.linear.least_squares import minimum_norm
from dlcourse.linear.three_errors import distance, legendre, nodes
from dlcourse.tables import PrintsTable, Table

Array = np.ndarray
NETWORK = "network, 32 + 32 units"


def polynomial(degree: int) -> Callable:
    """The family of polynomials up to `degree`: `fit(x, y, rng)` gives the fitted curve."""

    def fit(x, y, rng):
        beta = minimum_norm(legendre(x, degree), y).beta
        return lambda new: legendre(new, degree) @ beta

    return fit


def network(n_units: int, n_steps: int) -> Callable:
    """The family of networks with two hidden layers of `n_units` tanh units, trained by Adam."""

    def fit(x, y, rng):
        layers = nn.MLP((1, n_units, n_units, 1), rng, autograd.tanh, nn.xavier)
        batch = min(50, len(x))
        recipe = nn.Recipe(
            autograd.mean_squared_error,
            optim.Adam(optim.Cosine(0.01, n_steps=n_steps)),
            n_epochs=max(1, n_steps * batch // len(x)),
            batch_size=batch,
        )
        nn.fit(layers, x[:, None], y[:, None], recipe, rng)
        return lambda new: layers(new[:, None]).data[:, 0]

    return fit


def families(n_steps: int) -> dict[str, Callable]:
    """From rigid to flexible."""
    return {
        "constant": polynomial(0),
        "line": polynomial(1),
        "polynomial, degree 9": polynomial(9),
        NETWORK: network(32, n_steps),
    }


@dataclass(frozen=True, repr=False)
class Fits(PrintsTable):
    """Training error and risk of each family at each sample size."""

    noise_sd: float
    sizes: list[int]
    training: dict[str, Float[Array, " sizes"]]
    risk: dict[str, Float[Array, " sizes"]]
    curves: dict[str, Float[Array, "sizes nodes"]]
    truth: Float[Array, " nodes"]
    data: CurveData

    @property
    def x(self) -> Float[Array, " nodes"]:
        return nodes()[0]

    def best(self, size: int) -> str:
        """The family with the smallest risk at that sample size."""
        return min(self.risk, key=lambda name: self.risk[name][self.sizes.index(size)])

    def prose(self) -> dict[str, str]:
        """What the chapter's text says of line and network, at the first size and the last."""
        line, net = self.risk["line"], self.risk[NETWORK]
        return {
            "sl_n_small": f"{self.sizes[0]}",
            "sl_n_large": f"{self.sizes[-1]:,}",
            "sl_noise": f"{self.noise_sd**2:.2f}",
            "sl_net_training": f"{self.training[NETWORK][0]:.3f}",
            "sl_net_risk": f"{net[0]:.2f}",
            "sl_line_risk": f"{line[0]:.2f}",
            "sl_net_many": f"{net[-1]:.3f}",
            "sl_line_many": f"{line[-1]:.3f}",
        }

    def table(self):
        columns = {"family": list(self.risk)}
        for at, n in enumerate(self.sizes):
            columns[f"training, n = {n:,}"] = [f"{e[at]:.4f}" for e in self.training.values()]
            columns[f"risk, n = {n:,}"] = [f"{e[at]:.4f}" for e in self.risk.values()]
        return Table(columns)


def fits_by_size(data: CurveData, sizes: Sequence[int], n_steps: int, rng) -> Fits:
    """Fit each family to the first n observations, for every n in `sizes`.

    Raises `ValueError` where `sizes` exceed the observations.
    """
    if max(sizes) > len(data.x):
        raise ValueError(
            f"`sizes` go up to {max(sizes)}, but there are {len(data.x)} observations. Draw more."
        )
    at, truth = nodes()[0], data.truth(nodes()[0])
    training, risk, curves = {}, {}, {}
    for name, fit in families(n_steps).items():
        models = [fit(data.x[:n], data.y[:n], rng) for n in sizes]
        residuals = [model(data.x[:n]) - data.y[:n] for model, n in zip(models, sizes, strict=True)]
        training[name] = np.array([(residual**2).mean() for residual in residuals])
        curves[name] = np.array([model(at) for model in models])
        risk[name] = data.noise_sd**2 + distance(curves[name], truth) ** 2
    return Fits(data.noise_sd, list(map(int, sizes)), training, risk, curves, truth, data)
