"""What a budget can train: the estimate read backwards.

Given dollars, a date and a device, the price gives chip-hours, the utilization gives FLOPs, and the
rule of Hoffmann et al. (2022), twenty tokens a parameter, divides them between size and data:
C = 6 N D with D = 20 N, so that N = sqrt(C / 120).
"""

import math
from dataclasses import dataclass, replace

from scipy.optimize import brentq

from dlcourse._checks import positive
from dlcourse.compute.machines import hardware
from dlcourse.compute.memory import sharding
from dlcourse.compute.memory.states import States, gib, model_states
from dlcourse.compute.runs import cost, hours, records
from dlcourse.compute.runs.run_flops import TOKENS_PER_PARAMETER
from dlcourse.tables import PrintsTable, Table

DAYS = 30.0  # on the clock, unless the number of devices says otherwise
ROOM_FOR_STATES = 0.7  # of a device's memory; the rest is for activations
CONTEXT = 2_048  # tokens of a sequence
SIZES = (1e2, 1e16)  # parameters between which a plan is sought


@dataclass(frozen=True, repr=False)
class Plan(PrintsTable):
    """A compute-optimal dense decoder that the budget pays for, if its hours come out at q."""

    budget_usd: float
    basis: cost.Basis
    hours: hours.Hours
    q: float

    @property
    def params(self) -> float:
        return self.hours.run.params

    @property
    def tokens(self) -> float:
        return self.hours.run.data_count

    @property
    def n_devices(self) -> int:
        return int(self.hours.run.n_chips)

    @property
    def days(self) -> float:
        return self.hours.wall_hours(self.q) / 24

    @property
    def usd(self) -> float:
        """The cost of the plan by the forward estimate: the budget again."""
        return cost.usd(self.hours.chip_hours(self.q), self.basis.usd_per_chip_hour)

    @property
    def states(self) -> States:
        """Bytes of weights, gradients and AdamW's states in mixed precision, of all devices."""
        return model_states(round(self.params))

    @property
    def device_bytes(self) -> int:
        """Bytes of these on each device when all are divided (ZeRO, stage 3)."""
        return sharding.zero(self.states, 3, self.n_devices).total

    def table(self):
        run = self.hours.run
        share = 100 * self.hours.utilization.quantile(1 - self.q)
        rows = {
            "basis": str(self.basis),
            "parameters": f"{self.params:.3g}",
            "tokens": f"{self.tokens:.3g}",
            "FLOPs": f"{self.hours.work.flops:.3g}",
            "devices": f"{self.n_devices:,} {run.device.name}",
            "precision": run.precision,
            "utilization": f"{share:.0f}%",
            "days": f"{self.days:.3g}",
            "states on a device": f"{gib(self.device_bytes):.3g} GiB",
            "memory of a device": f"{gib(run.device.memory_bytes):.3g} GiB",
        }
        return Table({"plan": list(rows), f"${self.budget_usd:,.0f}": list(rows.values())})


def plan(
    budget_usd: float,
    device: str,
    on: str | None = None,
    *,
    precision: str | None = None,
    n_devices: int | None = None,
    q: float = 0.5,
) -> Plan:
    """The compute-optimal decoder whose predicted cost at quantile `q` is the budget.

    `on` is the month of the price, "2025-06". Without `n_devices` there are as many as finish in
    a month and hold the model. Raises ValueError if the device was not sold by then, or if
    `n_devices` cannot hold the model. Book: eq. `eq-cost-optimal`.

    >>> found = plan(1e6, "H100", on="2025-01")
    >>> round(found.usd, 3)
    1000000.0
    """
    positive(budget_usd, "budget_usd")
    chip = hardware.device(device)
    if on is not None and chip.released > on[:7]:
        raise ValueError(f"{chip.name} was first sold in {chip.released}. Choose a later date.")
    offers = cost.bases(chip, on)
    if not offers:
        raise ValueError(f"No price of {chip.name} is known by {on}. Choose a later date.")
    available = budget_usd / offers[0].usd_per_chip_hour
    n = n_devices or math.ceil(available / (24 * DAYS))
    found = _largest(available, chip, precision, n, q)
    needed = _needed(found.run.params, chip)
    if needed > n and n_devices is not None:
        raise ValueError(
            f"{n_devices} {chip.name} cannot hold {found.run.params:.3g} parameters with their "
            f"states. Give at least {needed}, or a smaller budget."
        )
    if needed > n:
        found = _largest(available, chip, precision, needed, q)
    return Plan(budget_usd, offers[0], found, q)


def _run(params, chip, precision, n_devices):
    """The record of a plan, read like any other."""
    record = {
        "model": "plan",
        "kind": "dense-decoder",
        "params_total": params,
        "data_count": TOKENS_PER_PARAMETER * params,
        "data_unit": "tokens",
        "seq_len": CONTEXT,
        "precision": precision,
        "accelerator": chip.name,
        "n_accel": n_devices,
    }
    return records.read(record, is_strict=True)


def _largest(available, chip, precision, n_devices, q):
    """The estimate of the size at which the predicted chip-hours are all that are available."""
    run = _run(1e9, chip, precision, n_devices)

    def estimate(log_params):
        params = math.exp(log_params)
        data = TOKENS_PER_PARAMETER * params
        return hours.predict(replace(run, params=params, params_total=params, data_count=data))

    def excess(log_params):
        return math.log(estimate(log_params).chip_hours(q) / available)

    low, high = (math.log(size) for size in SIZES)
    if excess(low) > 0 or excess(high) < 0:
        raise ValueError(
            f"{available:.3g} chip-hours train no model between {SIZES[0]:g} and {SIZES[1]:g} "
            "parameters. Change the budget."
        )
    return estimate(brentq(excess, low, high, xtol=1e-14, rtol=1e-15))


def _needed(params, chip):
    room = ROOM_FOR_STATES * chip.memory_bytes
    return sharding.devices_needed(model_states(round(params)), room)
