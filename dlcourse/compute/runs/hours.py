"""Hours of a training run, with intervals.

hours = FLOPs / (utilization x peak), of all chips together
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

from dlcourse.compute.runs import utilization
from dlcourse.compute.runs.records import Run
from dlcourse.compute.runs.run_flops import Work, work
from dlcourse.tables import PrintsTable, Table

QUANTILES = {"p05": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95}


@dataclass(frozen=True, repr=False)
class Hours(PrintsTable):
    """Predicted chip-hours of one run: its FLOPs over the share of peak that runs like it reach."""

    run: Run
    work: Work
    utilization: utilization.Utilization

    def chip_hours(self, q: float = 0.5) -> float:
        """Chip-hours that are not exceeded with probability q.

        The peak limits them where the FLOPs are known; guessed FLOPs may be fewer.
        """
        if self.work.guesses:
            sd = math.hypot(self.utilization.log_sd, self.work.log_sd)
            share = math.exp(self.utilization.log_median - sd * NormalDist().inv_cdf(q))
            return chip_hours(self.work.flops, share, self.run.peak_flops)
        return chip_hours(self.work.flops, self.utilization.quantile(1 - q), self.run.peak_flops)

    def wall_hours(self, q: float = 0.5) -> float:
        """The same in hours on the clock; the record must say how many chips there are.

        Raises `ValueError` where it does not.
        """
        if self.run.n_chips is None:
            raise ValueError("Hours on the clock need `n_accel`. Give the number of accelerators.")
        return self.chip_hours(q) / self.run.n_chips

    def table(self):
        rows = {"chip-hours": [self.chip_hours(q) for q in QUANTILES.values()]}
        if self.run.n_chips:
            rows["hours on the clock"] = [self.wall_hours(q) for q in QUANTILES.values()]
        shares = [self.utilization.quantile(1 - q) for q in QUANTILES.values()]
        rows["utilization, %"] = [100 * share for share in shares]
        columns = {name: [row[i] for row in rows.values()] for i, name in enumerate(QUANTILES)}
        return Table({"of the run": list(rows), **columns})


def chip_hours(flops: float, share_of_peak: float, peak_flops: float) -> float:
    """Hours of one chip. Book: eq. `eq-cost-hours`.

    >>> round(chip_hours(3.15e23, 80 / 156, 156e12) / 1024 / 24, 2)  # GPT-3 on the slide, days
    44.5
    """
    return flops / (share_of_peak * peak_flops) / 3600


def implied_utilization(flops: float, hours: float, peak_flops: float) -> float:
    """The share of peak that `flops` in `hours` of chips with that peak amount to."""
    return flops / (3600 * hours * peak_flops)


def predict(run: Run, measured: tuple[Run, ...] = ()) -> Hours:
    """The hours of a run; closer where one `measured` run, best of the same family, is given."""
    fit = utilization.stored()
    if measured:
        fit = fit.given(measured)
    return Hours(run, work(run), fit.predict(run))


def factor(predicted: float, actual: float) -> float:
    """By what factor a prediction is off, to either side: 1 is exact."""
    return math.exp(abs(math.log(predicted / actual)))
