"""SqueezeNet, DenseNet, ConvNeXt and Swin as records, the sizes as in torchvision."""

from dataclasses import dataclass
from typing import ClassVar

from dlcourse.compute.models.images.convnets import ImagePath
from dlcourse.compute.models.images.vision_transformers import patch_embedding
from dlcourse.compute.models.layers import Linear, Vector
from dlcourse.compute.models.model import Architecture
from dlcourse.compute.models.parts import Load, Part, attention_flops, linear_params, product_flops


@dataclass(frozen=True, repr=False)
class SqueezeNet(Architecture):
    """Narrow by 1 x 1 convolutions, widen by two kinds. Reference: Iandola et al. (2016)."""

    version: str
    n_classes: int = 1000
    image_size: int = 224

    # (stem's channels and kernel), then (narrow, wide) blocks; None is a pool
    PLANS: ClassVar = {
        "1_0": ((96, 7), (None, (16, 64), (16, 64), (32, 128), None, (32, 128), (48, 192),
                          (48, 192), (64, 256), None, (64, 256))),
        "1_1": ((64, 3), (None, (16, 64), (16, 64), None, (32, 128), (32, 128), None, (48, 192),
                          (48, 192), (64, 256), (64, 256))),
    }  # fmt: skip

    @property
    def name(self):
        return f"squeezenet{self.version}"

    @property
    def layers(self):
        (channels, kernel), blocks = self.PLANS[self.version]
        path = ImagePath(3, self.image_size)
        path.convolve(channels, kernel, stride=2, bias=True, padding=0)
        path.stage = "blocks"
        for block in blocks:
            if block is None:
                path.pool(3, 2, rounds_up=True)
            else:
                narrow, wide = block
                path.convolve(narrow, 1, bias=True)
                path.aside().convolve(wide, 1, bias=True)
                path.convolve(wide, 3, bias=True).channels = 2 * wide
        path.stage = "classifier"
        return tuple(path.convolve(self.n_classes, 1, bias=True).layers)


