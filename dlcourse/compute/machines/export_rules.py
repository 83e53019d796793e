"""Export rules of the United States for chips, as dated history.

Since October 2022 two numbers of a data sheet decide whether a chip may be sold to China without
a license, Export Control Classification Number 3A090 of 15 CFR 774. The rules have changed six
times; a device is classified under the rule of a date. This is arithmetic on published thresholds,
a way to read the rules, and no legal advice.

TPP  total processing performance    PD  performance density, TPP a square millimeter of die
"""

from typing import NamedTuple

from dlcourse.compute.machines.hardware import BITS, GB, TERA, Device, device, read
from dlcourse.tables import PrintsTable, Table

PERFORMANCE = 4_800  # from which on every rule speaks of a device
FIRST, DENSITY, CASE_BY_CASE = "2022-10-21", "2023-11-17", "2026-01-15"  # in force from


class Classification(NamedTuple):
    """What the rule of a date says of a device."""

    entry: str  # "3A090", "3A090.a", "3A090.b", or "none"
    review: str  # to China: "none needed", "notice" first, "case by case", "presumed denial"
    rule: str  # the Federal Register's volume and page
    reason: str


def total_processing_performance(of: Device) -> float:
    """TPP: dense operations in units of 10^12 a second times the bits of a number, at its largest.

    .. displayed:: eq-export-tpp

    The rule counts multiply-adds (MacTOPS) and doubles them; the rates here have it doubled
    already. It takes them without sparsity. Reference: technical note 2 to ECCN 3A090, 88 FR 73458.

    >>> round(total_processing_performance(device("A100")))
    4992
    """
    return max(rate / TERA * BITS[dtype] for (dtype, _), rate in of.peak_flops.items())


def performance_density(of: Device) -> float | None:
    """TPP a square millimeter of die made with transistors of fins; None for an unknown area."""
    return None if of.die_mm2 is None else total_processing_performance(of) / of.die_mm2


def classify(of: Device | str, on: str) -> Classification:
    """Where a device stands under the rule in force on a day, "2024-01-31".

    Raises ValueError for a device whose data are not enough, such as one that was never sold.
    """
    of = device(of) if isinstance(of, str) else of
    if on < FIRST:
        return Classification("none", "none needed", "", "before the first rule")
    if of.io_bytes_per_second is None:
        raise ValueError(f"{of.name} is rented, not sold: no data sheet says what it sends in all.")
    return _by_link(of) if on < DENSITY else _by_density(of, on)


def _by_link(of: Device) -> Classification:
    tpp, io = total_processing_performance(of), of.io_bytes_per_second / GB
    is_controlled = tpp >= PERFORMANCE and io >= 600
    reason = f"performance {tpp:,.0f} of {PERFORMANCE:,} and {io:,.0f} GB/s of 600"
    review = "presumed denial" if is_controlled else "none needed"
    return Classification("3A090" if is_controlled else "none", review, "87 FR 62186", reason)


def _by_density(of: Device, on: str) -> Classification:
    tpp, pd = total_processing_performance(of), performance_density(of)
    if pd is None and tpp < PERFORMANCE:
        raise ValueError(f"{of.name}: the area of its die is not in the catalogue.")
    entry = _entry(tpp, pd or 0.0)
    if of.kind != "data center" and tpp < PERFORMANCE:
        entry = "none"  # note 2 to 3A090: not made or marketed for data centers
    shown = "unknown" if pd is None else f"{pd:.2f}"
    reason = f"performance {tpp:,.0f}, density {shown}"
    if entry == "none":
        return Classification(entry, "none needed", "88 FR 73458", reason)
    is_eased = tpp < 21_000 and of.bandwidth_bytes_per_second < 6_500 * GB
    if on >= CASE_BY_CASE and is_eased:
        return Classification(entry, "case by case", "91 FR 1684", reason)
    is_notified = entry == "3A090.b" or of.kind != "data center"  # License Exception NAC
    review = "notice" if is_notified else "presumed denial"
    return Classification(entry, review, "88 FR 73458", reason)


def _entry(tpp: float, pd: float) -> str:
    if tpp >= PERFORMANCE or (tpp >= 1600 and pd >= 5.92):
        return "3A090.a"
    if (tpp >= 2400 and pd >= 1.6) or (tpp >= 1600 and pd >= 3.2):
        return "3A090.b"
    return "none"


class History(PrintsTable):
    """Devices by rows, the thresholds of three dates by columns. `entries` maps (device, day).

    "Outside" means outside of the thresholds: a letter to one maker can ask for more.
    """

    days = ("2022-12-31", "2023-12-31", "2026-02-01")

    def __init__(self, names):
        self.devices = [device(name) for name in names]
        self.entries = {(d.name, day): classify(d, day) for d in self.devices for day in self.days}

    def table(self):
        densities = [performance_density(d) for d in self.devices]
        return Table(
            {
                "device": [d.name for d in self.devices],
                "TPP": [round(total_processing_performance(d)) for d in self.devices],
                "density": ["unknown" if pd is None else f"{pd:.2f}" for pd in densities],
                "GB/s out": [round(d.io_bytes_per_second / GB) for d in self.devices],
                **{day: [self._written(d, day) for d in self.devices] for day in self.days},
            }
        )

    def _written(self, of: Device, day: str) -> str:
        found = self.entries[of.name, day]
        if of.released > day[:7]:
            return "not yet sold"
        return "outside" if found.entry == "none" else f"{found.entry}, {found.review}"


class Rules(PrintsTable):
    """The rules themselves, with the place in the Federal Register."""

    def __init__(self):
        self.rows = read("export_rules.json")

    def table(self):
        names = {"published": "published", "in_force": "in force", "citation": "Federal Register"}
        columns = {shown: [row[key] for row in self.rows] for key, shown in names.items()}
        return Table({**columns, "what it says": [row["what"] for row in self.rows]})
