"""Decoder-only models whose config has a language of its own: OPT, Falcon, MPT."""

from dlcourse.compute.models.attention import Attention, FeedForward
from dlcourse.compute.models.configs.decoders import grouped_heads, head, repeated
from dlcourse.compute.models.configs.fields import Fields
from dlcourse.compute.models.layers import Embedding, Linear, Repeated, Vector
from dlcourse.compute.models.model import Model


def opt(c: Fields) -> Model:
    """OPT: learned positions from row 2, and a narrower table in one of its sizes."""
    d, heads, length = (
        c.size("hidden_size"),
        c.size("num_attention_heads"),
        c.size("max_position_embeddings"),
    )
    narrow = c.first("word_embed_proj_dim", default=d)
    bias, norm = bool(c.get("enable_bias")), 2 * d * bool(c.get("layer_norm_elementwise_affine"))
    block = (
        Attention(d, heads, d // heads, heads, "qkvo" if bias else "", is_causal=True),
        FeedForward(d, c.size("ffn_dim"), bias=bias),
        Vector("norms", 2 * norm),
    )
    layers = [Embedding("embedding", c.size("vocab_size"), narrow)]
    layers.append(Embedding("positions", length + 2, d))
    if narrow != d:
        layers.append(Linear("embedding map", narrow, d, bias=False))
    layers.append(Repeated(c.size("num_hidden_layers"), block))
    if c.get("do_layer_norm_before") and not c.get("_remove_final_layer_norm"):
        layers.append(Vector("norms", norm))
    if narrow != d:
        layers.append(Linear("embedding map", d, narrow, bias=False))
    return Model(c.model_type, (*layers, *head(c, narrow)), length)


def falcon(c: Fields) -> Model:
    """Falcon: one head of keys, or groups of heads in the newer kind; attention beside the rest.

    RefinedWeb is what the first files of the newer kind are called.
    """
    d, heads, bias = c.size("hidden_size"), c.size("num_attention_heads"), bool(c.get("bias"))
    is_first_new = c.config.get("model_type") == "RefinedWeb"
    is_new = bool(c.get("new_decoder_architecture")) or is_first_new
    key_heads = 1 if c.get("multi_query") else heads
    if is_new:
        key_heads = grouped_heads(c, "num_kv_heads")
    is_parallel = bool(c.get("parallel_attn")) or is_new
    n_norms = 1 if is_parallel and not is_new else 2
    if is_new and c.get("num_ln_in_parallel_attn") == 1:
        n_norms = 1
    block = (
        Attention(d, heads, d // heads, key_heads, "qkvo" if bias else "", is_causal=True),
        FeedForward(d, c.first("ffn_hidden_size", default=4 * d), bias=bias),
        Vector("norms", n_norms * 2 * d),
    )
    layers = (
        Embedding("embedding", c.size("vocab_size"), d),
        Repeated(c.size("num_hidden_layers"), block),
        Vector("norms", 2 * d),
        *head(c, d),
    )
    return Model(c.model_type, layers, c.size("max_position_embeddings", 2048))


def mpt(c: Fields) -> Model:
    """MPT: no biases, positions as slopes added to the scores."""
    d, heads = c.size("hidden_size"), c.size("num_attention_heads")
    block = (
        Attention(d, heads, d // heads, heads, is_causal=True),
        FeedForward(d, c.size("expansion_ratio") * d),
        Vector("norms", 2 * d),
    )
    layers = (
        Embedding("embedding", c.size("vocab_size"), d),
        *repeated([block] * c.size("num_hidden_layers")),
        Vector("norms", d),
        *head(c, d),
    )
    return Model(c.model_type, layers, c.size("max_seq_len"))


SPECIAL = {"opt": opt, "falcon": falcon, "mpt": mpt}
