"""Training FLOPs that papers publish, beside ours under the paper's own convention.

6 N D              six a parameter and token; every parameter counts, embeddings too
3 N D              of an encoder and a decoder: a token passes only one of the two
operations         a training step on one image, times the images
causal operations  training on one sequence of so many tokens under a causal mask
"""

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources

from dlcourse.compute.models.architectures import named
from dlcourse.compute.models.configs.reader import from_config
from dlcourse.compute.models.model import Architecture
from dlcourse.tables import PrintsTable, Table

CONVENTIONS: dict[str, Callable[[Architecture, int], int]] = {
    "6 N D": lambda network, n_tokens: 6 * network.params() * n_tokens,
    "3 N D": lambda network, n_tokens: 3 * network.params() * n_tokens,
    "operations": lambda network, n_images: network.train_step_flops() * n_images,
    "causal operations": lambda network, length: network.train_step_flops(length, causal=True),
}


@dataclass(frozen=True)
class Published:
    """One published number and ours."""

    name: str
    convention: str
    published_flops: float
    our_flops: int
    source: str

    @property
    def ratio(self) -> float:
        return self.our_flops / self.published_flops


@dataclass(frozen=True, repr=False)
class Comparisons(PrintsTable):
    """Published numbers, each under its own convention."""

    rows: tuple[Published, ...]

    def table(self):
        columns = ("name", "convention", "published_flops", "our_flops", "ratio", "source")
        values = {name: [getattr(row, name) for row in self.rows] for name in columns}
        values["our_flops"] = [float(flops) for flops in values["our_flops"]]
        return Table(values)


def published() -> Comparisons:
    """Every row of `data/published_flops.csv` beside the exact count."""
    data = resources.files("dlcourse.compute") / "data" / "published_flops.csv"
    rows = []
    with data.open(encoding="utf-8") as file:
        for record in csv.DictReader(file):
            config = record["config"]
            network = from_config(json.loads(config)) if config else named(record["network"])
            ours = CONVENTIONS[record["convention"]](network, int(record["amount"]))
            flops = float(record["published_flops"])
            rows.append(
                Published(record["name"], record["convention"], flops, ours, record["source"])
            )
    return Comparisons(tuple(rows))
