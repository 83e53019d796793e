"""Networks on images from a config: ResNet, ConvNeXt and Swin."""

from dlcourse.compute.models.configs.fields import Fields
from dlcourse.compute.models.configs.image_text import patches_a_side
from dlcourse.compute.models.images.convnets import ImagePath
from dlcourse.compute.models.images.deep_convnets import ConvNeXt, Swin
from dlcourse.compute.models.model import Model


def headless(c: Fields, layers: tuple) -> tuple:
    """Without the classifier, which comes last, where the bare model is named."""
    return layers[:-1] if c.class_name.endswith("Model") else layers


def resnet(c: Fields) -> Model:
    """ResNet of any widths, at 224 pixels, which its config does not say."""
    stem, widths, depths = c.size("embedding_size"), c.sizes("hidden_sizes"), c.sizes("depths")
    has_bottleneck = c["layer_type"] == "bottleneck"
    path = ImagePath(c.size("num_channels"), 224).normed(stem, 7, stride=2).pool(3, 2, padding=1)
    for stage, (width, depth) in enumerate(zip(widths, depths, strict=False)):
        path.stage = f"stage {stage + 1}"
        for i in range(depth):
            stride = 2 if not i and (stage or c.get("downsample_in_first_stage")) else 1
            if path.channels != width or stride > 1:
                path.aside().normed(width, 1, stride)
            if has_bottleneck:
                early = stride if c.get("downsample_in_bottleneck") else 1
                inner = width // 4
                path.normed(inner, 1, early).normed(inner, 3, stride // early).normed(width, 1)
            else:
                path.normed(width, 3, stride).normed(width, 3)
    path.size = 1
    layers = headless(c, path.classify(c.n_classes()))
    return Model(c.model_type, layers, assumptions=("images of 224 x 224 pixels",))


def convnext(c: Fields) -> Model:
    """ConvNeXt, with patches of 4 pixels."""
    sizes = (c.sizes("depths"), c.sizes("hidden_sizes"), c.n_classes(), c.size("image_size"))
    return Model(c.model_type, headless(c, ConvNeXt(*sizes).layers))


def swin(c: Fields) -> Model:
    """Swin, version 1, with heads that double from stage to stage."""
    patch_size = c.size("patch_size")
    record = Swin(
        c.sizes("depths"),
        c.size("embed_dim"),
        c.sizes("num_heads")[0],
        is_second=False,
        window=c.size("window_size"),
        n_classes=c.n_classes(),
        image_size=patches_a_side(c) * patch_size,
        patch_size=patch_size,
    )
    return Model(c.model_type, headless(c, record.layers))


IMAGES = {"convnext": convnext, "resnet": resnet, "swin": swin}
