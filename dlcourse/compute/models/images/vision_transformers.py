"""Transformers on images, as torchvision builds them.

An image of `image_size` pixels a side is cut into patches of `patch_size`: each is a token, and a
class token comes first.
"""

from dataclasses import dataclass
from typing import ClassVar

from dlcourse.compute.models.attention import Attention, FeedForward
from dlcourse.compute.models.layers import Convolution, Linear, Repeated, Tower, Vector
from dlcourse.compute.models.model import Architecture


def patch_embedding(width: int, patch_size: int, n_patches: int, bias=True, n_channels=3):
    """The convolution that reads the image: one product a patch."""
    channels = (n_channels, width)
    return Convolution("patches", channels, patch_size**2, n_patches, bias=bias, reads_data=True)


@dataclass(frozen=True, repr=False)
class VisionTransformer(Architecture):
    """ViT with a linear classifier on the class token. Reference: Dosovitskiy et al. (2021).

    >>> VisionTransformer(n_layers=12, width=768, n_heads=12).forward_flops()
    35127656448
    """

    n_layers: int
    width: int
    n_heads: int
    patch_size: int = 16
    image_size: int = 224
    n_classes: int = 1000
    name: str = "vit"

    VARIANTS: ClassVar[dict[str, dict]] = {
        "vit_b_16": {"n_layers": 12, "width": 768, "n_heads": 12},
        "vit_b_32": {"n_layers": 12, "width": 768, "n_heads": 12, "patch_size": 32},
        "vit_l_16": {"n_layers": 24, "width": 1024, "n_heads": 16},
        "vit_l_32": {"n_layers": 24, "width": 1024, "n_heads": 16, "patch_size": 32},
        "vit_h_14": {"n_layers": 32, "width": 1280, "n_heads": 16, "patch_size": 14},
    }

    @property
    def layers(self):
        d, n_patches = self.width, (self.image_size // self.patch_size) ** 2
        block = (
            Attention(d, self.n_heads, d // self.n_heads, self.n_heads, biases="qkvo"),
            FeedForward(d, 4 * d, bias=True),
            Vector("norms", 4 * d),
        )
        tokens = (
            patch_embedding(d, self.patch_size, n_patches),
            Vector("class token and positions", (n_patches + 2) * d),
            Repeated(self.n_layers, block),
            Vector("norms", 2 * d),
            Linear("classifier", d, self.n_classes, rows=1),
        )
        return (Tower("image", tokens, length=n_patches + 1),)
