r"""A fair contest of optimizers: one grid of step sizes each, several seeds, and no false winners.

trial     function (optimizer, seeds) -> {measure: one number a seed}; smaller is better
entrants  {name: Entrant}: how to make the optimizer from a step size, and the step sizes to try
seeds     what each draws is drawn alike for all entrants, so differences are taken seed by seed
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from dlcourse.tables import PrintsTable, Table

Array = np.ndarray


class Entrant(NamedTuple):
    """An optimizer up to its step size, and the step sizes that it may choose from."""

    make: Callable  # make(rate) -> optimizer
    rates: Sequence[float]  # in rising order


class Pairs(PrintsTable):
    """Differences between all pairs of entrants in one measure, seed by seed.

    The intervals hold jointly: with probability `level` all of them cover, if differences are
    normal. A pair is told apart if its interval leaves out zero.
    """

    def __init__(self, scores: Mapping[str, Float[Array, " seeds"]], level=0.95):
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

    def table(self):
        return Table(
            {
                "pair": [f"{a} − {b}" for a, b in self.names],
                "mean difference": self.mean,
                "±": self.half_width,
                "told apart": ["yes" if apart else "no" for apart in self.told_apart],
            }
        )


class Contest(PrintsTable):
    """What every entrant scored: `scores[measure][name]`, shape (rates, seeds), and what it chose.

    Each entrant plays with the step size whose mean of the measure `by` over the seeds is smallest.
    The table shows means and standard deviations over the seeds.
    """

    def __init__(self, entrants: Mapping[str, Entrant], scores: dict, by: str):
        self.rates = {name: np.array(entrant.rates) for name, entrant in entrants.items()}
        self.scores, self.by = scores, by
        self.chosen = {name: int(s.mean(1).argmin()) for name, s in scores[by].items()}

    @property
    def is_interior(self) -> bool:
        """Whether no entrant chose an end of its grid, beyond which it might have done better."""
        return all(0 < i < len(self.rates[name]) - 1 for name, i in self.chosen.items())

    def rate(self, name) -> float:
        """The step size that the entrant chose."""
        return float(self.rates[name][self.chosen[name]])

    def best(self, measure) -> dict[str, Float[Array, " seeds"]]:
        """The scores of every entrant at the step size that it chose."""
        return {name: s[self.chosen[name]] for name, s in self.scores[measure].items()}

    def pairs(self, measure, level=0.95) -> Pairs:
        return Pairs(self.best(measure), level)

    def winners(self, measure) -> list[str]:
        """Who is best in each seed: whom a study with that seed alone would have declared best."""
        best = self.best(measure)
        return [list(best)[i] for i in np.stack(list(best.values())).argmin(0)]

    def table(self):
        columns = {"optimizer": list(self.rates), "step size": [self.rate(n) for n in self.rates]}
        for measure in self.scores:
            columns[measure] = [mean_and_sd(scores) for scores in self.best(measure).values()]
        return Table(columns)


def hold(
    trial: Callable, entrants: Mapping[str, Entrant], seeds: Sequence[int], by: str
) -> Contest:
    """Try every step size of every entrant on every seed, and choose by the measure `by`.

    >>> def trial(optimizer, seeds):  # the rate itself is the optimizer here: 0.2 is best
    ...     return {"loss": (optimizer - 0.2) ** 2 + 0.01 * np.array(seeds)}
    >>> entrants = {"A": Entrant(float, [0.1, 0.2, 0.4]), "B": Entrant(float, [0.3, 0.5, 0.7])}
    >>> hold(trial, entrants, seeds=[0, 1], by="loss")
    optimizer  step size  loss
    A                0.2  0.005 ± 0.007
    B                0.3  0.015 ± 0.007
    """
    if len(seeds) < 2:
        raise ValueError(
            f"A contest needs two seeds or more, got {seeds!r}. One seed shows no spread."
        )
    results = {
        name: [trial(entrant.make(rate), seeds) for rate in entrant.rates]
        for name, entrant in entrants.items()
    }
    measures = next(iter(results.values()))[0]
    scores = {
        measure: {
            name: np.array([one[measure] for one in result]) for name, result in results.items()
        }
        for measure in measures
    }
    return Contest(entrants, scores, by)


def mean_and_sd(scores: Float[Array, " seeds"]) -> str:
    """Mean and standard deviation over the seeds, as a table shows them.

    >>> mean_and_sd(np.array([0.9, 1.1]))
    '1 ± 0.1'
    """
    return f"{scores.mean():.3g} ± {scores.std(ddof=1):.1g}"
