r"""Optimizers on a logistic regression whose features come in their own units.

X  features (n, p)              held out  what neither an optimizer nor a mean of features has seen
y  classes 0 and 1 (n,)         good      a step size that leaves at most twice the smallest loss
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float

from dlcourse.batches import Budget
from dlcourse.chapters.adam.tuning import Sweep, spread, sweep
from dlcourse.losses import LogisticLoss
from dlcourse.optim import SGD, Adam, Cosine, HeavyBall
from dlcourse.tables import PrintsTable, Table, rounded

Array = np.ndarray
RATES = 10.0 ** np.arange(-8, 2.1, 0.5)
BUDGET = Budget(n_epochs=30, batch_size=32)
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


@dataclass(frozen=True, repr=False)
class Comparison(PrintsTable):
    """Optimizers by units of the features, tuned on some seeds and shown on others."""

    sweeps: Mapping[tuple[str, str], Sweep]
    held_out: Mapping[tuple[str, str], Float[Array, "seeds rates"]]

    def n_good(self, key) -> int:
        """How many step sizes leave at most twice the loss that the best one leaves."""
        last = np.median(self.sweeps[key].values[:, -1], axis=0)
        return int((last <= GOOD * last.min()).sum())

    def growth(self, name) -> float:
        """The best step size with standardized features over the best one as recorded."""
        before, after = (self.sweeps[units, name].rate for units in UNITS)
        return after / before

    def test_losses(self, key) -> Float[Array, " seeds"]:
        """Held-out losses of the chosen step size on the seeds that did not choose it."""
        sweep = self.sweeps[key]
        return self.held_out[key][sweep.n_choosing :, sweep.chosen]

    def prose(self) -> dict[str, str]:
        """What the chapter's text says of the comparison, rounded as it is read."""
        sweeps = list(self.sweeps.values())
        rates, good = sweeps[0].rates, [self.n_good(key) for key in self.sweeps]
        return {f"adam_data_{i}": spread(sweep.ends) for i, sweep in enumerate(sweeps)} | {
            "adam_n_seeds": f"{len(sweeps[0].values)}",
            "adam_n_rates": f"{len(rates)}",
            "adam_rate_low": f"{rates[0]:.0e}",
            "adam_rate_high": f"{rates[-1]:.0f}",
            "adam_good": f"{min(good)} to {max(good)}",
            "adam_grow_sgd": rounded(self.growth("SGD")),
            "adam_grow_adam": rounded(self.growth("Adam")),
        }

    def table(self):
        return Table(
            {
                "features": [units for units, _ in self.sweeps],
                "optimizer": [name for _, name in self.sweeps],
                "best α": [f"{sweep.rate:.2g}" for sweep in self.sweeps.values()],
                "good α": [str(self.n_good(key)) for key in self.sweeps],
                "training loss": [spread(sweep.ends) for sweep in self.sweeps.values()],
                "held-out loss": [spread(self.test_losses(key)) for key in self.sweeps],
            }
        )


def losses_by_optimizer(
    X: Float[Array, "n p"], y: Float[Array, " n"], seed: int, n_seeds: int = 10
) -> Comparison:
    """Each optimizer, in each of the units, on `n_seeds` random splits 70 to 30.

    All step sizes fall along half a cosine: the last point is the end of a run, not a place that
    the noise of the last mini-batches has chosen.
    """
    n_train, sweeps, held_out = int(0.7 * len(y)), {}, {}
    n_steps = BUDGET.n_steps(n_train)
    orders = [np.random.default_rng([seed, i]).permutation(len(y)) for i in range(n_seeds)]
    for units, prepare in UNITS.items():
        losses = []
        for order in orders:
            train, test = order[:n_train], order[n_train:]
            designs = zip(prepare(X[train], X[test]), (train, test), strict=True)
            losses.append([LogisticLoss(design, y[rows]) for design, rows in designs])
        for name, optimizer in OPTIMIZERS.items():
            make = partial(_with_falling_steps, optimizer, n_steps)
            result = sweep([train for train, _ in losses], make, RATES, BUDGET, seed)
            sweeps[units, name] = result
            held_out[units, name] = np.array(
                [test(x)[0] for (_, test), x in zip(losses, result.x, strict=True)]
            )
    return Comparison(sweeps, held_out)
