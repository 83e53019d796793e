"""Encoders of text from a config: BERT and its relatives, with the head of the named class.

The class under `architectures` decides what follows the encoder; without it the bare model is
counted, with its pooler where the family has one.
"""

from dataclasses import dataclass

from dlcourse.compute.models.attention import Attention, FeedForward
from dlcourse.compute.models.configs.fields import Fields
from dlcourse.compute.models.layers import Embedding, Linear, Repeated, Vector
from dlcourse.compute.models.model import Model

ALL = "qkvo"


@dataclass(frozen=True)
class EncoderFamily:
    """How one `model_type` differs from BERT."""

    has_types: bool = True
    has_pooler: bool = True
    has_embedding_norm: bool = True
    has_final_norm: bool = False
    has_relative_bias: bool = False
    is_shared: bool = False  # one set of weights for all layers
    classifier_map: str = "pooler"  # what a classifier of sequences reads: "pooler" or "own"
    projects_always: bool = False  # from the width of the table, also where that is the same


ENCODERS: dict[str, EncoderFamily] = {
    "albert": EncoderFamily(is_shared=True, projects_always=True),
    "bert": EncoderFamily(),
    "camembert": EncoderFamily(classifier_map="own"),
    "distilbert": EncoderFamily(has_types=False, has_pooler=False, classifier_map="own"),
    "electra": EncoderFamily(has_pooler=False, classifier_map="own"),
    "ernie": EncoderFamily(),
    "megatron-bert": EncoderFamily(has_embedding_norm=False, has_final_norm=True),
    "mpnet": EncoderFamily(has_types=False, has_relative_bias=True, classifier_map="own"),
    "roberta": EncoderFamily(classifier_map="own"),
    "xlm-roberta": EncoderFamily(classifier_map="own"),
}


def encoder(c: Fields) -> Model:
    """A text encoder of the BERT kind."""
    family, d = ENCODERS[c.model_type], c.size("hidden_size")
    narrow = c.first("embedding_size", default=d)
    tables = [("embedding", "vocab_size"), ("positions", "max_position_embeddings")]
    if family.has_types:
        tables.append(("token types", "type_vocab_size"))
    layers = [Embedding(name, c.size(rows), narrow) for name, rows in tables]
    if family.has_embedding_norm:
        layers.append(Vector("norms", 2 * narrow))
    if narrow != d or family.projects_always:
        layers.append(Linear("embedding map", narrow, d))
    if family.has_relative_bias:
        buckets, heads = c.size("relative_attention_num_buckets"), c.size("num_attention_heads")
        layers.append(Embedding("relative positions", buckets, heads))
    layers += blocks(c, family)
    if family.has_final_norm:
        layers.append(Vector("norms", 2 * d))
    layers += heads_of_class(c, family, narrow)
    return Model(c.model_type, tuple(layers), c.size("max_position_embeddings"))


def blocks(c: Fields, family: EncoderFamily) -> list:
    """All layers of the encoder; ALBERT has a few sets of weights, and passes each many times."""
    d, heads = c.size("hidden_size"), c.size("num_attention_heads")
    hidden = c.size("hidden_dim" if c.model_type == "distilbert" else "intermediate_size")
    block = (
        Attention(d, heads, d // heads, heads, ALL),
        FeedForward(d, hidden, bias=True),
        Vector("norms", 4 * d),
    )
    n_layers = c.size("num_hidden_layers")
    if not family.is_shared:
        return [Repeated(n_layers, block)]
    n_groups, n_inner = c.size("num_hidden_groups"), c.size("inner_group_num")
    once = Repeated(n_groups * n_inner, block)
    return [Repeated(n_layers // n_groups, (once,), is_shared=True)]


def heads_of_class(c: Fields, family: EncoderFamily, narrow: int) -> list:
    """What the class named in the config puts on the encoder."""
    d, task = c.size("hidden_size"), c.class_name
    pooler = [Linear("pooler", d, d, rows=1)] if family.has_pooler else []
    vocabulary = [
        Linear("head map", d, narrow),
        Vector("norms", 2 * narrow),
        Linear("vocabulary", narrow, c.size("vocab_size"), is_tied=is_tied(c)),
    ]
    classes = Linear("classifier", d, c.n_classes(), rows=1)
    if task.endswith("ForPreTraining") and c.model_type == "electra":
        return [Linear("head map", d, d), Linear("classifier", d, 1)]
    if task.endswith("ForPreTraining") and family.has_pooler:
        return [*pooler, *vocabulary, Linear("classifier", d, 2, rows=1)]
    if task.endswith("ForMaskedLM") or task.endswith("LMHeadModel") or task.endswith("ForCausalLM"):
        return vocabulary
    if task.endswith("ForSequenceClassification"):
        own = [Linear("classifier map", d, d, rows=1)]
        return [*(own if family.classifier_map == "own" else pooler), classes]
    if task.endswith("ForTokenClassification"):
        return [Linear("classifier", d, c.n_classes())]
    if task.endswith("ForQuestionAnswering"):
        return [Linear("classifier", d, 2)]
    return pooler


def is_tied(c: Fields) -> bool:
    """Whether the map to the vocabulary uses the table's weights."""
    return bool(c.get("tie_word_embeddings", True))


def modern_bert(c: Fields) -> Model:
    """ModernBERT: rotary positions, gates, and no norm before the first attention."""
    d, heads = c.size("hidden_size"), c.size("num_attention_heads")
    vectors = 2 if c.get("norm_bias") else 1
    mlp_bias, n_layers = bool(c.get("mlp_bias")), c.size("num_hidden_layers")
    block = (
        Attention(d, heads, d // heads, heads, ALL if c.get("attention_bias") else ""),
        FeedForward(d, c.size("intermediate_size"), is_gated=True, bias=mlp_bias),
    )
    layers = [
        Embedding("embedding", c.size("vocab_size"), d),
        Repeated(n_layers, block),
        Vector("norms", (2 * n_layers + 1) * vectors * d),
    ]
    if c.class_name.endswith("ForMaskedLM"):
        layers += [
            Linear("head map", d, d, bool(c.get("classifier_bias"))),
            Vector("norms", vectors * d),
            Linear(
                "vocabulary",
                d,
                c.size("vocab_size"),
                bool(c.get("decoder_bias")),
                is_tied=is_tied(c),
            ),
        ]
    return Model(c.model_type, tuple(layers), c.size("max_position_embeddings"))
