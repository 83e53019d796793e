"""Counts of transformers' own models, on random small configs: the oracle of the closed forms.

Run as `python -m tests.library.compute.oracles.transformers_counts` where torch and transformers
are installed. It writes two files that the package and the tests read without them: what each
config class takes as defaults, and what its models hold and compute, counted by torch with eager
attention.
"""

import dataclasses
import json
import random
from datetime import date
from pathlib import Path

from tests import ROOT

DEFAULTS = ROOT / "dlcourse" / "compute" / "data" / "config_defaults.json"
COUNTS = Path(__file__).with_suffix(".json")
N_CONFIGS = 3  # for each class

WIDTHS, HEADS, HIDDEN, LAYERS, LENGTHS = (32, 64), (2, 4), (40, 56, 66), (1, 2, 3), (48, 60)
ON_OFF = (False, True)
SAMPLES = {
    **dict.fromkeys(("hidden_size", "n_embd", "d_model", "dim"), WIDTHS),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads"), HEADS),
    **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), HEADS),
    **dict.fromkeys(("attention_heads",), HEADS),
    **dict.fromkeys(("intermediate_size", "ffn_dim", "hidden_dim", "d_ff"), HIDDEN),
    **dict.fromkeys(("encoder_ffn_dim", "decoder_ffn_dim", "intermediate_size_mlp"), HIDDEN),
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size"), (18, 24)),
    **dict.fromkeys(("n_inner", "ffn_hidden_size"), (None, 40)),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers"), LAYERS),
    **dict.fromkeys(("encoder_layers", "decoder_layers", "num_decoder_layers"), LAYERS),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "max_target_positions"), LENGTHS),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts"), (4, 8)),
    **dict.fromkeys(("decoder_sparse_step", "interleave_moe_layer_step"), (1, 2)),
    **dict.fromkeys(("num_key_value_heads", "num_kv_heads"), (1, 2)),
    "vocab_size": (67, 90),
    "type_vocab_size": (1, 2, 3),
    "head_dim": (8, 16),
    "d_kv": (8, 12),
    "num_experts_per_tok": (2, 3),
    "shared_intermediate_size": (18, 24),
    "n_shared_experts": (1, 2),
    "first_k_dense_replace": (0, 1, 2),
    "n_group": (1,),
    "topk_group": (1,),
    "q_lora_rank": (None, 12),
    "kv_lora_rank": (8, 10),
    "v_head_dim": (6, 8),
    "qk_nope_head_dim": (4, 6),
    "qk_rope_head_dim": (4, 8),
    "rotary_dim": (4,),
    "word_embed_proj_dim": (24,),
    "embedding_size": (16, 32),
    "inner_group_num": (1, 2),
    "relative_attention_num_buckets": (8, 12),
    "feed_forward_proj": ("relu", "gated-gelu"),
    "num_mel_bins": (8, 10),
    "max_source_positions": (20, 24),
    "image_size": (32, 48),
    "patch_size": (8, 16),
    "num_channels": (1, 3),
    "mlp_ratio": (2, 4),
    "relative_attention": (True,),
    "pos_att_type": (["p2c", "c2p"],),
    "projection_dim": (20, 30),
    **dict.fromkeys(("attention_bias", "mlp_bias", "tie_word_embeddings", "qkv_bias"), ON_OFF),
    **dict.fromkeys(("use_qkv_bias", "use_bias", "qk_layernorm", "use_qk_norm"), ON_OFF),
    **dict.fromkeys(("attention_out_bias", "lm_head_bias", "do_layer_norm_before"), ON_OFF),
    **dict.fromkeys(("multi_query", "bias", "enable_bias", "use_swiglu_ffn"), ON_OFF),
}
# What a class cannot run without, or does not read from its config.
FIXED = {
    "codegen": {"n_head": 4},
    "falcon": {"multi_query": True, "num_kv_heads": 2},
    "gpt_neo": {"num_layers": 2, "attention_types": [[["global", "local"], 1]]},
    "mpnet": {"relative_attention_num_buckets": 32},
    "mpt": {"expansion_ratio": 4},
    "phimoe": {"num_experts_per_tok": 2},
}
CLASSES = {
    "albert": "AlbertModel AlbertForMaskedLM AlbertForPreTraining AlbertForSequenceClassification",
    "bart": "BartModel BartForConditionalGeneration",
    "bert": "BertModel BertForPreTraining BertForMaskedLM BertForSequenceClassification "
    "BertForTokenClassification BertForQuestionAnswering",
    "blenderbot": "BlenderbotForConditionalGeneration",
    "camembert": "CamembertForMaskedLM",
    "clip": "CLIPModel",
    "convnext": "ConvNextModel ConvNextForImageClassification",
    "deberta-v2": "DebertaV2Model DebertaV2ForMaskedLM DebertaV2ForSequenceClassification",
    "deit": "DeiTModel DeiTForImageClassification DeiTForImageClassificationWithTeacher",
    "dinov2": "Dinov2Model Dinov2ForImageClassification",
    "distilbert": "DistilBertModel DistilBertForMaskedLM DistilBertForSequenceClassification",
    "electra": "ElectraModel ElectraForPreTraining ElectraForMaskedLM "
    "ElectraForSequenceClassification",
    "ernie": "ErnieModel ErnieForMaskedLM",
    "gpt2": "GPT2LMHeadModel GPT2Model GPT2ForSequenceClassification",
    "llama": "LlamaForCausalLM LlamaModel LlamaForSequenceClassification",
    "m2m_100": "M2M100ForConditionalGeneration",
    "marian": "MarianMTModel",
    "mbart": "MBartForConditionalGeneration",
    "megatron-bert": "MegatronBertModel MegatronBertForPreTraining",
    "modernbert": "ModernBertModel ModernBertForMaskedLM",
    "mpnet": "MPNetModel MPNetForMaskedLM MPNetForSequenceClassification",
    "mt5": "MT5ForConditionalGeneration",
    "pegasus": "PegasusForConditionalGeneration",
    "resnet": "ResNetModel ResNetForImageClassification",
    "roberta": "RobertaModel RobertaForMaskedLM RobertaForSequenceClassification",
    "siglip": "SiglipModel",
    "swin": "SwinModel SwinForImageClassification",
    "t5": "T5Model T5ForConditionalGeneration T5EncoderModel",
    "umt5": "UMT5ForConditionalGeneration",
    "vit": "ViTModel ViTForImageClassification",
    "whisper": "WhisperModel WhisperForConditionalGeneration",
    "xlm-roberta": "XLMRobertaModel XLMRobertaForMaskedLM",
}
# These tie the map to the vocabulary to the table, whatever their configs say.
ALWAYS_TIED = set(CLASSES) - {"gpt2", "llama"}
# Llama 4 as written there passes every token through all experts, and weighs most with zero.
PARAMETERS_ONLY = {"llama4_text"}
IMAGES = {
    "convnext": {
        "depths": ([1, 2, 1], [2, 1, 1]),
        "hidden_sizes": ([8, 16, 24], [12, 16, 32]),
        "num_stages": (3,),
        "image_size": (64, 96),
    },
    "resnet": {
        "depths": ([1, 2, 1], [2, 1, 1]),
        "hidden_sizes": ([32, 64, 96], [16, 32, 64]),
        "embedding_size": (16, 32),
        "layer_type": ("bottleneck", "basic"),
        "downsample_in_first_stage": ON_OFF,
        "downsample_in_bottleneck": ON_OFF,
    },
    "swin": {
        "depths": ([1, 2, 1], [2, 1, 1]),
        "embed_dim": (16, 32),
        "num_heads": ([2, 4, 8],),
        "window_size": (2, 4),
        "image_size": (64, 96),
    },
}
NESTED = {
    "clip": {"text_config": "clip_text_model", "vision_config": "clip_vision_model"},
    "siglip": {"text_config": "siglip_text_model", "vision_config": "siglip_vision_model"},
}
SIZE_WORDS = ("size", "num_", "n_", "dim", "rank", "layers", "heads", "bias", "d_", "positions")
MORE_FIELDS = set(SAMPLES) | {
    "add_cross_attention",
    "alibi",
    "classifier_bias",
    "decoder_bias",
    "depths",
    "downsample_in_bottleneck",
    "downsample_in_first_stage",
    "expansion_ratio",
    "inner_group_num",
    "layer_norm_elementwise_affine",
    "layer_type",
    "max_seq_len",
    "max_window_layers",
    "new_decoder_architecture",
    "norm_bias",
    "parallel_attn",
    "sliding_window",
    "sliding_window_pattern",
    "use_sliding_window",
    "vision_use_head",
}