@dataclass(frozen=True, repr=False)
class DenseNet(Architecture):
    """Each layer reads all before it in its block. Reference: Huang et al. (2017)."""

    growth: int
    depths: tuple[int, ...]
    stem: int
    n_classes: int = 1000
    image_size: int = 224
    name: str = "densenet"

    VARIANTS: ClassVar[dict[str, tuple]] = {
        "densenet121": (32, (6, 12, 24, 16), 64),
        "densenet161": (48, (6, 12, 36, 24), 96),
        "densenet169": (32, (6, 12, 32, 32), 64),
        "densenet201": (32, (6, 12, 48, 32), 64),
    }

    @property
    def layers(self):
        path = ImagePath(3, self.image_size).normed(self.stem, 7, stride=2).pool(3, 2, padding=1)
        for stage, depth in enumerate(self.depths, start=1):
            path.stage = f"stage {stage}"
            for _ in range(depth):
                before = path.channels
                path.norm().normed(4 * self.growth, 1).convolve(self.growth, 3)
                path.channels = before + self.growth
            path.norm()
            if stage < len(self.depths):
                path.convolve(path.channels // 2, 1).pool(2, 2)
        path.size = 1
        return path.classify(self.n_classes)


@dataclass(frozen=True, repr=False)
class ConvNeXt(Architecture):
    """A convolution of each channel, then a feed-forward layer. Reference: Liu et al. (2022)."""

    depths: tuple[int, ...]
    widths: tuple[int, ...]
    n_classes: int = 1000
    image_size: int = 224
    name: str = "convnext"

    VARIANTS: ClassVar[dict[str, tuple]] = {
        "convnext_tiny": ((3, 3, 9, 3), (96, 192, 384, 768)),
        "convnext_small": ((3, 3, 27, 3), (96, 192, 384, 768)),
        "convnext_base": ((3, 3, 27, 3), (128, 256, 512, 1024)),
        "convnext_large": ((3, 3, 27, 3), (192, 384, 768, 1536)),
    }

    @property
    def layers(self):
        path = ImagePath(3, self.image_size)
        path.convolve(self.widths[0], 4, stride=4, bias=True, padding=0).norm()
        for stage, (depth, width) in enumerate(zip(self.depths, self.widths, strict=True), 1):
            path.stage = f"stage {stage}"
            if stage > 1:
                path.norm().convolve(width, 2, stride=2, bias=True, padding=0)
            for _ in range(depth):
                path.convolve(width, 7, groups=width, bias=True).norm()
                path.convolve(4 * width, 1, bias=True).convolve(width, 1, bias=True)
                path.layers.append(Vector(path.stage, width))  # a scale on the branch
        path.norm().size = 1
        return path.classify(self.n_classes)


@dataclass(frozen=True)
class WindowAttention:
    """Attention inside windows of `window` x `window` places; the image is padded to fit.

    Version 2 takes the bias of relative places from a small network, and scales each head.
    """

    name: str
    width: int
    n_heads: int
    size: int
    window: int
    is_second: bool

    def parts(self, load: Load) -> list[Part]:
        # A smaller image is one window in version 1, and is padded in version 2.
        window = self.window if self.is_second else min(self.window, self.size)
        d, area = self.width, window**2
        n_windows = load.batch * (-(-self.size // window)) ** 2
        rows, n_offsets = n_windows * area, (2 * self.window - 1) ** 2
        params = linear_params(d, 3 * d) + linear_params(d, d)
        flops = product_flops(rows, d, 4 * d)
        flops += n_windows * attention_flops(self.n_heads, 2 * d // self.n_heads, (area, area))
        parts = [Part(self.name, params, flops)]
        if not self.is_second:
            return [*parts, Part(self.name, n_offsets * self.n_heads)]
        first = Part(self.name, 3 * 512, product_flops(n_offsets, 2, 512), reads_data=True)
        last = product_flops(n_offsets, 512, self.n_heads)
        return [*parts, first, Part(self.name, 513 * self.n_heads, last)]


@dataclass(frozen=True, repr=False)
class Swin(Architecture):
    """Window attention at four sizes of the image. Reference: Liu et al. (2021, 2022)."""

    depths: tuple[int, ...]
    width: int
    n_heads: int  # in the first stage; twice as many in each further one
    is_second: bool
    window: int
    n_classes: int = 1000
    image_size: int = 224
    patch_size: int = 4
    name: str = "swin"

    VARIANTS: ClassVar[dict[str, tuple]] = {
        "swin_t": ((2, 2, 6, 2), 96, 3, False, 7),
        "swin_s": ((2, 2, 18, 2), 96, 3, False, 7),
        "swin_b": ((2, 2, 18, 2), 128, 4, False, 7),
        "swin_v2_t": ((2, 2, 6, 2), 96, 3, True, 8),
        "swin_v2_s": ((2, 2, 18, 2), 96, 3, True, 8),
        "swin_v2_b": ((2, 2, 18, 2), 128, 4, True, 8),
    }

    @property
    def layers(self):
        size = self.image_size // self.patch_size
        layers = [
            patch_embedding(self.width, self.patch_size, size**2),
            Vector("patches", 2 * self.width),
        ]
        for stage, depth in enumerate(self.depths):
            name, d = f"stage {stage + 1}", self.width * 2**stage
            if stage:
                size = -(-size // 2)
                normed = d if self.is_second else 2 * d
                layers += [
                    Linear(name, 2 * d, d, bias=False, rows=size**2),
                    Vector(name, 2 * normed),
                ]
            heads = self.n_heads * 2**stage
            block = (
                WindowAttention(name, d, heads, size, self.window, self.is_second),
                Linear(name, d, 4 * d, rows=size**2),
                Linear(name, 4 * d, d, rows=size**2),
                Vector(name, 4 * d),
            )
            layers += depth * block
        d = self.width * 2 ** (len(self.depths) - 1)
        return (
            *layers,
            Vector("classifier", 2 * d),
            Linear("classifier", d, self.n_classes, rows=1),
        )
