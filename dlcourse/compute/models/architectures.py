"""Architectures by config or by name, and how exact their counts are."""

import csv
import json
from dataclasses import dataclass
from importlib import resources

from dlcourse.compute.models.configs.reader import (
    config_report,
    from_config,
    read_config,
    supported_types,
)
from dlcourse.compute.models.images.convnets import VGG, AlexNet, ResNet
from dlcourse.compute.models.images.deep_convnets import ConvNeXt, DenseNet, SqueezeNet, Swin
from dlcourse.compute.models.images.mobile_convnets import (
    MNASNet,
    MobileNetV2,
    MobileNetV3,
    ShuffleNetV2,
)
from dlcourse.compute.models.images.scaled_convnets import EfficientNet, RegNet
from dlcourse.compute.models.images.vision_transformers import VisionTransformer
from dlcourse.compute.models.model import Architecture
from dlcourse.tables import PrintsTable, Table

__all__ = [
    "Exactness",
    "Row",
    "catalogue",
    "config_report",
    "exactness",
    "from_config",
    "named",
    "read_config",
    "supported_types",
]


def catalogue() -> dict[str, Architecture]:
    """Networks on images of 224 pixels a side by torchvision's names."""
    networks = [AlexNet(), MobileNetV2()]
    for name, depths in VGG.DEPTHS.items():
        networks += [VGG(depths, name=name), VGG(depths, has_norm=True, name=f"{name}_bn")]
    for record in (ResNet, VisionTransformer):
        networks += [record(**sizes, name=name) for name, sizes in record.VARIANTS.items()]
    for record in (ConvNeXt, DenseNet, RegNet, ShuffleNetV2, Swin):
        networks += [record(*sizes, name=name) for name, sizes in record.VARIANTS.items()]
    networks += [MNASNet(width, name=name) for name, width in MNASNet.VARIANTS.items()]
    networks += [MobileNetV3(size) for size in MobileNetV3.BLOCKS]
    networks += [SqueezeNet(version) for version in SqueezeNet.PLANS]
    networks += [EfficientNet(size) for size in (*EfficientNet.SCALES, *EfficientNet.SECOND)]
    return {network.name: network for network in networks}


def named(name: str) -> Architecture:
    """The network of this name, such as "resnet50" or "vit_b_16".

    Raises `ValueError`, with the known names, for any other.

    >>> named("resnet50").forward_flops()
    8178368512
    """
    networks = catalogue()
    if name not in networks:
        raise ValueError(
            f"`name` must be one of {', '.join(sorted(networks))}, got {name!r}. A language model? "
            "Give its config to `from_config`."
        )
    return networks[name]


@dataclass(frozen=True)
class Row:
    """One count of one architecture: as measured on the reference, and ours."""

    name: str
    quantity: str  # "params", "params_active", "forward_flops" or "train_step_flops"
    expected: int
    ours: int
    source: str

    @property
    def error(self) -> int:
        return self.ours - self.expected


@dataclass(frozen=True, repr=False)
class Exactness(PrintsTable):
    """Rows of counts beside their references; the errors shall be 0."""

    rows: tuple[Row, ...]

    def table(self):
        columns = ("name", "quantity", "expected", "ours", "error")
        return Table({name: [getattr(row, name) for row in self.rows] for name in columns})


def exactness() -> Exactness:
    """Every count of `data/architectures.csv` beside the closed form's."""
    data = resources.files("dlcourse.compute") / "data" / "architectures.csv"
    rows = []
    with data.open(encoding="utf-8") as file:
        for record in csv.DictReader(file):
            network = named(record["network"]) if record["network"] else _configured(record)
            rows += _compared(network, record)
    return Exactness(tuple(rows))


def _configured(record: dict) -> Architecture:
    return from_config(json.loads(record["config"]))


def _compared(network: Architecture, record: dict) -> list[Row]:
    """One row for each count that the record gives."""
    length = int(record["sequence_length"] or 1)
    ours = {
        "params": network.params(),
        "params_active": network.params_active(),
        "forward_flops": network.forward_flops(length),
        "train_step_flops": network.train_step_flops(length),
    }
    return [
        Row(record["name"], quantity, int(record[quantity]), count, record["source"])
        for quantity, count in ours.items()
        if record[quantity]
    ]
