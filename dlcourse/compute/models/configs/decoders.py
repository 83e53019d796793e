"""Decoder-only language models from a config: one block, and how the families differ from it.

A family is a row of the table in `decoder_families`: which maps have a bias, how many norms, gated
or not. What all share is written once, here.
"""

from dataclasses import dataclass
from itertools import groupby

from dlcourse.compute.models.attention import Attention, Experts, FeedForward, LatentAttention
from dlcourse.compute.models.configs.fields import Fields
from dlcourse.compute.models.layers import Embedding, Linear, Repeated, Vector
from dlcourse.compute.models.model import Model

MOST_LAYERS = 10_000


@dataclass(frozen=True)
class Family:
    """How one `model_type` differs from Llama. A switch may be the name of a flag of the config."""

    biases: str = ""  # the maps of q, k, v, o that have a bias
    biases_if: tuple[tuple[str, str], ...] = (("attention_bias", "qkvo"),)  # (flag, maps)
    is_gated: bool = True
    hidden_bias: bool | str = False  # of the feed-forward layer
    n_norms: int = 2  # as wide as the stream, in a block
    norm_vectors: int = 1  # 2: a scale and a shift
    head_norms: str = ""  # "one" vector for all heads, or "each" head its own, for queries and keys
    head_norms_if: str | None = None
    head_norm_vectors: int = 1
    has_sinks: bool = False  # one number a head, added to the scores
    router_bias: bool = False
    expert_bias: bool = False
    positions: int | None = None  # rows of a table of positions beyond the longest sequence
    has_embedding_norm: bool = False
    has_final_norm: bool = True
    head_bias: bool | str = False  # of the map to the vocabulary
    full_every: str | int | None = None  # of so many layers one has no window; None: see `window`


def is_on(c: Fields, switch: bool | str | None) -> bool:
    """The value of a switch, or of the flag that it names."""
    return bool(c.get(switch)) if isinstance(switch, str) else bool(switch)


def n_key_value_heads(c: Fields) -> int:
    """Heads of keys and values: as many as of queries where the config does not say."""
    if c.get("multi_query"):
        return 1
    return grouped_heads(c, "num_key_value_heads", "num_kv_heads")


def grouped_heads(c: Fields, *names: str) -> int:
    """Heads of keys and values by the first of these fields that is set: a divisor of the heads.

    Raises `ValueError` unless they divide the heads of queries.
    """
    heads = c.size("num_attention_heads")
    key_heads = c.first(*names, default=heads)
    if heads % key_heads:
        raise ValueError(
            f"`{names[0]}` must divide `num_attention_heads`, got {key_heads} and {heads}. "
            "Queries share heads of keys in equal groups: correct one of the fields."
        )
    return key_heads


def window(c: Fields, family: Family, i: int) -> int | None:
    """How far layer i looks back, or None."""
    width = c.get("sliding_window")
    if not width or c.get("use_sliding_window") is False:
        return None
    types = layer_types(c)
    if types:
        return width if types[i] == "sliding_attention" else None
    if c.get("max_window_layers") is not None and "use_sliding_window" in c.defaults:
        return width if i >= c["max_window_layers"] else None
    every = family.full_every
    every = c.get(every) if isinstance(every, str) else every
    return None if every and (i + 1) % every == 0 else width


def layer_types(c: Fields) -> list | None:
    """The kind of each layer, where the config lists them.

    Raises `ValueError` where the list is shorter than the network.
    """
    types, n = c.get("layer_types"), c.size("num_hidden_layers")
    if types and (not isinstance(types, list) or len(types) < n):
        got = f"{len(types)} entries" if isinstance(types, list) else repr(types)
        raise ValueError(
            f"`layer_types` must list one kind for each of the {n} layers, got {got}. Complete "
            "the list, or correct `num_hidden_layers`."
        )
    return types


