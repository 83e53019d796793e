r"""What each part of Adam buys, on regressions whose truth is known.

X  features (n, p), uncorrelated, one in small units and one in large      y  outcome (n,)

The gap is the excess of the loss over its minimum, the optimization error; the excess risk of the
least squares fit over the truth, the estimation error, is what the data leave open.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dlcourse import contest
from dlcourse.batches import Budget, batches
from dlcourse.chapters.adam.descent import descend, spread, train
from dlcourse.chapters.adam.parts import variants
from dlcourse.contest import Contest, Entrant, Pairs
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
    """Every variant from a cold start with its own step size, and from a warm one with one size.

    All on the samples that chose no step size.
    """

    contest: Contest
    estimation: Float[Array, " seeds"]
    warm: Mapping[str, Float[Array, "seeds steps"]]  # gaps after a start at the minimizer
    longer_rate: float  # a step size three places up the grid from the one that suits Adam best
    longer_gaps: Float[Array, "seeds epochs"]  # of Adam with it

    @property
    def gaps(self) -> Mapping[str, Float[Array, "seeds epochs"]]:
        """Gaps of every variant with the step size that it chose."""
        return self.contest.scores["gaps"]

    @property
    def ratios(self) -> Pairs:
        """Ratios of the gaps at the end, sample by sample, as logarithms."""
        return Pairs({name: np.log(gaps[:, -1]) for name, gaps in self.gaps.items()})

    @property
    def warm_ratios(self) -> Pairs:
        """Ratios of the largest gaps after a start at the minimizer, as logarithms."""
        return Pairs({name: np.log(gaps.max(axis=1)) for name, gaps in self.warm.items()})

    def prose(self) -> dict[str, str]:
        """What the chapter's text says of the parts, rounded as it is read."""
        first = {name: np.median(gaps[:, 1]) for name, gaps in self.warm.items()}
        longer = np.median(self.longer_gaps, axis=0)
        ends = [spread(gaps[:, -1]) for gaps in self.gaps.values()]
        return {f"adam_end_{i}": end for i, end in enumerate(ends)} | {
            "adam_estimation": f"{np.median(self.estimation):.2g}",
            "adam_warm_raw": f"{first['scaled, uncorrected']:.2g}",
            "adam_warm": f"{first['scaled']:.1g}",
            "adam_longer": f"{self.longer_rate / self.contest.tuning['Adam'].rate:.2g}",
            "adam_early": f"{longer[len(longer) // 4]:.2g}",
            "adam_late": f"{longer[-1]:.2g}",
        }

    def table(self):
        warm = {name: spread(gaps.max(axis=1)) for name, gaps in self.warm.items()}
        return Table(
            {
                "variant": list(self.gaps),
                "best α": [f"{tuning.rate:.2g}" for tuning in self.contest.tuning.values()],
                "gap at the end": [spread(gaps[:, -1]) for gaps in self.gaps.values()],
                "largest gap, warm start": [warm.get(name, "-") for name in self.gaps],
            }
        )


def draw(seed: int) -> tuple[Sample, np.random.Generator]:
    """The sample of a seed, and the generator that goes on to draw its mini-batches.

    It has 1,000 observations; the largest unit is 100 times the smallest.
    """
    rng, units = np.random.default_rng(seed), 10.0 ** np.linspace(-1, 1, 8)
    return Sample(mixed_units(1_000, units, rng), units), rng


def trial(make, rates, seeds) -> dict[str, Float[Array, "rates seeds *epochs"]]:
    """Gaps after each epoch from zero, on the sample of each seed; and the last of them."""
    gaps = []
    for seed in seeds:
        sample, rng = draw(seed)
        start = np.zeros((len(rates), len(sample.units)))
        values, _ = train(sample.loss, start, make(np.array(rates)), BUDGET, rng)
        gaps.append(values - sample.loss(sample.minimizer)[0])
    gaps = np.stack(gaps, axis=1)
    return {"gap": gaps[..., -1], "gaps": gaps}


def warm_gaps(optimizer, seed: int) -> Float[Array, " steps"]:
    """Gaps after 0, 1, ... steps from the minimizer of a seed's sample."""
    sample, rng = draw(seed)
    rows = batches(BUDGET, len(sample.data.y), rng)
    points = descend(sample.loss, sample.minimizer, optimizer, rows, WARM_STEPS)
    values = sample.loss(points)[0]
    return values - values[0]


def ablate(
    tuning_seeds: Sequence[int],
    reporting_seeds: Sequence[int],
    beta1: float = 0.9,
    beta2: float = 0.999,
) -> Ablation:
    """All variants, tuned on some samples and shown on others.

    A warm start is one at the minimizer, with the step size `WARM_RATE`.
    """
    makers = variants(BUDGET.n_steps(1_000), beta1, beta2)
    entrants = {name: Entrant(make, RATES) for name, make in makers.items()}
    held = contest.hold(trial, entrants, tuning_seeds, reporting_seeds, by="gap")
    longer_rate = float(RATES[held.tuning["Adam"].chosen + 3])
    (longer_gaps,) = trial(makers["Adam"], [longer_rate], reporting_seeds)["gaps"]
    warm = {
        name: np.stack([warm_gaps(makers[name](WARM_RATE), seed) for seed in reporting_seeds])
        for name in CONSTANT_AND_SCALED
    }
    estimation = np.array([draw(seed)[0].estimation for seed in reporting_seeds])
    return Ablation(held, estimation, warm, longer_rate, longer_gaps)
