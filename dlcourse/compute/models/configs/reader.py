"""An architecture from a Hugging Face config.json: which reader knows which `model_type`."""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from dlcourse.compute.models.configs.decoder_families import FAMILIES
from dlcourse.compute.models.configs.decoders import Family, block, decoder
from dlcourse.compute.models.configs.disentangled import deberta
from dlcourse.compute.models.configs.encoder_decoders import TRANSLATORS, t5, translator, whisper
from dlcourse.compute.models.configs.encoders import ENCODERS, encoder, modern_bert
from dlcourse.compute.models.configs.fields import Fields
from dlcourse.compute.models.configs.image_configs import IMAGES
from dlcourse.compute.models.configs.image_text import IMAGE_TEXT
from dlcourse.compute.models.configs.special_decoders import SPECIAL
from dlcourse.compute.models.layers import Linear, Vector
from dlcourse.compute.models.model import Model

READERS = {
    **{name: partial(decoder, family=family) for name, family in FAMILIES.items()},
    **SPECIAL,
    **dict.fromkeys(ENCODERS, encoder),
    "deberta-v2": deberta,
    "modernbert": modern_bert,
    **dict.fromkeys(("t5", "mt5", "umt5"), t5),
    **dict.fromkeys(TRANSLATORS, translator),
    "whisper": whisper,
    **IMAGE_TEXT,
    **IMAGES,
}
TEXT_OF_QWEN = ("qwen2_vl", "qwen2_5_vl", "qwen2_vl_text", "qwen2_5_vl_text")
SAME_AS = {
    "kimi_k2": "deepseek_v3",
    **dict.fromkeys(("RefinedWeb", "RefinedWebModel"), "falcon"),
    **dict.fromkeys(TEXT_OF_QWEN, "qwen2"),
}
NEEDED = ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size")
FOREIGN = ("ffn_config", "attn_config", "vision_config")  # parts that a guess would miss


def supported_types() -> tuple[str, ...]:
    """Every `model_type` that is read and checked against transformers."""
    return tuple(sorted(READERS))


