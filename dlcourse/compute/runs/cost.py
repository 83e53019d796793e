"""Money of a training run, on several bases side by side.

A price an hour means nothing without its provider, its product, its term and its date. Research,
failed runs, staff, data and idle hours are in none of the numbers here.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from dlcourse.compute.machines import hardware, prices
from dlcourse.compute.machines.hardware import Device
from dlcourse.compute.runs.hours import Hours
from dlcourse.tables import PrintsTable, Table

N_BASES = 3  # at least: a single price would look like a fact
REFERENCE = "H100 SXM"  # whose prices fill up the list of a device with fewer, scaled by peak


@dataclass(frozen=True)
class Basis:
    """An offer, as a price of one hour of the run's device."""

    price: prices.Price
    scale: float = 1.0  # peak of the run's device over that of the offer's

    def __str__(self):
        p = self.price
        text = f"{p.provider}, {p.sku}, {p.term}, {p.as_of}"
        return text if self.scale == 1 else f"{text}, scaled by peak from {p.device}"

    @property
    def usd_per_chip_hour(self) -> float:
        return self.price.usd_per_device_hour * self.scale


@dataclass(frozen=True)
class Cost:
    """A basis times predicted chip-hours."""

    basis: Basis
    hours: Hours

    def usd(self, q: float = 0.5) -> float:
        """Dollars that are not exceeded with probability q, the price taken as certain."""
        return usd(self.hours.chip_hours(q), self.basis.usd_per_chip_hour)


@dataclass(frozen=True, repr=False)
class Costs(PrintsTable):
    """The money of one run on each basis."""

    rows: tuple[Cost, ...]

    def __iter__(self) -> Iterator[Cost]:
        return iter(self.rows)

    def table(self):
        return Table(
            {
                "basis": [str(row.basis) for row in self],
                "$ a chip-hour": [row.basis.usd_per_chip_hour for row in self],
                "$, 5%": [row.usd(0.05) for row in self],
                "$, median": [row.usd() for row in self],
                "$, 95%": [row.usd(0.95) for row in self],
            }
        )


def usd(chip_hours: float, usd_per_chip_hour: float) -> float:
    """Dollars of that many hours of one chip. Book: eq. `eq-cost-money`.

    >>> usd(2.788e6, 2.0)  # DeepSeek-V3, all stages
    5576000.0
    """
    return chip_hours * usd_per_chip_hour


def costs(hours: Hours) -> Costs:
    """The run's money on each basis for its device."""
    return Costs(tuple(Cost(basis, hours) for basis in bases(hours.run.device)))


def bases(device: Device, on: str | None = None) -> list[Basis]:
    """At least three bases for a device where the catalogue has them, newest first.

    They are the device's own offers, one a provider and term, then those of its siblings with
    other memory, then those of the `REFERENCE`, the last scaled by peak and said to be.
    """
    found = [Basis(price) for price in _newest(prices.of(device.name, on))]
    siblings = [p for p in prices.all_prices() if _family(p.device) == _family(device.name)]
    for others in (siblings, prices.of(REFERENCE)):
        if len(found) < N_BASES:
            known = [p for p in others if p.device != device.name and _is_known(p, on)]
            scaled = [Basis(price, _scale(device, price)) for price in _newest(known)]
            found += scaled[: max(N_BASES - len(found), 0)]
    return found


def _is_known(price, on):
    return on is None or price.as_of[:7] <= on[:7]


def _newest(offers):
    """One offer a provider and term, the newest."""
    ordered = sorted(offers, key=lambda p: p.as_of)
    newest = {(p.provider, p.term): p for p in ordered}
    return sorted(newest.values(), key=lambda p: p.as_of, reverse=True)


def _family(name):
    return name.split(" ")[0] if not name.startswith("TPU") else name


def _scale(device, price):
    own, other = _usual_peak(device), _usual_peak(hardware.device(price.device))
    return own / other


def _usual_peak(device):
    return device.peak(next(p for p in ("bf16", "fp16", "fp32") if device.has(p)))
