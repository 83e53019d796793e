"""Models with an encoder and a decoder from a config: T5, BART and their relatives, Whisper.

Both sequences are as long as the load says; Whisper's encoder always reads 30 seconds of sound.
"""

from dataclasses import dataclass

from dlcourse.compute.models.attention import Attention, FeedForward
from dlcourse.compute.models.configs.fields import Fields
from dlcourse.compute.models.layers import Convolution, Embedding, Linear, Repeated, Tower, Vector
from dlcourse.compute.models.model import Model

ALL = "qkvo"


def vocabulary(c: Fields, width: int) -> list[Linear]:
    """The map to the vocabulary; a class that ends in Model has none, but for two that do."""
    name = c.class_name
    if name.endswith("Model") and not name.endswith(("MTModel", "LMHeadModel")):
        return []
    is_tied = bool(c.get("tie_word_embeddings", True))
    return [Linear("vocabulary", width, c.size("vocab_size"), bias=False, is_tied=is_tied)]


def t5(c: Fields) -> Model:
    """T5: no biases, norms without shift, one table of relative positions a stack."""
    d, heads, width = c.size("d_model"), c.size("num_heads"), c.size("d_kv")
    is_gated = "gated" in c["feed_forward_proj"]
    n_layers = c.size("num_layers")
    each = c.model_type == "umt5"  # a table of relative positions in every layer

    def stack(n_layers, is_decoder):
        own = Attention(d, heads, width, heads, is_causal=is_decoder)
        cross = [Attention(d, heads, width, heads, memory_width=d)] if is_decoder else []
        block = (own, *cross, FeedForward(d, c.size("d_ff"), is_gated))
        buckets = c.size("relative_attention_num_buckets") * heads
        return (
            Repeated(n_layers, (*block, Vector("norms", (len(block)) * d))),
            Vector("relative positions", buckets * (n_layers if each else 1)),
            Vector("norms", d),
        )

    table = Embedding("embedding", c.size("vocab_size"), d)
    encoder = Tower("encoder", stack(n_layers, is_decoder=False))
    if c.class_name.endswith("EncoderModel"):
        return Model(c.model_type, (table, encoder), 512)
    n_decoder_layers = c.first("num_decoder_layers", default=n_layers)
    decoder = Tower("decoder", stack(n_decoder_layers, is_decoder=True), memory="length")
    layers = [table, encoder, decoder]
    layers += vocabulary(c, d)
    return Model(c.model_type, tuple(layers), 512)


@dataclass(frozen=True)
class TranslatorFamily:
    """How one relative of BART lays out its positions and its outer norms."""

    positions: int | None = 2  # rows beyond the longest sequence; None: none stored as parameters
    has_embedding_norm: bool = True
    has_final_norm: bool = False


TRANSLATORS: dict[str, TranslatorFamily] = {
    "bart": TranslatorFamily(),
    "blenderbot": TranslatorFamily(0, has_embedding_norm=False, has_final_norm=True),
    "m2m_100": TranslatorFamily(None, has_embedding_norm=False, has_final_norm=True),
    "marian": TranslatorFamily(0, has_embedding_norm=False),
    "mbart": TranslatorFamily(has_final_norm=True),
    "pegasus": TranslatorFamily(0, has_embedding_norm=False, has_final_norm=True),
}


def half(c: Fields, side: str, biases: str = ALL) -> tuple:
    """The blocks of the encoder or of the decoder, by the fields of BART's configs."""
    d, heads = c.size("d_model"), c.size(f"{side}_attention_heads")
    is_decoder = side == "decoder"
    attention = [Attention(d, heads, d // heads, heads, biases, is_causal=is_decoder)]
    if is_decoder:
        attention.append(Attention(d, heads, d // heads, heads, biases, memory_width=d))
    block = (*attention, FeedForward(d, c.size(f"{side}_ffn_dim"), bias=True))
    norms = Vector("norms", 2 * len(block) * d)
    return (Repeated(c.size(f"{side}_layers"), (*block, norms)),)


def translator(c: Fields) -> Model:
    """BART and its relatives."""
    family, d = TRANSLATORS[c.model_type], c.size("d_model")
    length = c.size("max_position_embeddings")

    def tower(side, memory=0):
        layers = list(half(c, side))
        if family.positions is not None:
            layers.append(Embedding("positions", length + family.positions, d))
        layers.append(Vector("norms", 2 * d * (family.has_embedding_norm + family.has_final_norm)))
        return Tower(side, tuple(layers), memory=memory)

    layers = [Embedding("embedding", c.size("vocab_size"), d)]
    layers += [tower("encoder"), tower("decoder", memory="length")]
    layers += vocabulary(c, d)
    return Model(c.model_type, tuple(layers), length)


def whisper(c: Fields) -> Model:
    """Whisper: two convolutions over a spectrogram of 30 seconds, then encoder and decoder."""
    d, frames = c.size("d_model"), c.size("max_source_positions")
    length, biases = c.size("max_target_positions"), "qvo"
    encoder = (
        Convolution("sound", (c.size("num_mel_bins"), d), 3, 2 * frames, reads_data=True),
        Convolution("sound", (d, d), 3, frames),
        Embedding("positions", frames, d),
        *half(c, "encoder", biases),
        Vector("norms", 2 * d),
    )
    decoder = (
        Embedding("positions", length, d),
        *half(c, "decoder", biases),
        Vector("norms", 2 * d),
    )
    layers = [
        Embedding("embedding", c.size("vocab_size"), d),
        Tower("encoder", encoder, length=frames),
        Tower("decoder", decoder, memory=frames),
    ]
    layers += vocabulary(c, d)
    assumptions = (f"each sequence reads {frames} frames of sound",)
    return Model(c.model_type, tuple(layers), length, assumptions)
