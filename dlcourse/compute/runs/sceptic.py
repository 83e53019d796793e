"""Doubt a claim about a training run: does it break a bound, or is it merely unusual?

A bound cannot be broken by software, however good:

peak       the FLOPs of the run over chips x hours may not exceed the dense peak
memory     weights and gradients in 16 bits must fit in all chips together, unless the host helps
bandwidth  each step reads the weights forward and backward and writes the gradient

Unusual is what the fit of `utilization` gives less than one in a hundred.
"""

import math
from dataclasses import dataclass

from dlcourse.compute.runs import utilization
from dlcourse.compute.runs.hours import implied_utilization
from dlcourse.compute.runs.records import Run
from dlcourse.compute.runs.run_flops import work
from dlcourse.tables import PrintsTable, Table

BYTES_HELD = 4  # a parameter: 2 of the weight and 2 of its gradient; optimizers hold more
BYTES_MOVED = 6  # a parameter and step: the weight read twice, the gradient written
Z99 = 2.5758293035489004


@dataclass(frozen=True)
class Bound:
    """What a claim needs of something, against what the hardware has; in `unit`."""

    name: str
    needed: float
    available: float
    unit: str

    @property
    def is_broken(self) -> bool:
        return self.needed > self.available

    def __str__(self):
        return (
            f"{self.name}: needs {self.needed:,.4g} {self.unit}, "
            f"and the hardware has {self.available:,.4g}"
        )


@dataclass(frozen=True, repr=False)
class Finding(PrintsTable):
    """The bounds that a claim could be held against, and how usual its utilization is."""

    bounds: tuple[Bound, ...]
    share_of_peak: float | None
    z: float | None  # of the log utilization under the prediction, above zero is fast
    lacking: tuple[str, ...] = ()  # fields that were assumed and without which it is not judged

    @property
    def broken(self) -> tuple[Bound, ...]:
        return tuple(bound for bound in self.bounds if bound.is_broken)

    @property
    def verdict(self) -> str | None:
        """The bound that the claim breaks by most, in words, or None."""
        worst = max(self.broken, key=lambda bound: bound.needed / bound.available, default=None)
        return None if worst is None else str(worst)

    @property
    def remark(self) -> str:
        """One sentence on the claim."""
        if self.broken:
            return "impossible: " + "; ".join(str(bound) for bound in self.broken)
        if self.lacking:
            return self.doubt
        if self.z is None:
            return "no hours to judge"
        if abs(self.z) > Z99:
            side = "fast" if self.z > 0 else "slow"
            return f"possible, but unusually {side}: {100 * self.share_of_peak:.1f}% of peak"
        return f"plausible: {100 * self.share_of_peak:.1f}% of peak"

    @property
    def doubt(self) -> str | None:
        """What must be given before the claim can be judged in full, or None."""
        fields = " and ".join(f"`{name}`" for name in self.lacking)
        return (
            f"not judged in full, as assumptions prove nothing: give {fields}" if fields else None
        )

    def table(self):
        return Table(
            {
                "bound": [bound.name for bound in self.bounds],
                "needs": [bound.needed for bound in self.bounds],
                "has": [bound.available for bound in self.bounds],
                "unit": [bound.unit for bound in self.bounds],
                "broken": [bound.is_broken for bound in self.bounds],
            }
        )


def examine(run: Run) -> Finding:
    """Hold a claim against each bound that its record has the numbers for.

    >>> from dlcourse.compute.runs import records
    >>> claim = {"params_total": 110e6, "kind": "encoder", "data_count": 4.26e10, "n_accel": 8}
    >>> claim |= {"accelerator": "A100", "precision": "tf32", "wall_clock_h": 5}
    >>> examine(records.read(claim)).verdict
    'peak: needs 195.2 TFLOP/s a chip, and the hardware has 156'
    """
    done = work(run)
    lacking = _lacking(run, done)
    is_chip_known = "accelerator" not in run.guesses
    bounds = list(_memory(run)) if is_chip_known else []
    if run.chip_hours is None or lacking:
        return Finding(tuple(bounds), None, None, lacking)
    if is_chip_known:
        bounds += _bandwidth(run, done)
    share = implied_utilization(done.flops, run.chip_hours, run.peak_flops)
    rate, peak = share * run.peak_flops / 1e12, run.peak_flops / 1e12
    predicted = utilization.stored().predict(run)
    z = (math.log(share) - predicted.log_median) / predicted.log_sd
    bounds.insert(0, Bound("peak", rate, peak, "TFLOP/s a chip"))
    return Finding(tuple(bounds), share, z)


def _lacking(run, done):
    """Assumed fields that a bound rests on: on hours that are claimed, or on a chip too small."""
    if run.chip_hours is None:
        is_large = any(bound.is_broken for bound in _memory(run))
        return ("accelerator",) if is_large and "accelerator" in run.guesses else ()
    is_peak_guessed = "peak_dense_tflops" in run.guesses
    return (*done.guesses, "accelerator") if is_peak_guessed else done.guesses


def _memory(run):
    if run.params_total and run.n_chips:
        held = run.n_chips * run.device.memory_bytes
        yield Bound("memory", BYTES_HELD * run.params_total / 1e9, held / 1e9, "GB")


def _bandwidth(run, done):
    """Bytes of all steps, were each parameter moved by one chip only, against chips x hours."""
    if run.batch_tokens and run.chip_hours and run.params:
        tokens = done.flops / (6 * run.params)
        moved = tokens / run.batch_tokens * BYTES_MOVED * run.params
        seconds = 3600 * run.chip_hours
        rate = run.device.bandwidth_bytes_per_second
        yield Bound("bandwidth", moved / seconds / 1e9, rate / 1e9, "GB/s a chip")