def defaults(model_type: str) -> dict:
    """Fields of the config class that decide sizes, with their defaults, and its aliases."""
    from transformers import CONFIG_MAPPING

    cls = CONFIG_MAPPING[model_type]
    values = {}
    for field in dataclasses.fields(cls):
        is_known = field.name in MORE_FIELDS or any(word in field.name for word in SIZE_WORDS)
        is_plain = isinstance(field.default, bool | int | float | str | tuple)
        if is_known and is_plain and not field.name.endswith(("_id", "_dropout", "_std", "_eps")):
            values[field.name] = field.default
    tied = getattr(cls(), "tie_word_embeddings", None)
    if tied is not None:
        values["tie_word_embeddings"] = tied
    aliases = {name: own for name, own in cls.attribute_map.items() if "token" not in name}
    return {"aliases": aliases, "defaults": values}


def sampled(model_type: str, rng: random.Random) -> dict:
    """A small config: random values for those fields that the class has."""
    from transformers import CONFIG_MAPPING

    cls = CONFIG_MAPPING[model_type]
    names = {field.name for field in dataclasses.fields(cls)}
    raw = {name: cls.attribute_map.get(name, name) for name in SAMPLES}
    config = {}
    for name, values in SAMPLES.items():
        own = name if name in names else raw[name]
        if own in names and own not in config:
            config[own] = rng.choice(values)
    if model_type == "deberta-v2":  # fields that its class takes without naming them
        buckets, kernel = rng.choice((-1, 8)), rng.choice((0, 3))
        config |= {"position_buckets": buckets, "conv_kernel_size": kernel, "share_att_key": True}
        config |= {"norm_rel_ebd": rng.choice(("none", "layer_norm"))}
    if model_type in IMAGES:
        config = {name: rng.choice(values) for name, values in IMAGES[model_type].items()}
    config |= FIXED.get(model_type, {})
    if model_type in ALWAYS_TIED:
        config.pop("tie_word_embeddings", None)
    if "kv_lora_rank" in names:
        config["num_key_value_heads"] = config["num_attention_heads"]
    if model_type == "helium":
        config["head_dim"] = config["hidden_size"] // config["num_attention_heads"]
    for name, nested in NESTED.get(model_type, {}).items():
        config[name] = sampled(nested, rng) | ({"hidden_size": 32} if "siglip" in nested else {})
        config[name].pop("projection_dim", None)
        if "vision" in nested:
            config[name]["num_channels"] = 3
    return config


