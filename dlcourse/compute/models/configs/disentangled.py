"""DeBERTa from a config: attention that scores content and relative position apart.

span  relative positions are told apart up to so many steps to either side
"""

from dataclasses import dataclass

from dlcourse.compute.models.attention import Attention, FeedForward
from dlcourse.compute.models.configs.encoders import EncoderFamily, heads_of_class
from dlcourse.compute.models.configs.fields import Fields
from dlcourse.compute.models.layers import Embedding, Repeated, Vector
from dlcourse.compute.models.model import Model
from dlcourse.compute.models.parts import (
    Load,
    Part,
    attention_flops,
    convolution_flops,
    convolution_params,
    linear_params,
    product_flops,
)

FAMILY = EncoderFamily(has_pooler=False, classifier_map="own")


@dataclass(frozen=True)
class PositionScores:
    """Content to position, position to content: each maps 2 span embeddings and scores all tokens.

    The maps are those of queries and keys where they are shared. Reference: He et al. (2021).
    """

    width: int
    n_heads: int
    span: int
    kinds: tuple[str, ...]  # of "c2p" and "p2c"
    is_shared: bool

    def parts(self, load: Load) -> list[Part]:
        d, n_places = self.width, 2 * self.span
        n_maps = 2 if self.is_shared else len(self.kinds)
        params = 0 if self.is_shared else n_maps * linear_params(d, d)
        scores = attention_flops(self.n_heads, d // self.n_heads, (load.length, n_places))
        return [
            Part("position maps", params, n_maps * product_flops(n_places, d, d)),
            Part("position products", 0, load.batch * len(self.kinds) * scores),
        ]


@dataclass(frozen=True)
class TokenConvolution:
    """A convolution along the tokens, beside the first layer, with its norm."""

    width: int
    kernel: int
    groups: int

    def parts(self, load: Load) -> list[Part]:
        shape = ((self.width, self.width), self.kernel, self.groups)
        params = convolution_params(*shape, bias=True) + 2 * self.width
        return [Part("token convolution", params, convolution_flops(load.tokens, *shape))]


def deberta(c: Fields) -> Model:
    """DeBERTa, versions 2 and 3."""
    d, heads, length = (
        c.size("hidden_size"),
        c.size("num_attention_heads"),
        c.size("max_position_embeddings"),
    )
    layers = [Embedding("embedding", c.size("vocab_size"), d), Vector("norms", 2 * d)]
    if c.get("position_biased_input", True):
        layers.append(Embedding("positions", length, d))
    if c.get("type_vocab_size"):
        layers.append(Embedding("token types", c.size("type_vocab_size"), d))
    block = [
        Attention(d, heads, d // heads, heads, "qkvo"),
        FeedForward(d, c.size("intermediate_size"), bias=True),
        Vector("norms", 4 * d),
    ]
    if c.get("relative_attention"):
        reach = c.number("max_relative_positions", -1)
        span = max(c.number("position_buckets", -1), 0) or (reach if reach >= 1 else length)
        kinds = c.words("pos_att_type")
        block.append(PositionScores(d, heads, span, kinds, bool(c.get("share_att_key"))))
        layers.append(Embedding("relative positions", 2 * span, d))
        if "layer_norm" in c.words("norm_rel_ebd"):
            layers.append(Vector("norms", 2 * d))
    if c.get("conv_kernel_size"):
        layers.append(TokenConvolution(d, c.size("conv_kernel_size"), c.size("conv_groups", 1)))
    layers.append(Repeated(c.size("num_hidden_layers"), tuple(block)))
    layers += heads_of_class(c, FAMILY, d)
    return Model(c.model_type, tuple(layers), length)
