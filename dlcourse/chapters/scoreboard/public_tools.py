"""What public tools report for known networks, as a factor of the exact count.

`benchmarks/flop_counters.py` wrote the numbers; versions and date are in the data file. A tool that
names its number multiply-adds is taken at two FLOPs each; one that says FLOPs is taken at its word.
"""

import json
from dataclasses import dataclass
from importlib import resources

from dlcourse.tables import PrintsTable, Table


@dataclass(frozen=True, repr=False)
class Comparison(PrintsTable):
    """Factors over the exact FLOPs of one forward pass, by network and tool."""

    exact: dict[str, int]
    factors: dict[str, dict[str, float]]  # tool -> network -> reported over exact
    versions: dict[str, str]
    date: str

    def table(self):
        columns = {"network": list(self.exact), "exact FLOPs": list(self.exact.values())}
        for tool, by_network in self.factors.items():
            columns[f"{tool} {self.versions[tool]}"] = [f"{f:.3f}" for f in by_network.values()]
        return Table(columns)


def comparison(data: dict | None = None) -> Comparison:
    """The stored comparison, or that of `data` with the fields of the file."""
    if data is None:
        file = resources.files("dlcourse.compute") / "data" / "flop_counters.json"
        data = json.loads(file.read_text(encoding="utf-8"))
    exact = {row["name"]: row["exact"] for row in data["rows"]}
    factors = {
        tool: {
            row["name"]: row["reported"][tool] * (1 if unit == "FLOPs" else 2) / row["exact"]
            for row in data["rows"]
        }
        for tool, unit in data["units"].items()
    }
    return Comparison(exact, factors, data["versions"], data["date"])
