"""AlexNet, VGG and ResNet as records, the sizes as in torchvision.

channels  of the image at this depth      size    height and width of the image, a square
kernel    height and width of a filter    groups  shares into which a convolution splits channels
"""

from dataclasses import dataclass
from typing import ClassVar

from dlcourse.compute.models.layers import Convolution, Linear, Vector
from dlcourse.compute.models.model import Architecture


class ImagePath:
    """The layers that an image passes, with its channels and its size after each of them.

    Without `padding` a convolution keeps the size up to its stride, for odd kernels.
    """

    def __init__(self, channels: int, size: int, layers: list | None = None):
        self.channels, self.size = channels, size
        self.layers = [] if layers is None else layers
        self.stage = "stem"

    def convolve(self, n_out, kernel, stride=1, groups=1, bias=False, padding=None):
        """A convolution; the first one of all reads data."""
        padding = kernel // 2 if padding is None else padding
        self.size = (self.size + 2 * padding - kernel) // stride + 1
        channels, self.channels = (self.channels, n_out), n_out
        is_first = not self.layers
        self.layers.append(
            Convolution(
                self.stage, channels, kernel**2, self.size**2, groups, bias, reads_data=is_first
            )
        )
        return self

    def normed(self, n_out, kernel, stride=1, groups=1, **options):
        """A convolution without bias and the two vectors of its batch normalization."""
        return self.convolve(n_out, kernel, stride, groups, **options).norm()

    def norm(self):
        self.layers.append(Vector(self.stage, 2 * self.channels))
        return self

    def pool(self, kernel, stride, padding=0, rounds_up=False):
        """Only the size changes."""
        span = self.size + 2 * padding - kernel
        self.size = (-(-span // stride) if rounds_up else span // stride) + 1
        return self

    def aside(self) -> "ImagePath":
        """A second path from here, such as the shortcut of a block; its layers join these."""
        path = ImagePath(self.channels, self.size, self.layers)
        path.stage = self.stage
        return path

    def classify(self, *widths):
        """Linear layers on the flattened image, `widths` their outputs."""
        n_in = self.channels * self.size**2
        for n_out in widths:
            self.layers.append(Linear("classifier", n_in, n_out, rows=1))
            n_in = n_out
        return tuple(self.layers)


@dataclass(frozen=True, repr=False)
class AlexNet(Architecture):
    """The one-tower AlexNet. Reference: Krizhevsky (2014)."""

    n_classes: int = 1000
    image_size: int = 224
    name: str = "alexnet"

    @property
    def layers(self):
        path = ImagePath(3, self.image_size)
        path.convolve(64, 11, stride=4, bias=True, padding=2).pool(3, 2)
        path.stage = "body"
        path.convolve(192, 5, bias=True).pool(3, 2)
        path.convolve(384, 3, bias=True).convolve(256, 3, bias=True).convolve(256, 3, bias=True)
        path.size = 6  # adaptive pooling
        return path.classify(4096, 4096, self.n_classes)


@dataclass(frozen=True, repr=False)
class VGG(Architecture):
    """Five stages of 3 x 3 convolutions. Reference: Simonyan and Zisserman (2015).

    >>> VGG(depths=(2, 2, 3, 3, 3)).params()
    138357544
    """

    depths: tuple[int, ...]
    has_norm: bool = False
    n_classes: int = 1000
    image_size: int = 224
    name: str = "vgg"

    CHANNELS: ClassVar[tuple[int, ...]] = (64, 128, 256, 512, 512)
    DEPTHS: ClassVar[dict[str, tuple[int, ...]]] = {
        "vgg11": (1, 1, 2, 2, 2),
        "vgg13": (2, 2, 2, 2, 2),
        "vgg16": (2, 2, 3, 3, 3),
        "vgg19": (2, 2, 4, 4, 4),
    }

    @property
    def layers(self):
        path = ImagePath(3, self.image_size)
        for stage, (depth, channels) in enumerate(zip(self.depths, self.CHANNELS, strict=True), 1):
            path.stage = f"stage {stage}"
            for _ in range(depth):
                path.convolve(channels, 3, bias=True)
                if self.has_norm:
                    path.norm()
            path.pool(2, 2)
        path.size = 7  # adaptive pooling
        return path.classify(4096, 4096, self.n_classes)


@dataclass(frozen=True, repr=False)
class ResNet(Architecture):
    """Residual networks, also wide ones and those with grouped convolutions (ResNeXt).

    The stride of a bottleneck sits on its 3 x 3 convolution. Reference: He et al. (2016);
    Zagoruyko and Komodakis (2016); Xie et al. (2017).

    >>> ResNet(depths=(3, 4, 6, 3)).forward_flops()
    8178368512
    """

    depths: tuple[int, ...]
    has_bottleneck: bool = True
    n_groups: int = 1
    group_width: int = 64
    n_classes: int = 1000
    image_size: int = 224
    name: str = "resnet"

    VARIANTS: ClassVar[dict[str, dict]] = {
        "resnet18": {"depths": (2, 2, 2, 2), "has_bottleneck": False},
        "resnet34": {"depths": (3, 4, 6, 3), "has_bottleneck": False},
        "resnet50": {"depths": (3, 4, 6, 3)},
        "resnet101": {"depths": (3, 4, 23, 3)},
        "resnet152": {"depths": (3, 8, 36, 3)},
        "resnext50_32x4d": {"depths": (3, 4, 6, 3), "n_groups": 32, "group_width": 4},
        "resnext101_32x8d": {"depths": (3, 4, 23, 3), "n_groups": 32, "group_width": 8},
        "resnext101_64x4d": {"depths": (3, 4, 23, 3), "n_groups": 64, "group_width": 4},
        "wide_resnet50_2": {"depths": (3, 4, 6, 3), "group_width": 128},
        "wide_resnet101_2": {"depths": (3, 4, 23, 3), "group_width": 128},
    }

    @property
    def layers(self):
        path = ImagePath(3, self.image_size).normed(64, 7, stride=2).pool(3, 2, padding=1)
        for stage, depth in enumerate(self.depths):
            path.stage = f"stage {stage + 1}"
            for i in range(depth):
                self._block(path, 64 * 2**stage, stride=2 if stage and not i else 1)
        path.size = 1  # mean over the image
        return path.classify(self.n_classes)

    def _block(self, path, planes, stride):
        shortcut = path.aside()
        if self.has_bottleneck:
            inner = planes * self.group_width // 64 * self.n_groups
            path.normed(inner, 1).normed(inner, 3, stride, self.n_groups).normed(4 * planes, 1)
        else:
            path.normed(planes, 3, stride).normed(planes, 3)
        if (shortcut.channels, shortcut.size) != (path.channels, path.size):
            shortcut.normed(path.channels, 1, stride)
