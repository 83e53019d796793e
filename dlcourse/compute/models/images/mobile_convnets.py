"""Convolutional networks made for few operations, the sizes as in torchvision.

Most are rows of inverted residuals: widen by a 1 x 1 convolution, convolve each channel on its own,
weigh the channels by a small network (squeeze and excitation), narrow again.
"""

from dataclasses import dataclass
from typing import ClassVar

from dlcourse.compute.models.images.convnets import ImagePath
from dlcourse.compute.models.layers import Convolution
from dlcourse.compute.models.model import Architecture


def rounded(width: float, divisor: int = 8) -> int:
    """The nearest multiple of `divisor` that does not fall below nine tenths of `width`."""
    nearest = max(divisor, int(width + divisor / 2) // divisor * divisor)
    return nearest if nearest >= 0.9 * width else nearest + divisor


def weigh_channels(path: ImagePath, n_hidden: int):
    """Squeeze and excitation: two 1 x 1 convolutions of the mean over the image."""
    for channels in ((path.channels, n_hidden), (n_hidden, path.channels)):
        path.layers.append(Convolution(path.stage, channels, 1, 1))


def inverted_residual(path, n_wide, n_out, kernel, stride, n_squeezed=0):
    """Widen to `n_wide` unless so wide, convolve channel by channel, narrow to `n_out`."""
    if n_wide != path.channels:
        path.normed(n_wide, 1)
    path.normed(n_wide, kernel, stride, groups=n_wide)
    if n_squeezed:
        weigh_channels(path, n_squeezed)
    path.normed(n_out, 1)


def classified(path: ImagePath, *widths: int) -> tuple:
    """Mean over the image, then linear layers."""
    path.size = 1
    return path.classify(*widths)


@dataclass(frozen=True, repr=False)
class MobileNetV2(Architecture):
    """Inverted residuals of one kernel. Reference: Sandler et al. (2018)."""

    n_classes: int = 1000
    image_size: int = 224
    name: str = "mobilenet_v2"

    # (widening, channels, blocks, stride of the first)
    STAGES: ClassVar = (
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
        (6, 160, 3, 2), (6, 320, 1, 1),
    )  # fmt: skip

    @property
    def layers(self):
        path = ImagePath(3, self.image_size).normed(32, 3, stride=2)
        path.stage = "blocks"
        for widening, channels, depth, stride in self.STAGES:
            for i in range(depth):
                wide = widening * path.channels
                inverted_residual(path, wide, channels, 3, 1 if i else stride)
        return classified(path.normed(1280, 1), self.n_classes)


@dataclass(frozen=True, repr=False)
class MobileNetV3(Architecture):
    """Inverted residuals found by search; some weigh channels. Reference: Howard et al. (2019)."""

    size: str
    n_classes: int = 1000
    image_size: int = 224

    # (kernel, wide, channels, weighs channels, stride)
    BLOCKS: ClassVar = {
        "large": (
            (3, 16, 16, 0, 1), (3, 64, 24, 0, 2), (3, 72, 24, 0, 1), (5, 72, 40, 1, 2),
            (5, 120, 40, 1, 1), (5, 120, 40, 1, 1), (3, 240, 80, 0, 2), (3, 200, 80, 0, 1),
            (3, 184, 80, 0, 1), (3, 184, 80, 0, 1), (3, 480, 112, 1, 1), (3, 672, 112, 1, 1),
            (5, 672, 160, 1, 2), (5, 960, 160, 1, 1), (5, 960, 160, 1, 1),
        ),
        "small": (
            (3, 16, 16, 1, 2), (3, 72, 24, 0, 2), (3, 88, 24, 0, 1), (5, 96, 40, 1, 2),
            (5, 240, 40, 1, 1), (5, 240, 40, 1, 1), (5, 120, 48, 1, 1), (5, 144, 48, 1, 1),
            (5, 288, 96, 1, 2), (5, 576, 96, 1, 1), (5, 576, 96, 1, 1),
        ),
    }  # fmt: skip

    @property
    def name(self):
        return f"mobilenet_v3_{self.size}"

    @property
    def layers(self):
        path = ImagePath(3, self.image_size).normed(16, 3, stride=2)
        path.stage = "blocks"
        for kernel, wide, channels, weighs, stride in self.BLOCKS[self.size]:
            squeezed = rounded(wide / 4) if weighs else 0
            inverted_residual(path, wide, channels, kernel, stride, squeezed)
        path.normed(6 * path.channels, 1)
        return classified(path, 1280 if self.size == "large" else 1024, self.n_classes)


@dataclass(frozen=True, repr=False)
class MNASNet(Architecture):
    """Inverted residuals at a multiple of the widths. Reference: Tan et al. (2019)."""

    width_factor: float
    n_classes: int = 1000
    image_size: int = 224
    name: str = "mnasnet1_0"

    VARIANTS: ClassVar[dict[str, float]] = {
        "mnasnet0_5": 0.5,
        "mnasnet0_75": 0.75,
        "mnasnet1_0": 1.0,
        "mnasnet1_3": 1.3,
    }

    # (kernel, widening, channels, blocks, stride)
    STAGES: ClassVar = (
        (3, 3, 24, 3, 2), (5, 3, 40, 3, 2), (5, 6, 80, 3, 2), (3, 6, 96, 2, 1),
        (5, 6, 192, 4, 2), (3, 6, 320, 1, 1),
    )  # fmt: skip

    @property
    def layers(self):
        first, second = (rounded(self.width_factor * width) for width in (32, 16))
        path = ImagePath(3, self.image_size).normed(first, 3, stride=2)
        path.normed(first, 3, groups=first).normed(second, 1)
        path.stage = "blocks"
        for kernel, widening, channels, depth, stride in self.STAGES:
            channels = rounded(self.width_factor * channels)
            for i in range(depth):
                wide = widening * path.channels
                inverted_residual(path, wide, channels, kernel, 1 if i else stride)
        return classified(path.normed(1280, 1), self.n_classes)


@dataclass(frozen=True, repr=False)
class ShuffleNetV2(Architecture):
    """Half of the channels pass by; the rest are convolved. Reference: Ma et al. (2018)."""

    widths: tuple[int, int, int, int]
    n_classes: int = 1000
    image_size: int = 224
    name: str = "shufflenet"

    VARIANTS: ClassVar[dict[str, tuple]] = {
        "shufflenet_v2_x0_5": ((48, 96, 192, 1024),),
        "shufflenet_v2_x1_0": ((116, 232, 464, 1024),),
        "shufflenet_v2_x1_5": ((176, 352, 704, 1024),),
        "shufflenet_v2_x2_0": ((244, 488, 976, 2048),),
    }

    @property
    def layers(self):
        path = ImagePath(3, self.image_size).normed(24, 3, stride=2).pool(3, 2, padding=1)
        for stage, (width, depth) in enumerate(zip(self.widths[:3], (4, 8, 4), strict=True), 2):
            path.stage, half = f"stage {stage}", width // 2
            for i in range(depth):
                stride = 1 if i else 2
                if i:
                    path.channels = half
                else:
                    path.aside().normed(path.channels, 3, 2, groups=path.channels).normed(half, 1)
                path.normed(half, 1).normed(half, 3, stride, groups=half).normed(half, 1)
            path.channels = width
        return classified(path.normed(self.widths[3], 1), self.n_classes)
