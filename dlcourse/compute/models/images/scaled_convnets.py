"""EfficientNet and RegNet: whole families of networks from a rule of scaling, as in torchvision."""

import math
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar

from dlcourse.compute.models.images.convnets import ImagePath
from dlcourse.compute.models.images.mobile_convnets import (
    classified,
    inverted_residual,
    rounded,
    weigh_channels,
)
from dlcourse.compute.models.model import Architecture


@dataclass(frozen=True, repr=False)
class EfficientNet(Architecture):
    """One network scaled in width and depth, or version 2 with fused blocks.

    Reference: Tan and Le (2019, 2021).
    """

    size: str
    n_classes: int = 1000
    image_size: int = 224

    # (widening, kernel, stride, channels, blocks); a fused block convolves at once
    FIRST: ClassVar = (
        (1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3),
        (6, 5, 2, 192, 4), (6, 3, 1, 320, 1),
    )  # fmt: skip
    SCALES: ClassVar = {
        "b0": (1.0, 1.0), "b1": (1.0, 1.1), "b2": (1.1, 1.2), "b3": (1.2, 1.4), "b4": (1.4, 1.8),
        "b5": (1.6, 2.2), "b6": (1.8, 2.6), "b7": (2.0, 3.1),
    }  # fmt: skip
    SECOND: ClassVar = {
        "v2_s": ((1, 1, 24, 2), (4, 2, 48, 4), (4, 2, 64, 4),
                 (4, 2, 128, 6), (6, 1, 160, 9), (6, 2, 256, 15)),
        "v2_m": ((1, 1, 24, 3), (4, 2, 48, 5), (4, 2, 80, 5),
                 (4, 2, 160, 7), (6, 1, 176, 14), (6, 2, 304, 18), (6, 1, 512, 5)),
        "v2_l": ((1, 1, 32, 4), (4, 2, 64, 7), (4, 2, 96, 7),
                 (4, 2, 192, 10), (6, 1, 224, 19), (6, 2, 384, 25), (6, 1, 640, 7)),
    }  # fmt: skip

    @property
    def name(self):
        return f"efficientnet_{self.size}"

    def stages(self):
        """(widening, kernel, stride, channels, blocks, is fused) of each stage."""
        if self.size in self.SECOND:
            for i, (widening, stride, channels, depth) in enumerate(self.SECOND[self.size]):
                yield widening, 3, stride, channels, depth, i < 3
            return
        width, depth_factor = self.SCALES[self.size]
        for widening, kernel, stride, channels, depth in self.FIRST:
            depth = math.ceil(depth * depth_factor)
            yield widening, kernel, stride, rounded(channels * width), depth, False

    @property
    def layers(self):
        stages = list(self.stages())
        is_second = self.size in self.SECOND
        stem = stages[0][3] if is_second else rounded(32 * self.SCALES[self.size][0])
        path = ImagePath(3, self.image_size).normed(stem, 3, stride=2)
        path.stage = "blocks"
        for widening, kernel, stride, channels, depth, is_fused in stages:
            for i in range(depth):
                wide = rounded(widening * path.channels)
                step = 1 if i else stride
                if is_fused:
                    self._fused(path, wide if widening > 1 else 0, channels, step)
                else:
                    squeezed = max(1, path.channels // 4)
                    inverted_residual(path, wide, channels, kernel, step, squeezed)
        path.normed(1280 if is_second else 4 * path.channels, 1)
        return classified(path, self.n_classes)

    @staticmethod
    def _fused(path, wide, channels, stride):
        if wide:
            path.normed(wide, 3, stride).normed(channels, 1)
        else:
            path.normed(channels, 3, stride)


@dataclass(frozen=True, repr=False)
class RegNet(Architecture):
    """Stages whose widths follow a rounded line. Reference: Radosavovic et al. (2020)."""

    depth: int
    first_width: int
    slope: float
    ratio: float
    group_width: int
    squeezes: bool
    n_classes: int = 1000
    image_size: int = 224
    name: str = "regnet"

    VARIANTS: ClassVar[dict[str, tuple]] = {
        "regnet_y_400mf": (16, 48, 27.89, 2.09, 8, True),
        "regnet_y_800mf": (14, 56, 38.84, 2.4, 16, True),
        "regnet_y_1_6gf": (27, 48, 20.71, 2.65, 24, True),
        "regnet_y_3_2gf": (21, 80, 42.63, 2.66, 24, True),
        "regnet_y_8gf": (17, 192, 76.82, 2.19, 56, True),
        "regnet_y_16gf": (18, 200, 106.23, 2.48, 112, True),
        "regnet_y_32gf": (20, 232, 115.89, 2.53, 232, True),
        "regnet_y_128gf": (27, 456, 160.83, 2.52, 264, True),
        "regnet_x_400mf": (22, 24, 24.48, 2.54, 16, False),
        "regnet_x_800mf": (16, 56, 35.73, 2.28, 16, False),
        "regnet_x_1_6gf": (18, 80, 34.01, 2.25, 24, False),
        "regnet_x_3_2gf": (25, 88, 26.31, 2.25, 48, False),
        "regnet_x_8gf": (23, 80, 49.56, 2.88, 120, False),
        "regnet_x_16gf": (22, 216, 55.59, 2.1, 128, False),
        "regnet_x_32gf": (23, 320, 69.86, 2.0, 168, False),
    }

    def stages(self) -> list[tuple[int, int, int]]:
        """(width, blocks, width of a group) of each stage."""
        widths = []
        for i in range(self.depth):
            power = round(
                math.log((self.first_width + i * self.slope) / self.first_width)
                / math.log(self.ratio)
            )
            widths.append(round(self.first_width * self.ratio**power / 8) * 8)
        stages = []
        for width, run in groupby(widths):
            group = min(self.group_width, width)
            stages.append((rounded(width, group), len(list(run)), group))
        return stages

    @property
    def layers(self):
        path = ImagePath(3, self.image_size).normed(32, 3, stride=2)
        for stage, (width, depth, group) in enumerate(self.stages(), start=1):
            path.stage = f"stage {stage}"
            for i in range(depth):
                n_in, stride = path.channels, 1 if i else 2
                if not i:
                    path.aside().normed(width, 1, stride)
                path.normed(width, 1).normed(width, 3, stride, groups=width // group)
                if self.squeezes:
                    weigh_channels(path, round(n_in / 4))
                path.normed(width, 1)
        return classified(path, self.n_classes)
