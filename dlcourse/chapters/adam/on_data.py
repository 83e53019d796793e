r"""Optimizers on a logistic regression whose features come in their own units.

X  features (n, p)              held out  what neither an optimizer nor a mean of features has seen
y  classes 0 and 1 (n,)         good      a step size that leaves at most twice the smallest loss
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float

from dlcourse import contest
from dlcourse.batches import Budget
from dlcourse.chapters.adam.descent import spread, train
from dlcourse.contest import Contest, Entrant
from dlcourse.losses import LogisticLoss
from dlcourse.optim import SGD, Adam, Cosine, HeavyBall
from dlcourse.tables import PrintsTable, Table, rounded

Array = np.ndarray
RATES = 10.0 ** np.arange(-8, 2.1, 0.5)
BUDGET = Budget(n_epochs=30, batch_size=32)
LOSSES = ("training loss", "held-out loss")
OPTIMIZERS = {"SGD": SGD, "momentum": HeavyBall, "Adam": Adam}
GOOD = 2.0  # a step size is good if it leaves at most so many times the loss of the best


def recorded(train: Float[Array, "n p"], other: Float[Array, "n2 p"]):
    """The features as they are, beside a column of ones."""
    return _with_ones(train), _with_ones(other)


def standardized(train: Float[Array, "n p"], other: Float[Array, "n2 p"]):
    """Features with mean 0 and standard deviation 1 in the training data, beside the ones."""
    mean, sd = train.mean(axis=0), train.std(axis=0)
    return _with_ones((train - mean) / sd), _with_ones((other - mean) / sd)


UNITS = {"as recorded": recorded, "standardized": standardized}


def _with_ones(X):
    return np.column_stack([np.ones(len(X)), X])


@dataclass(frozen=True)
class Falling:
    """Step sizes that fall to zero along half a cosine, from one first size a run."""

    rates: Float[Array, " rates"]
    n_steps: int

    def __call__(self, k, x=None, grad=None):
        return self.rates * Cosine(1.0, self.n_steps)(k)


def _with_falling_steps(optimizer, n_steps, rates):
    return optimizer(Falling(rates, n_steps))


@dataclass(frozen=True)
class Splits:
    """What all optimizers share. Called as `trial(make, rates, seeds)`.

    Each seed draws a split 70 to 30 and the mini-batches.
    """

    X: Float[Array, "n p"]
    y: Float[Array, " n"]
    prepare: Callable  # the features of both parts, one of `UNITS`

    @property
    def n_train(self) -> int:
        return int(0.7 * len(self.y))

    def losses(self, seed):
        """The losses on the two parts of the split, and the generator of the mini-batches."""
        rng = np.random.default_rng(seed)
        parts = np.split(rng.permutation(len(self.y)), [self.n_train])
        designs = self.prepare(*(self.X[rows] for rows in parts))
        return *(LogisticLoss(Z, self.y[rows]) for Z, rows in zip(designs, parts, strict=True)), rng

    def __call__(self, make, rates, seeds) -> dict[str, Float[Array, "rates seeds"]]:
        """Losses on both parts after the last epoch."""
        scores = []
        for seed in seeds:
            loss, held_out, rng = self.losses(seed)
            start = np.zeros((len(rates), loss.X.shape[1]))
            values, x = train(loss, start, make(np.array(rates)), BUDGET, rng)
            scores.append([values[:, -1], held_out(x)[0]])
        return dict(zip(LOSSES, np.moveaxis(scores, 0, -1), strict=True))


@dataclass(frozen=True, repr=False)
class Comparison(PrintsTable):
    """One contest of the optimizers for each of the units of the features."""

    contests: Mapping[str, Contest]

    def n_good(self, units, name) -> int:
        """How many step sizes leave at most twice the loss that the best one leaves."""
        means = self.contests[units].tuning[name].scores.mean(axis=1)
        return int((means <= GOOD * means.min()).sum())

    def growth(self, name) -> float:
        """The best step size with standardized features over the best one as recorded."""
        before, after = (self.contests[units].tuning[name].rate for units in UNITS)
        return after / before

    def prose(self) -> dict[str, str]:
        """What the chapter's text says of the comparison, rounded as it is read."""
        good = [self.n_good(units, name) for units in UNITS for name in OPTIMIZERS]
        return {f"adam_data_{i}": text for i, text in enumerate(self._told(LOSSES[0]))} | {
            "adam_n_rates": f"{len(RATES)}",
            "adam_rate_low": f"{RATES[0]:.0e}",
            "adam_rate_high": f"{RATES[-1]:.0f}",
            "adam_good": f"{min(good)} to {max(good)}",
            "adam_grow_sgd": rounded(self.growth("SGD")),
            "adam_grow_adam": rounded(self.growth("Adam")),
        }

    def table(self):
        rows = [(units, name) for units in UNITS for name in OPTIMIZERS]
        rates = [self.contests[units].tuning[name].rate for units, name in rows]
        return Table(
            {
                "features": [units for units, _ in rows],
                "optimizer": [name for _, name in rows],
                "best α": [f"{rate:.2g}" for rate in rates],
                "good α": [str(self.n_good(*row)) for row in rows],
            }
            | {measure: self._told(measure) for measure in LOSSES}
        )

    def _told(self, measure):
        """Median and range of every optimizer in each of the units, on the splits that report."""
        scores = [held.scores[measure] for held in self.contests.values()]
        return [spread(losses) for by_name in scores for losses in by_name.values()]


def losses_by_optimizer(
    X: Float[Array, "n p"],
    y: Float[Array, " n"],
    tuning_seeds: Sequence[int],
    reporting_seeds: Sequence[int],
) -> Comparison:
    """Each optimizer in each of the units, tuned by the training loss.

    All step sizes fall along half a cosine: the last point is the end of a run, not a place that
    the noise of the last mini-batches has chosen.
    """
    contests = {}
    for units, prepare in UNITS.items():
        splits = Splits(X, y, prepare)
        n_steps = BUDGET.n_steps(splits.n_train)
        entrants = {
            name: Entrant(partial(_with_falling_steps, optimizer, n_steps), RATES)
            for name, optimizer in OPTIMIZERS.items()
        }
        contests[units] = contest.hold(
            splits, entrants, tuning_seeds, reporting_seeds, by="training loss"
        )
    return Comparison(contests)
