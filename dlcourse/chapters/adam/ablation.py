r"""What each part of Adam buys, on regressions whose truth is known.

X  features (n, p), uncorrelated, one in small units and one in large      y  outcome (n,)

The gap is the excess of the loss over its minimum, the optimization error; the excess risk of the
least squares fit over the truth, the estimation error, is what the data leave open.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dlcourse.batches import Budget
from dlcourse.chapters.adam.parts import variants
from dlcourse.chapters.adam.tuning import Sweep, descend, spread, sweep
from dlcourse.datasets import LinearData
from dlcourse.losses import SquaredError
from dlcourse.tables import PrintsTable, Table

Array = np.ndarray
RATES = 10.0 ** np.arange(-3, 0.6, 0.25)
BUDGET = Budget(n_epochs=20, batch_size=20)
WARM_RATE, WARM_STEPS = 0.01, 100
CONSTANT_AND_SCALED = ("scaled", "scaled, uncorrected", "Adam, uncorrected", "Adam")


def mixed_units(n: int, units: Float[Array, " p"], rng) -> LinearData:
    """A linear model with features of standard deviations `units`, each worth the same to y.

    >>> mixed_units(100, np.array([0.1, 10.0]), np.random.default_rng(0))
    100 observations of a linear model with 2 coefficients
    true beta = [10.  -0.1], noise sd = 1
    """
    X = rng.normal(size=(n, len(units))) * units
    beta = (-1.0) ** np.arange(len(units)) / units
    return LinearData(X, X @ beta + rng.normal(size=n), beta, noise_sd=1.0)


@dataclass(frozen=True)
class Sample:
    """One data set, its loss, and the two errors that no optimizer changes."""

    data: LinearData
    units: Float[Array, " p"]

    @property
    def loss(self) -> SquaredError:
        return SquaredError(self.data.X, self.data.y)

    @property
    def minimizer(self) -> Float[Array, " p"]:
        return np.linalg.lstsq(self.data.X, self.data.y, rcond=None)[0]

    @property
    def estimation(self) -> float:
        r"""Excess risk of the least squares fit, half the mean of the squared error at a new x."""
        return float((((self.minimizer - self.data.beta) * self.units) ** 2).sum() / 2)


@dataclass(frozen=True, repr=False)
class Ablation(PrintsTable):
    """Every variant from a cold start with its own step size, and from a warm one with one size."""

    sweeps: Mapping[str, Sweep]
    minima: Float[Array, " seeds"]
    estimation: Float[Array, " seeds"]
    warm: Mapping[str, Float[Array, "seeds steps"]]  # gaps after a start at the minimizer

    def gaps(self, name) -> Float[Array, "seeds epochs"]:
        """Gaps of the chosen step size on the seeds that did not choose it."""
        sweep = self.sweeps[name]
        return sweep.paths - self.minima[sweep.n_choosing :, None]

    @property
    def longer_rate(self) -> float:
        """A step size three places up the grid from the one that suits Adam best."""
        adam = self.sweeps["Adam"]
        return float(adam.rates[adam.chosen + 3])

    @property
    def longer_gaps(self) -> Float[Array, " epochs"]:
        """Median gaps of Adam with `longer_rate`, over all seeds."""
        adam = self.sweeps["Adam"]
        return np.median(adam.values[..., adam.chosen + 3] - self.minima[:, None], axis=0)

    def prose(self) -> dict[str, str]:
        """What the chapter's text says of the parts, rounded as it is read."""
        first = {name: np.median(gaps[:, 1]) for name, gaps in self.warm.items()}
        longer = self.longer_gaps
        ends = [spread(self.gaps(name)[:, -1]) for name in self.sweeps]
        return {f"adam_end_{i}": end for i, end in enumerate(ends)} | {
            "adam_estimation": f"{np.median(self.estimation):.2g}",
            "adam_warm_raw": f"{first['scaled, uncorrected']:.2g}",
            "adam_warm": f"{first['scaled']:.1g}",
            "adam_longer": f"{self.longer_rate / self.sweeps['Adam'].rate:.2g}",
            "adam_early": f"{longer[len(longer) // 4]:.2g}",
            "adam_late": f"{longer[-1]:.2g}",
        }

    def table(self):
        warm = {name: spread(gaps.max(axis=1)) for name, gaps in self.warm.items()}
        return Table(
            {
                "variant": list(self.sweeps),
                "best α": [f"{sweep.rate:.2g}" for sweep in self.sweeps.values()],
                "gap at the end": [spread(self.gaps(name)[:, -1]) for name in self.sweeps],
                "largest gap, warm start": [warm.get(name, "-") for name in self.sweeps],
            }
        )


def ablate(seed: int, n_seeds: int = 10, beta1: float = 0.9, beta2: float = 0.999) -> Ablation:
    """All variants on `n_seeds` samples of 1,000 observations, the largest unit 100 times the
    smallest. A warm start is one at the minimizer, with the step size `WARM_RATE`.
    """
    units = 10.0 ** np.linspace(-1, 1, 8)
    rngs = [np.random.default_rng([seed, i]) for i in range(n_seeds)]
    samples = [Sample(mixed_units(1_000, units, rng), units) for rng in rngs]
    losses = [sample.loss for sample in samples]
    makers = variants(BUDGET.n_steps(1_000), beta1, beta2)
    return Ablation(
        {name: sweep(losses, make, RATES, BUDGET, seed) for name, make in makers.items()},
        np.array([loss(s.minimizer)[0] for loss, s in zip(losses, samples, strict=True)]),
        np.array([sample.estimation for sample in samples]),
        {
            name: np.stack([_warm_gaps(s, makers[name](WARM_RATE), seed) for s in samples])
            for name in CONSTANT_AND_SCALED
        },
    )


def _warm_gaps(sample, optimizer, seed):
    loss, batches = sample.loss, BUDGET.batches(len(sample.data.y), np.random.default_rng(seed))
    points = descend(loss, sample.minimizer, optimizer, batches, WARM_STEPS)
    values = np.array([loss(x)[0] for x in points])
    return values - values[0]