def read_config(path) -> dict:
    """The fields of a config.json on disk, or an error that says what is wrong with the file.

    Raises `ValueError` where there is no file, or no JSON in it.
    """
    path = Path(path)
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(
            f"`{path}` must be a file, and there is none. Give the path of a config.json."
        ) from None
    except (IsADirectoryError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(
            f"`{path}` must hold JSON, and does not: {error}. Give the path of a config.json."
        ) from None
    return dict(Fields(config).config)


def from_config(config: Mapping, n_predicted: int = 1) -> Model:
    """The architecture of a Hugging Face config, given as a dict.

    `n_predicted` counts the tokens predicted at each position: 2 adds one module of multi-token
    prediction, as DeepSeek-V3 trains with; the counts of transformers are those of 1. Fields that
    the config leaves out take the defaults of its class. A `model_type` that is not known is read
    as a decoder of Llama's kind where the file names such a class, and the result says so.

    >>> from_config({"model_type": "gpt2"}).params()
    124439808
    """
    c = Fields(config)
    has_text = isinstance(c.config.get("text_config"), Mapping)
    if c.model_type in SAME_AS and not has_text:
        c = Fields(config, SAME_AS[c.model_type])
    if c.model_type in READERS:
        model = READERS[c.model_type](c)
    elif has_text:
        inner = from_config(config["text_config"], n_predicted)
        note = f"only the language model of {c.model_type!r} is counted, not its other towers"
        return replace(inner, assumptions=(*inner.assumptions, note))
    else:
        model = guessed(c)
    model = replace(model, assumptions=(*model.assumptions, named_class(c), *left_open(c)))
    if n_predicted > 1:
        return with_prediction(model, c, n_predicted - 1)
    if c.get("num_nextn_predict_layers"):
        note = "modules of multi-token prediction, which the config names, are left out"
        return replace(model, assumptions=(*model.assumptions, note))
    return model


def named_class(c: Fields) -> str:
    """Which head is counted."""
    if c.class_name:
        return f"counted as {c.class_name}"
    return "the file names no class: counted with the head that its family usually has"


def left_open(c: Fields) -> tuple[str, ...]:
    """Sizes that the file leaves to the defaults of its `model_type`, and towers left out."""
    names = [name for name in ("hidden_size", "num_hidden_layers") if c.is_default(name)]
    sizes = " and ".join(f"{name} {c[name]}" for name in names)
    notes = [f"defaults of {c.model_type!r}, not in the file: {sizes}"] if names else []
    if c.config.get("model_type") in TEXT_OF_QWEN:
        notes.append("the vision tower is left out: only the language model is counted")
    return tuple(notes)


def refuse_guess(c: Fields):
    """Raise `ValueError` where no decoder is named, or parts are nested that a guess would miss."""
    foreign = [name for name in FOREIGN if name in c.config]
    names = c.words("architectures")
    if any(name.endswith(("ForCausalLM", "LMHeadModel")) for name in names) and not foreign:
        return
    reason = f"with {', '.join(foreign)}" if foreign else f"with architectures {list(names)}"
    raise ValueError(
        f"`model_type` must be one of {', '.join(supported_types())}; another is read as a decoder "
        f"only where `architectures` names a class that ends in ForCausalLM or LMHeadModel, and "
        f"without {', '.join(FOREIGN)}. Got {c.model_type!r} {reason}. Give the supported type "
        "with the same layers, or describe the network with the records of dlcourse.compute."
    )


def guessed(c: Fields) -> Model:
    """A decoder of Llama's kind from the fields of an unknown `model_type`, named as a guess.

    Raises `ValueError` with the fields that are missing.
    """
    common = {
        "n_embd": "hidden_size",
        "d_model": "hidden_size",
        "n_layer": "num_hidden_layers",
        "n_layers": "num_hidden_layers",
        "n_head": "num_attention_heads",
        "n_heads": "num_attention_heads",
        "n_positions": "max_position_embeddings",
    }
    fields = {common.get(name, name): value for name, value in c.config.items()}
    missing = [name for name in NEEDED if name not in fields]
    if missing:
        raise ValueError(
            f"`model_type` must be one of {', '.join(supported_types())}; or the config must name "
            f"a decoder under `architectures` and have {', '.join(NEEDED)}. Got "
            f"{c.model_type!r} without {', '.join(missing)}. Add them, or describe the network "
            "with the records of dlcourse.compute."
        )
    refuse_guess(c)
    is_gated = fields.get("hidden_act", "silu") in ("silu", "swish", "swiglu", "geglu")
    bias = fields.get("mlp_bias", False)
    note = (
        f"model_type {c.model_type!r} is not known: read as a decoder of Llama's kind, "
        f"{'gated' if is_gated else 'not gated'}, rotary positions, two norms a block"
    )
    model = decoder(Fields(fields, c.model_type), Family(is_gated=is_gated, hidden_bias=bias))
    return replace(model, assumptions=(note,))


def with_prediction(model: Model, c: Fields, n_modules: int) -> Model:
    """The model with modules that predict further tokens; tables and vocabulary map are shared.

    Each joins the stream with the next token's embedding, passes one more block like the last, and
    predicts. Raises `ValueError` for a type whose modules are not known. Reference: DeepSeek-AI
    (2024).
    """
    if c.model_type not in ("deepseek_v3", "glm4_moe"):
        raise ValueError(
            f"`n_predicted` must be 1 for {c.model_type!r}: modules of multi-token prediction are "
            "known for deepseek_v3 and glm4_moe. Leave it out."
        )
    d, last = c.size("hidden_size"), c.size("num_hidden_layers") - 1
    module = (
        Vector("norms", 3 * d),  # of both inputs, and before the vocabulary
        Linear("prediction map", 2 * d, d, bias=False),
        *block(c, FAMILIES[c.model_type], last),
        Linear("vocabulary", d, c.size("vocab_size"), bias=False, is_tied=True),
    )
    note = f"{n_modules} module(s) of multi-token prediction are counted"
    layers = (*model.layers, *(n_modules * module))
    return replace(model, layers=layers, assumptions=(*model.assumptions, note))


def config_report(config: Mapping, sequence_length=None, batch=1, causal=False) -> dict:
    """Parameters and FLOPs of a config with their conventions, ready for JSON."""
    return from_config(config).report(sequence_length, batch, causal).as_dict()