def example(model, model_type: str, length: int, batch: int) -> dict:
    """Inputs of the model: zeros of the shapes that it takes."""
    import torch

    c, tokens = model.config, torch.full((batch, length), 2)
    image = getattr(c, "vision_config", c)
    inputs = {}
    if hasattr(image, "num_channels"):
        size = getattr(image, "image_size", 224)
        shape = (batch, image.num_channels, size, size)
        inputs["pixel_values"] = torch.zeros(shape)
    if model_type == "whisper":
        shape = (batch, c.num_mel_bins, 2 * c.max_source_positions)
        inputs["input_features"] = torch.zeros(shape)
    elif "num_channels" not in vars(c):
        inputs["input_ids"] = tokens
    is_pair = c.is_encoder_decoder and "Encoder" not in type(model).__name__
    return inputs | ({"decoder_input_ids": tokens} if is_pair else {})


def counted(model_type: str, class_name: str, config: dict, rng: random.Random) -> dict:
    """Parameters, and FLOPs of a forward pass and of a training step, by torch's own counter."""
    import torch
    import transformers
    from torch.utils._pytree import tree_leaves
    from torch.utils.flop_counter import FlopCounterMode

    special = {} if model_type in (NESTED | IMAGES) else {"pad_token_id": 1}
    full = transformers.CONFIG_MAPPING[model_type](**config, **special)
    full._experts_implementation = "eager"
    model = getattr(transformers, class_name)._from_config(full, attn_implementation="eager")
    length, batch = rng.randrange(3, 20), rng.randrange(1, 4)
    inputs = example(model.eval(), model_type, length, batch)
    with FlopCounterMode(display=False) as forward:
        model(**inputs)
    with FlopCounterMode(display=False) as training:
        leaves = tree_leaves(model(**inputs))
        sum(x.sum() for x in leaves if torch.is_tensor(x) and x.requires_grad).backward()
    flops = [forward.get_total_flops(), training.get_total_flops()]
    if model_type in PARAMETERS_ONLY:
        flops = [None, None]
    if any(getattr(module, "groups", 1) > 1 for module in model.modules()):
        flops[1] = None  # torch's counter is wrong for grouped convolutions
    return {
        "config": {"model_type": model_type, "architectures": [class_name], **config},
        "sequence_length": length,
        "batch": batch,
        "params": sum(parameter.numel() for parameter in model.parameters()),
        "forward_flops": flops[0],
        "train_step_flops": flops[1],
    }


def rows_of(model_type: str):
    """`N_CONFIGS` rows for each class of this model_type."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    names = CLASSES.get(model_type) or MODEL_FOR_CAUSAL_LM_MAPPING_NAMES[model_type]
    for class_name in names.split():
        for seed in range(N_CONFIGS):
            rng = random.Random(f"{class_name} {seed}")
            yield counted(model_type, class_name, sampled(model_type, rng), rng)


def main():
    import torch
    import transformers

    from dlcourse.compute.models.configs.reader import supported_types

    transformers.logging.set_verbosity_error()
    types = supported_types()
    source = f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}"
    head = {"source": source, "date": date.today().isoformat()}
    nested = [name for names in NESTED.values() for name in names.values()]
    known = {name: defaults(name) for name in sorted([*types, *nested])}
    DEFAULTS.write_text(json.dumps(head | {"model_types": known}, indent=1) + "\n")
    rows = [row for name in types for row in rows_of(name)]
    lines = ",\n".join(json.dumps(row) for row in rows)
    COUNTS.write_text(json.dumps(head)[:-1] + f', "rows": [\n{lines}\n]}}\n')
    print(f"{len(rows)} rows of {len(types)} model types, {source}")


if __name__ == "__main__":
    main()
