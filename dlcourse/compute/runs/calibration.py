"""How far off predicted hours are, family by family left out.

Each family of runs is predicted from all others: its rows are out of the fit, of its spreads and
of the baselines. Errors are in the logarithm of the hours, predicted minus actual.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import ndtri

from dlcourse.compute.runs import records, utilization
from dlcourse.compute.runs.records import Run
from dlcourse.tables import PrintsTable, Table

Z90 = 1.6448536269514722  # of a normal distribution, 90 % within


@dataclass(frozen=True, repr=False)
class Errors(PrintsTable):
    """Log errors of predicted hours, predicted minus actual, and their stated deviations, (n,)."""

    label: str
    kinds: np.ndarray
    names: tuple[str, ...]
    log_errors: np.ndarray
    log_sds: np.ndarray

    def where(self, mask, label) -> "Errors":
        """The rows of a mask."""
        names = tuple(name for name, keep in zip(self.names, mask, strict=True) if keep)
        return Errors(label, self.kinds[mask], names, self.log_errors[mask], self.log_sds[mask])

    def factor(self, q: float = 0.5) -> float:
        """The factor by which a share q of the runs is off at most."""
        return math.exp(np.quantile(np.abs(self.log_errors), q))

    def coverage(self, z: float = Z90) -> float:
        """Share of the runs inside their interval of z standard deviations."""
        return float(np.mean(np.abs(self.log_errors) <= z * self.log_sds))

    def width(self) -> float:
        """Mean ratio of the 95 % quantile of hours to the 5 % quantile."""
        return float(np.mean(np.exp(2 * Z90 * self.log_sds)))

    def row(self):
        return [
            self.label,
            len(self.names),
            f"{self.factor():.2f}",
            f"{self.factor(0.9):.2f}",
            f"{100 * self.coverage():.0f}",
            f"{self.width():.2f}",
        ]

    def by_kind(self) -> list["Errors"]:
        """One part a kind of model, the most frequent first."""
        kinds, counts = np.unique(self.kinds, return_counts=True)
        order = kinds[np.argsort(-counts, kind="stable")]
        return [self.where(self.kinds == kind, str(kind)) for kind in order]

    def worst(self, n: int) -> Table:
        """The n runs that are furthest off, worst first."""
        order = np.argsort(-np.abs(self.log_errors), kind="stable")[:n]
        ratios, half = np.exp(-self.log_errors), np.exp(Z90 * self.log_sds)
        return Table(
            {
                "run": [self.names[i] for i in order],
                "kind": [str(self.kinds[i]) for i in order],
                "actual / predicted": [f"{ratios[i]:.2f}" for i in order],
                "90% interval": [f"{1 / half[i]:.2f} to {half[i]:.2f}" for i in order],
            }
        )

    def table(self):
        return report([*self.by_kind(), self.where(self.log_sds > 0, "all")])


def report(errors: Sequence[Errors]) -> Table:
    """One row for each set of errors."""
    heads = ["predicted", "runs", "median factor", "90% factor", "90% interval holds, %", "width"]
    columns = zip(*(part.row() for part in errors), strict=True)
    return Table({head: list(column) for head, column in zip(heads, columns, strict=True)})


def leave_families_out(runs: Sequence[Run] | None = None) -> Errors:
    """Errors of the fit, each family predicted from the others."""
    runs = records.independent() if runs is None else tuple(runs)
    return _held_out("partial pooling", runs, lambda others: _normal(utilization.fit(others)))


def one_share() -> Errors:
    """Errors of one share of peak for all, 30 %; the spread is that of the other families."""

    share = 0.3

    def model(others):
        off = np.array([_log_utilization(other) for other in others]) - math.log(share)
        return lambda run: (math.log(share), math.sqrt(np.mean(off**2)))

    return _held_out(f"{100 * share:.0f}% of peak for all", records.independent(), model)


def class_means() -> Errors:
    """Errors of the mean of the kind in other families, or of all kinds if these have few runs."""

    def model(others):
        def predict(run):
            alike = [_log_utilization(other) for other in others if other.kind == run.kind]
            if len(alike) < 3:
                alike = [_log_utilization(other) for other in others]
            return float(np.mean(alike)), float(np.std(alike, ddof=1))

        return predict

    return _held_out("mean of the kind", records.independent(), model)


def after_one_run() -> Errors:
    """Errors on the further runs of a family once its first one, in the data's order, is known."""
    runs = records.independent()
    firsts = {run.family: run for run in reversed(runs)}

    def model(others):
        fit = utilization.fit(others)
        return lambda run: _normal(fit.given([firsts[run.family]]))(run)

    return _held_out("after one measured run", runs, model, without=tuple(firsts.values()))


def floor(spreads: dict[str, float], q: float = 0.5) -> float:
    """The factor within which a share q would fall if all but the family and the run were known.

    No predictor from the same fields can be expected to do better on a family that it has not seen.
    """
    sd = math.hypot(spreads["family"], spreads["run"])
    return float(np.exp(ndtri(0.5 + q / 2) * sd))


@cache
def summary() -> tuple[Errors, Errors, Errors]:
    """The fit and both baselines on the independent published runs."""
    return leave_families_out(), class_means(), one_share()


def _normal(fit):
    def predict(run):
        found = fit.predict(run)
        return found.log_median, found.log_sd

    return predict


def _held_out(label, runs, model, without=()):
    """Predict each family by the model of the others, but for the runs `without`."""
    rows = []
    for family in dict.fromkeys(run.family for run in runs):
        predict = model([run for run in runs if run.family != family])
        for run in runs:
            if run.family == family and not any(run is other for other in without):
                log_share, sd = predict(run)  # hours are inverse to the share of peak
                rows.append((run.kind, run.id, _log_utilization(run) - log_share, sd))
    kinds, names, errors, sds = zip(*rows, strict=True)
    return Errors(label, np.array(kinds), names, np.array(errors), np.array(sds))


def _log_utilization(run):
    return utilization.observe(run).log_utilization
