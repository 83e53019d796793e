"""Encoders of images, and of images with texts, from a config: ViT, DeiT, DINOv2, CLIP, SigLIP."""

from dataclasses import dataclass

from dlcourse.compute.models.attention import Attention, FeedForward
from dlcourse.compute.models.configs.fields import Fields, is_positive
from dlcourse.compute.models.images.vision_transformers import patch_embedding
from dlcourse.compute.models.layers import Embedding, Linear, Repeated, Tower, Vector
from dlcourse.compute.models.model import Model
from dlcourse.compute.models.parts import Load, Part, product_flops

ALL = "qkvo"


@dataclass(frozen=True)
class Similarities:
    """The products of every image's vector with every text's, and the numbers that scale them."""

    width: int
    n_scalars: int

    def parts(self, load: Load) -> list[Part]:
        flops = product_flops(load.batch, self.width, load.batch)
        return [Part("similarities", self.n_scalars, flops)]


def feed_forward_width(c: Fields) -> int:
    """As the config says, or as many times the width of the stream as it says.

    Raises `ValueError` unless it is positive.
    """
    d, ratio = c.size("hidden_size"), c.get("mlp_ratio", 4)
    if not is_positive(ratio) or round(ratio * d) < 1:
        raise ValueError(
            f"`mlp_ratio` must be a number above zero, got {ratio!r}. It is the width of the "
            "feed-forward layer over `hidden_size`: correct the field."
        )
    return c.first("intermediate_size", default=round(ratio * d))


def patches_a_side(c: Fields) -> int:
    """Whole patches along one side of the image, at least one.

    Raises `ValueError` where a patch is larger than the image.
    """
    image, patch = c.size("image_size"), c.size("patch_size")
    if patch > image:
        raise ValueError(
            f"`patch_size` must be at most `image_size`, {image}, got {patch}. Correct one of the "
            "fields."
        )
    return image // patch


