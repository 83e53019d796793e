"""What an hour of a device costs: never a number alone.

One row an offer in `data/prices.json`, one row a card to buy in `data/purchases.json`. The same
eight H100 cost 98 dollars an hour or 39 at one provider within a year and a half, so a price
without provider, product, term, date and source is refused. Prices are those of their date, without
taxes, and are not updated: add a row of the day before you decide anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from dlcourse._checks import positive
from dlcourse.compute.machines import hardware
from dlcourse.tables import PrintsTable, Table

TERMS = {
    "on demand": "by the hour, for as long as one likes",
    "spot": "by the hour, until somebody else wants it",
    "capacity block": "for days fixed and paid in advance",
    "1-year reserved": "for a year, the effective hour",
    "3-year reserved": "for three years, the effective hour",
    "1-year commitment": "for a year, the effective hour",
    "3-year commitment": "for three years, the effective hour",
    "assumed rental": "no offer: what a report supposes",
}


@dataclass(frozen=True)
class Price:
    """An offer: `n_devices` of `device` for `usd_per_hour` together, and all that makes it one.

    `device` is the catalogue's name, or any alias when the row is made. `as_of` is the year and
    month, or the day, at which the source said so. Raises `ValueError` where one of these is empty,
    the term is unknown, or `as_of` is no date.
    """

    device: str
    n_devices: int
    provider: str
    sku: str  # the provider's name of the product
    term: str  # one of TERMS: how it is bought
    usd_per_hour: float
    as_of: str
    region: str
    source: str
    note: str = ""

    def __post_init__(self):
        for name in ("provider", "sku", "term", "as_of", "region", "source"):
            if not getattr(self, name):
                raise ValueError(
                    f"A price needs `{name}`, got none. The same device differs threefold in "
                    "price by provider, term and date: name them, or leave the price out."
                )
        if self.term not in TERMS:
            raise ValueError(f"Unknown term {self.term!r}. Known: {', '.join(TERMS)}.")
        _dated(self.as_of)
        positive(self.usd_per_hour, "usd_per_hour")
        positive(self.n_devices, "n_devices")
        object.__setattr__(self, "device", hardware.device(self.device).name)

    @property
    def usd_per_device_hour(self) -> float:
        return self.usd_per_hour / self.n_devices


@dataclass(frozen=True)
class Purchase:
    """What a device costs to own: its list price in dollars, before taxes and without a host."""

    device: str
    what: str
    usd: float
    as_of: str
    source: str

    def hours_of(self, price: Price) -> float:
        """Hours of rent at `price` that cost as much as the device; electricity is left out."""
        return self.usd / price.usd_per_device_hour


@cache
def all_prices() -> tuple[Price, ...]:
    """Every offer of the data file."""
    return tuple(Price(**row) for row in hardware.read("prices.json"))


@cache
def purchases() -> tuple[Purchase, ...]:
    """Every list price of the data file."""
    return tuple(Purchase(**row) for row in hardware.read("purchases.json"))


def of(device: str, on: str | None = None) -> list[Price]:
    """Offers for a device, newest first; with `on`, "2024-05", those known by that month."""
    name = hardware.device(device).name
    if on is not None:
        _dated(on)
    known = [p for p in all_prices() if p.device == name and (on is None or p.as_of[:7] <= on[:7])]
    return sorted(known, key=lambda p: p.as_of, reverse=True)


def offers(device: str) -> Table:
    """The offers for a device, with how and when each was bought, cheapest first."""
    rows = sorted(of(device), key=lambda p: p.usd_per_device_hour)
    return Table(
        {
            "provider": [p.provider for p in rows],
            "product": [p.sku for p in rows],
            "term": [p.term for p in rows],
            "as of": [p.as_of for p in rows],
            "$ an hour": [f"{p.usd_per_hour:.2f}" for p in rows],
            "devices": [p.n_devices for p in rows],
            "$ a device-hour": [f"{p.usd_per_device_hour:.2f}" for p in rows],
        }
    )


class Computing(PrintsTable):
    """What 10^18 operations cost at the dense peak, on demand: one device and number type a row.

    Nobody reaches the peak, so nobody pays so little; over the years the error is much the same.
    """

    def __init__(self, rows: Sequence[tuple[str, str]], provider: str):
        self.prices = [_on_demand(device, provider) for device, _ in rows]
        self.dtypes = [dtype for _, dtype in rows]
        peaks = [hardware.device(device).peak(dtype) for device, dtype in rows]
        self.usd = [
            p.usd_per_device_hour / 3600 / peak * 1e18
            for p, peak in zip(self.prices, peaks, strict=True)
        ]

    def table(self):
        return Table(
            {
                "device": [p.device for p in self.prices],
                "as of": [p.as_of for p in self.prices],
                "$ a device-hour": [f"{p.usd_per_device_hour:.2f}" for p in self.prices],
                "type": self.dtypes,
                "$ for 10^18 operations": [f"{usd:.2f}" for usd in self.usd],
            }
        )


def _on_demand(device: str, provider: str) -> Price:
    found = [p for p in of(device) if (p.provider, p.term) == (provider, "on demand")]
    if not found:
        raise ValueError(f"{provider} has no price on demand for {device} in the data file.")
    return found[-1]  # the oldest, of its launch


def _dated(date: str):
    parts = date.split("-")
    is_date = len(parts) in (2, 3) and all(part.isdigit() for part in parts)
    if not (is_date and len(parts[0]) == 4 and 1 <= int(parts[1]) <= 12):
        raise ValueError(f"A date must read 2024-12 or 2024-12-31, got {date!r}.")
