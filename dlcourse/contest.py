r"""A fair contest of optimizers: the seeds that choose a step size never report on it.

trial     function (make, rates, seeds) -> {measure: numbers (rates, seeds, ...)}; smaller is better
entrants  {name: Entrant}: how to make the optimizer from a step size, and the step sizes to try
seeds     what each draws is drawn alike for all entrants, so differences are taken seed by seed
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from dlcourse.tables import PrintsTable, Table

Array = np.ndarray
Name = str | int  # of an entrant: an optimizer, a batch size


class Entrant(NamedTuple):
    """An optimizer up to its step size, and the step sizes that it may choose from."""

    make: Callable  # make(rate) -> optimizer, or make(rates) -> one for many runs at once
    rates: Sequence[float]  # in rising order


class Pairs(PrintsTable):
    """Differences between all pairs of entrants in one measure, seed by seed.

    The intervals hold jointly: with probability `level` all of them cover, if differences are
    normal. A pair is told apart if its interval leaves out zero.
    """

    def __init__(self, scores: Mapping[Name, Float[Array, " seeds"]], level=0.95):
        self.names = list(combinations(scores, 2))
        first, second = (np.array([scores[pair[i]] for pair in self.names]) for i in (0, 1))
        with warnings.catch_warnings():  # differences without any spread are an answer too
            warnings.filterwarnings("ignore", "Precision loss", RuntimeWarning)
            test = stats.ttest_rel(first, second, axis=1)
        # Bonferroni: each interval may miss with a share of the probability only.
        interval = test.confidence_interval(1 - (1 - level) / len(self.names))
        self.mean = (interval.high + interval.low) / 2
        self.half_width = (interval.high - interval.low) / 2
        self.told_apart = (interval.low > 0) | (interval.high < 0)

    def is_lower(self, a: Name, b: Name) -> bool:
        """Whether `a` is told apart from `b` and lower. Raises `KeyError` for a pair not compared.

        >>> Pairs({"A": np.ones(3), "B": np.array([5.1, 4.9, 5.2])}).is_lower("A", "B")
        True
        """
        for (first, second), mean, told_apart in zip(
            self.names, self.mean, self.told_apart, strict=True
        ):
            if {first, second} == {a, b}:
                return bool(told_apart and (mean < 0) == (first == a))
        raise KeyError((a, b))

    def table(self):
        return Table(
            {
                "pair": [f"{a} − {b}" for a, b in self.names],
                "mean difference": self.mean,
                "±": self.half_width,
                "told apart": ["yes" if apart else "no" for apart in self.told_apart],
            }
        )


@dataclass(frozen=True)
class Tuning:
    """Every step size of one entrant, by the measure that chooses, on the seeds that choose."""

    rates: Float[Array, " rates"]
    scores: Float[Array, "rates seeds"]

    @property
    def chosen(self) -> int:
        """Place of the step size with the smallest mean: one that diverges is not chosen."""
        means = self.scores.mean(axis=1)
        return int(np.where(np.isnan(means), np.inf, means).argmin())

    @property
    def rate(self) -> float:
        return float(self.rates[self.chosen])

    @property
    def is_interior(self) -> bool:
        """Whether the chosen step size is no end of the grid, beyond which a better may lie."""
        return 0 < self.chosen < len(self.rates) - 1


@dataclass(frozen=True, repr=False)
class Contest(PrintsTable):
    """What every entrant chose on the tuning seeds, and how it did with that on the others.

    `scores[measure][name]` has a row for each seed that reports; a measure may be one number or,
    as the losses of all epochs, several. The table shows means and standard deviations.
    """

    tuning: Mapping[Name, Tuning]
    scores: Mapping[str, Mapping[Name, Float[Array, "seeds ..."]]]
    by: str  # the measure that chose

    @property
    def is_interior(self) -> bool:
        """Whether no entrant chose an end of its grid."""
        return all(tuning.is_interior for tuning in self.tuning.values())

    def pairs(self, measure, level=0.95) -> Pairs:
        return Pairs(self.scores[measure], level)

    def winners(self, measure) -> list[Name]:
        """Who is best in each seed: whom a study with that seed alone would have declared best."""
        scores = self.scores[measure]
        return [list(scores)[i] for i in np.stack(list(scores.values())).argmin(0)]

    def table(self):
        columns = {
            "optimizer": list(self.tuning),
            "step size": [tuning.rate for tuning in self.tuning.values()],
        }
        for measure, scores in self.scores.items():
            if all(numbers.ndim == 1 for numbers in scores.values()):
                columns[measure] = [mean_and_sd(numbers) for numbers in scores.values()]
        return Table(columns)


def hold(
    trial: Callable,
    entrants: Mapping[Name, Entrant],
    tuning_seeds: Sequence[int],
    reporting_seeds: Sequence[int],
    by: str,
) -> Contest:
    """Each entrant chooses its step size on the one kind of seeds, and is judged on the other.

    The choice has the smallest mean of the measure `by` over the tuning seeds. Nothing else that
    happened on them is kept, so a step size that was only lucky gains nothing by it. Raises
    `ValueError` where a seed would do both, or fewer than two report.

    >>> def trial(make, rates, seeds):  # the rate itself is the optimizer here: 0.2 is best
    ...     return {"loss": (make(rates)[:, None] - 0.2) ** 2 + 0.01 * np.array(seeds)}
    >>> entrants = {"A": Entrant(np.array, [0.1, 0.2, 0.4]), "B": Entrant(np.array, [0.3, 0.5])}
    >>> hold(trial, entrants, tuning_seeds=[2, 3], reporting_seeds=[0, 1], by="loss")
    optimizer  step size  loss
    A                0.2  0.005 ± 0.007
    B                0.3  0.015 ± 0.007
    """
    _check_seeds(tuning_seeds, reporting_seeds)
    tuning, scores = {}, {}
    for name, (make, rates) in entrants.items():
        tuning[name] = Tuning(np.array(rates), trial(make, rates, tuning_seeds)[by])
        reported = trial(make, [tuning[name].rate], reporting_seeds)
        for measure, (numbers,) in reported.items():
            scores.setdefault(measure, {})[name] = numbers
    return Contest(tuning, scores, by)


def _check_seeds(tuning_seeds, reporting_seeds):
    both = sorted(set(tuning_seeds) & set(reporting_seeds))
    if both:
        raise ValueError(
            f"A seed that chooses a step size must not report on it, got {both} in both. "
            "Luck that was chosen would look like merit: draw other seeds to report."
        )
    if len(tuning_seeds) < 1 or len(set(reporting_seeds)) < 2:
        raise ValueError(
            "A contest needs a tuning seed and two reporting seeds or more, got "
            f"{list(tuning_seeds)} and {list(reporting_seeds)}. One seed shows no spread."
        )


def mean_and_sd(scores: Float[Array, " seeds"]) -> str:
    """Mean and standard deviation over the seeds, as a table shows them.

    >>> mean_and_sd(np.array([0.9, 1.1]))
    '1 ± 0.1'
    """
    return f"{scores.mean():.3g} ± {scores.std(ddof=1):.1g}"