def blocks(c: Fields, is_causal=False, biases=ALL, extra=0) -> Repeated:
    """Pre-norm blocks with biases, `extra` more vectors of the width in each."""
    d, heads = c.size("hidden_size"), c.size("num_attention_heads")
    hidden = feed_forward_width(c)
    feed_forward = FeedForward(d, hidden, bias=True)
    if c.get("use_swiglu_ffn"):
        feed_forward = FeedForward(d, (2 * hidden // 3 + 7) // 8 * 8, is_gated=True, bias=True)
    block = (
        Attention(d, heads, d // heads, heads, biases, is_causal=is_causal),
        feed_forward,
        Vector("norms", (4 + extra) * d),
    )
    return Repeated(c.size("num_hidden_layers"), block)


def image_layers(c: Fields, n_extra: int, has_patch_bias=True, **options) -> tuple[tuple, int]:
    """Patches, extra tokens, positions and blocks; and the number of tokens."""
    d, patch = c.size("hidden_size"), c.size("patch_size")
    n_patches = patches_a_side(c) ** 2
    n_tokens = n_patches + n_extra
    layers = (
        patch_embedding(d, patch, n_patches, has_patch_bias, c.size("num_channels")),
        Vector("extra tokens and positions", (n_extra + n_tokens) * d),
        blocks(c, **options),
        Vector("norms", 2 * d),
    )
    return layers, n_tokens


def vit(c: Fields) -> Model:
    """ViT and DeiT: a classifier on the class token, or a pooler where the bare model is named."""
    d = c.size("hidden_size")
    biases = ALL if c.get("qkv_bias") else "o"
    layers, n_tokens = image_layers(c, 2 if c.model_type == "deit" else 1, biases=biases)
    if c.class_name.endswith("Model"):
        head = [Linear("pooler", d, d, rows=1)]
    else:
        n_heads = 2 if c.class_name.endswith("WithTeacher") else 1
        head = n_heads * [Linear("classifier", d, c.n_classes(), rows=1)]
    return Model(c.model_type, (Tower("image", layers, n_tokens), *head))


def dinov2(c: Fields) -> Model:
    """DINOv2: a scale on each branch, and a token for masked patches."""
    d, biases = c.size("hidden_size"), ALL if c.get("qkv_bias") else "o"
    layers, n_tokens = image_layers(c, 1, biases=biases, extra=2)
    tail = [Vector("mask token", d)]
    if c.class_name.endswith("ForImageClassification"):
        tail.append(Linear("classifier", 2 * d, c.n_classes(), rows=1))
    return Model(c.model_type, (Tower("image", layers, n_tokens), *tail))


def clip_vision(c: Fields) -> Tower:
    """CLIP's tower of images: no bias on the patches, one norm more before the blocks."""
    layers, n_tokens = image_layers(c, 1, has_patch_bias=False)
    return Tower("image", (*layers, Vector("norms", 2 * c.size("hidden_size"))), n_tokens)


def clip_text(c: Fields) -> Tower:
    """CLIP's tower of texts; its mask is causal."""
    d = c.size("hidden_size")
    tables = (
        Embedding("embedding", c.size("vocab_size"), d),
        Embedding("positions", c.size("max_position_embeddings"), d),
    )
    return Tower("text", (*tables, blocks(c, is_causal=True), Vector("norms", 2 * d)))


def clip(c: Fields) -> Model:
    """CLIP: two towers, two maps to a common width, all pairs compared."""
    text, image = (
        c.sub("text_config", "clip_text_model"),
        c.sub("vision_config", "clip_vision_model"),
    )
    width = c.size("projection_dim")
    layers = (
        clip_vision(image),
        clip_text(text),
        Linear("image map", image.size("hidden_size"), width, bias=False, rows=1),
        Linear("text map", text.size("hidden_size"), width, bias=False, rows=1),
        Similarities(width, n_scalars=1),
    )
    return Model(c.model_type, layers, text.size("max_position_embeddings"))


@dataclass(frozen=True)
class AttentionPool:
    """One learned query reads all tokens; then a feed-forward layer. SigLIP's head."""

    width: int
    n_heads: int
    hidden: int

    def parts(self, load: Load) -> list[Part]:
        d = self.width
        one = Load(1, load.batch, load.length)
        pool = Attention(d, self.n_heads, d // self.n_heads, self.n_heads, ALL, memory_width=d)
        layers = (pool, FeedForward(d, self.hidden, bias=True), Vector("norms", 3 * d))
        parts = [part for layer in layers for part in layer.parts(one)]
        return [Part(f"pool, {part.name}", part.params, part.forward_flops) for part in parts]


def siglip_vision(c: Fields) -> Tower:
    """SigLIP's tower of images: no class token, a pool of attention at the end."""
    layers, n_tokens = image_layers(c, 0)
    if c.get("vision_use_head", True):
        d, heads = c.size("hidden_size"), c.size("num_attention_heads")
        layers += (AttentionPool(d, heads, c.size("intermediate_size")),)
    return Tower("image", layers, n_tokens)


def siglip(c: Fields) -> Model:
    """SigLIP: two towers, neither causal; the last token stands for the text."""
    text = c.sub("text_config", "siglip_text_model")
    image = c.sub("vision_config", "siglip_vision_model")
    d, length = text.size("hidden_size"), text.size("max_position_embeddings")
    width = text.first("projection_size", default=d)
    tables = (
        Embedding("embedding", text.size("vocab_size"), d),
        Embedding("positions", length, d),
    )
    layers = (
        siglip_vision(image),
        Tower("text", (*tables, blocks(text), Vector("norms", 2 * d))),
        Linear("text map", d, width, rows=1),
        Similarities(width, n_scalars=2),
    )
    return Model(c.model_type, layers, length)


IMAGE_TEXT = {
    "clip": clip,
    "deit": vit,
    "dinov2": dinov2,
    "siglip": siglip,
    "vit": vit,
}