def attention(c: Fields, family: Family, i: int) -> tuple:
    """Attention of layer i, with the vectors that go with its heads."""
    if c.get("kv_lora_rank"):
        return (latent_attention(c),)
    heads, d = c.size("num_attention_heads"), c.size("hidden_size")
    key_heads, width = n_key_value_heads(c), c.first("head_dim", default=d // heads)
    extra = "".join(maps for flag, maps in family.biases_if if c.get(flag))
    layers = [
        Attention(d, heads, width, key_heads, family.biases + extra, True, window(c, family, i))
    ]
    if family.head_norms and is_on(c, family.head_norms_if or True):
        n_vectors = {"one": 2, "each": heads + key_heads}[family.head_norms]
        layers.append(Vector("norms", family.head_norm_vectors * n_vectors * width))
    if family.has_sinks:
        layers.append(Vector("sinks", heads))
    return tuple(layers)


def latent_attention(c: Fields) -> LatentAttention:
    """Multi-head latent attention, as DeepSeek-V2 has it."""
    return LatentAttention(
        c.size("hidden_size"),
        c.size("num_attention_heads"),
        c.first("q_lora_rank"),
        c.size("kv_lora_rank"),
        c.size("qk_nope_head_dim"),
        c.size("qk_rope_head_dim"),
        c.size("v_head_dim"),
        bool(c.get("attention_bias")),
    )


def is_sparse(c: Fields, i: int) -> bool:
    """Whether layer i has experts."""
    if not n_experts(c):
        return False
    if c.get("moe_layers") is not None:
        return i in layer_numbers(c, "moe_layers")
    if i in layer_numbers(c, "mlp_only_layers") or i < c.count("first_k_dense_replace", 0):
        return False
    step = c.first("decoder_sparse_step", "interleave_moe_layer_step", default=1)
    return (i + 1) % step == 0


def layer_numbers(c: Fields, name: str) -> list:
    """The numbers of the layers that a field lists, or none.

    Raises `ValueError` where the field is no list.
    """
    numbers = c.get(name) or []
    if not isinstance(numbers, list):
        raise ValueError(
            f"`{name}` must be a list of numbers of layers, got {numbers!r}. Correct the field."
        )
    return numbers


def n_experts(c: Fields) -> int | None:
    """Experts that a router chooses from, whatever the field is called."""
    return c.first("n_routed_experts", "num_local_experts", "num_experts")


def n_chosen(c: Fields) -> int:
    """Experts that one token passes.

    Raises `ValueError` where they are more than there are.
    """
    chosen, n = c.size("num_experts_per_tok"), n_experts(c)
    if chosen > n:
        raise ValueError(
            f"`num_experts_per_tok` must be at most the number of experts, {n}, got {chosen}. "
            "Correct one of the fields."
        )
    return chosen


def experts(c: Fields, family: Family) -> Experts:
    """A mixture of experts, and the shared expert where there is one."""
    d = c.size("hidden_size")
    hidden = c.first("moe_intermediate_size") or c.size("intermediate_size")
    shared = c.first("shared_expert_intermediate_size", "shared_intermediate_size")
    has_gate = c.get("shared_expert_intermediate_size") is not None
    if shared is None and c.get("n_shared_experts"):
        shared = c.size("n_shared_experts") * hidden
    if "intermediate_size_mlp" in c.defaults:  # Llama 4: a shared expert as wide as one expert
        shared = hidden
    shared_bias = is_on(c, family.hidden_bias)
    return Experts(
        FeedForward(d, hidden, family.is_gated, family.expert_bias),
        n_experts(c),
        n_chosen(c),
        FeedForward(d, shared, family.is_gated, shared_bias) if shared else None,
        family.router_bias,
        has_gate,
    )


def feed_forward(c: Fields, family: Family, i: int):
    """The second half of block i: experts, or one dense layer."""
    if is_sparse(c, i):
        return experts(c, family)
    d = c.size("hidden_size")
    names = ("intermediate_size_mlp", "intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size")
    hidden = c.first(*names, default=4 * d)
    return FeedForward(d, hidden, family.is_gated, is_on(c, family.hidden_bias))


def block(c: Fields, family: Family, i: int) -> tuple:
    """Attention, feed-forward and norms of layer i."""
    norms = family.n_norms * family.norm_vectors * c.size("hidden_size")
    return (*attention(c, family, i), feed_forward(c, family, i), Vector("norms", norms))


def repeated(blocks) -> tuple[Repeated, ...]:
    """Runs of equal blocks, each written once."""
    return tuple(Repeated(len(list(run)), layers) for layers, run in groupby(blocks))


def head(c: Fields, width: int, bias: bool = False) -> tuple:
    """The map from the stream to the vocabulary or to classes, as the named class has it."""
    task = c.class_name
    if task.endswith("ForSequenceClassification") or task.endswith("ForTokenClassification"):
        return (Linear("classifier", width, c.n_classes(), "Token" in task),)
    if task.endswith("Model") and not task.endswith("LMHeadModel"):
        return ()
    is_tied = bool(c.get("tie_word_embeddings"))
    return (Linear("vocabulary", width, c.size("vocab_size"), bias, is_tied=is_tied),)


def n_layers(c: Fields) -> int:
    """Layers of a decoder, which are read one by one.

    Raises `ValueError` for more than `MOST_LAYERS`.
    """
    n = c.size("num_hidden_layers")
    if n > MOST_LAYERS:
        raise ValueError(
            f"`num_hidden_layers` must be at most {MOST_LAYERS:,}, got {n:,}. Correct the field."
        )
    return n


def decoder(c: Fields, family: Family) -> Model:
    """A decoder-only language model: table, blocks, norm, map to the vocabulary."""
    d = c.size("hidden_size")
    length = c.first("max_position_embeddings", "n_positions", "max_seq_len", default=2048)
    layers = [Embedding("embedding", c.size("vocab_size"), d)]
    if family.positions is not None:
        layers.append(Embedding("positions", length + family.positions, d))
    if family.has_embedding_norm:
        layers.append(Vector("norms", family.norm_vectors * d))
    layers += repeated(block(c, family, i) for i in range(n_layers(c)))
    if family.has_final_norm:
        layers.append(Vector("norms", family.norm_vectors * d))
    layers += head(c, d, is_on(c, family.head_bias))
    return Model(c.model_type, tuple(layers), length)
