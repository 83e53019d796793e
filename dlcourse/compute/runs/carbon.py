"""Energy and carbon of a training run.

Counted is what makers of models report: chip-hours times the full power of the accelerator, times
the carbon of a kilowatt-hour. Servers, cooling and the making of the chips come on top.
"""

from dataclasses import dataclass

from dlcourse.compute.machines import hardware
from dlcourse.compute.runs.hours import Hours
from dlcourse.tables import PrintsTable, Table


@dataclass(frozen=True)
class Grid:
    """Where electricity comes from, and the CO2 equivalents of a kilowatt-hour of it."""

    name: str
    kg_per_kwh: float
    year: int
    source: str


@dataclass(frozen=True, repr=False)
class Emissions(PrintsTable):
    """Carbon of one run on each grid."""

    hours: Hours
    grids: tuple[Grid, ...]

    def energy_mwh(self, q: float) -> float:
        """Megawatt-hours that are not exceeded with probability q."""
        return energy_kwh(self.hours.chip_hours(q), self.hours.run.device) / 1e3

    def tonnes(self, grid: Grid, q: float = 0.5) -> float:
        """Tonnes of CO2 equivalents that are not exceeded with probability q."""
        return self.energy_mwh(q) * grid.kg_per_kwh

    def table(self):
        quantiles = {"5%": 0.05, "median": 0.5, "95%": 0.95}
        tonnes = {
            f"tonnes of CO2, {name}": [self.tonnes(grid, q) for grid in self.grids]
            for name, q in quantiles.items()
        }
        names = [f"{grid.name}, {grid.year}" for grid in self.grids]
        return Table({"electricity": names, "kg/kWh": [g.kg_per_kwh for g in self.grids], **tonnes})


def energy_kwh(chip_hours: float, device: hardware.Device) -> float:
    """Kilowatt-hours of that many hours of one chip at full power. Book: eq. `eq-cost-energy`.

    Raises `ValueError` where the maker publishes no power.
    """
    if device.power_watts is None:
        raise ValueError(
            f"The maker of {device.name} publishes no power. Choose a device whose power is known."
        )
    return chip_hours * device.power_watts / 1e3


def emissions(hours: Hours) -> Emissions:
    """Carbon of a predicted run on each grid of the data file."""
    return Emissions(hours, grids())


def grids() -> tuple[Grid, ...]:
    """The grids of data/carbon.json, not the reports of single models."""
    rows = [row for row in hardware.read("carbon.json") if row["kind"] == "grid"]
    return tuple(Grid(row["what"], row["kg_per_kwh"], row["year"], row["source"]) for row in rows)
