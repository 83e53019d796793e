"""Closed forms of parameters and FLOPs: against hand counts, transformers, and each other."""

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from dlcourse.compute.models import architectures, conventions, parts
from dlcourse.compute.models.attention import Attention, Experts, FeedForward
from dlcourse.compute.models.configs.reader import from_config
from dlcourse.compute.models.images.convnets import VGG, ResNet
from dlcourse.compute.models.images.small_networks import MLP, Recurrent
from dlcourse.compute.models.parts import Load

ORACLE = json.loads((Path(__file__).parent / "oracles" / "transformers_counts.json").read_text())
DEEPSEEK = {"model_type": "deepseek_v3"}


def label(row):
    return f"{row['config']['architectures'][0]}-{row['params']}"


def test_a_product_is_two_flops_for_each_multiply_add():
    multiply_adds = sum(1 for _ in range(5) for _ in range(7) for _ in range(3))
    assert parts.product_flops(5, 3, 7) == 2 * multiply_adds


def test_a_causal_mask_leaves_half_of_the_square_and_a_window_less():
    full = parts.attention_flops(2, 10, (64, 64))
    assert parts.causal_attention_flops(2, 10, 64) == full // 2
    assert parts.causal_attention_flops(2, 10, 64, window=64) == full // 2
    inside = sum(i + 0.5 for i in range(16)) + 16 * 48
    assert parts.causal_attention_flops(2, 10, 64, window=16) == 2 * 2 * 10 * inside


def test_groups_divide_the_cost_of_a_convolution_and_its_weights():
    whole = parts.convolution_flops(9, (8, 16), 25, 1)
    assert [parts.convolution_flops(9, (8, 16), 25, g) * g for g in (1, 2, 4, 8)] == 4 * [whole]
    assert parts.convolution_params((8, 16), 25, 8, bias=True) == 16 * 25 + 16


def test_every_row_of_the_reference_is_met_exactly():
    rows = architectures.exactness().rows  # no parameters: each test process would count them first
    wrong = [
        f"{row.name}: {row.quantity} {row.ours:,}, {row.source} {row.expected:,}"
        for row in rows
        if row.error
    ]
    assert rows
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("row", ORACLE["rows"], ids=label)
def test_closed_forms_equal_the_models_of_transformers(row):
    network = from_config(row["config"])
    load = (row["sequence_length"], row["batch"])
    assert network.params() == row["params"]
    if row["forward_flops"] is not None:
        assert network.forward_flops(*load) == row["forward_flops"]
    if row["train_step_flops"] is not None:
        assert network.train_step_flops(*load) == row["train_step_flops"]


def test_deepseek_v3_from_its_config():
    network = from_config(DEEPSEEK)
    assert network.params() == 671_026_404_352
    assert network.params_active() == 37_552_282_624
    assert network.train_step_flops(4096, causal=True) == 4096 * 250_449_887_232


def test_one_module_of_multi_token_prediction_costs_what_deepseek_v3_trained_with():
    network, plain = from_config(DEEPSEEK, n_predicted=2), from_config(DEEPSEEK)
    assert network.train_step_flops(4096, causal=True) == 4096 * 260_641_652_736
    d, rank, heads = 7168, (1536, 512), 128
    attention = d * rank[0] + rank[0] * heads * 192 + d * 576 + 512 * heads * 256 + heads * 128 * d
    experts = 257 * 3 * d * 2048 + 256 * d
    norms = 5 * d + sum(rank)
    assert network.params() - plain.params() == attention + experts + norms + 2 * d * d


def test_modules_of_prediction_that_are_left_out_are_named():
    network = from_config(DEEPSEEK | {"num_nextn_predict_layers": 1})
    assert network.params() == from_config(DEEPSEEK).params()
    assert any("are left out" in note for note in network.assumptions)
    with pytest.raises(ValueError, match="`n_predicted` must be 1 for 'llama'"):
        from_config({"model_type": "llama"}, n_predicted=2)


def test_a_config_on_disk_gives_the_same_as_its_dict(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"model_type": "gpt2", "n_layer": 2}))
    report = architectures.config_report(architectures.read_config(path), 128, batch=3, causal=True)
    network = from_config({"model_type": "gpt2", "n_layer": 2})
    assert report["forward_flops"] == network.forward_flops(128, 3, causal=True)
    assert set(report) == {
        "params",
        "params_active",
        "forward_flops",
        "train_step_flops",
        "conventions",
    }
    assert report["conventions"]["attention"].startswith("causal")
    assert report["conventions"]["sequence_length"] == 128
    json.dumps(report)


def test_batch_multiplies_and_length_enters_attention_squared():
    network = from_config({"model_type": "llama"})
    assert network.forward_flops(256, batch=7) == 7 * network.forward_flops(256)
    products = 2 * 2 * 32 * 4096 * 256**2
    twice = 2 * network.forward_flops(256)
    assert network.forward_flops(512) - twice == 2 * products


def test_tied_tables_save_parameters_and_no_flops():
    tied, own = (
        from_config({"model_type": "llama", "tie_word_embeddings": t}) for t in (True, False)
    )
    assert own.params() - tied.params() == 32000 * 4096
    assert own.forward_flops(64) == tied.forward_flops(64)
    assert tied.params(embeddings=False) == own.params(embeddings=False) - 32000 * 4096


def test_fewer_heads_of_keys_save_maps_but_no_products():
    many, few = (Attention(64, 8, 8, k).parts(Load(10)) for k in (8, 2))
    saved = 2 * 10 * 64 * 6 * 8 * 2
    assert many[0].forward_flops - few[0].forward_flops == saved
    assert many[1] == few[1]


def test_experts_that_are_not_chosen_hold_parameters_and_compute_nothing():
    layer = Experts(FeedForward(16, 24, is_gated=True), n_experts=8, n_chosen=2)
    router, experts = layer.parts(Load(5))
    assert experts.params == 8 * 3 * 16 * 24
    assert experts.idle_params == 6 * 3 * 16 * 24
    assert experts.forward_flops == 5 * 2 * 2 * 3 * 16 * 24
    assert router.forward_flops == 2 * 5 * 16 * 8


def test_the_first_layer_has_no_input_gradient():
    mlp = MLP((30, 20, 10))
    assert mlp.train_step_flops(batch=4) == 4 * (2 * 2 * 30 * 20 + 3 * 2 * 20 * 10)
    resnet = ResNet((1, 1, 1, 1), image_size=64)
    stem = 2 * 32 * 32 * 64 * 3 * 49
    assert resnet.train_step_flops() == 3 * resnet.forward_flops() - stem


@pytest.mark.parametrize(("cell", "n_gates"), Recurrent.GATES.items())
def test_a_recurrent_step_maps_input_and_state_through_every_gate(cell, n_gates):
    network = Recurrent(cell, 6, 10)
    assert network.params() == n_gates * (10 * 6 + 10 * 10 + 2 * 10)
    assert network.forward_flops(7, 3) == 7 * 3 * n_gates * 2 * (6 + 10) * 10
    constant = 3 * n_gates * 2 * (7 * 6 + 10) * 10  # input, and the state before the first step
    assert network.train_step_flops(7, 3) == 3 * network.forward_flops(7, 3) - constant


def test_norms_of_vgg_add_parameters_and_no_products():
    plain, normed = VGG((1, 1, 2, 2, 2)), VGG((1, 1, 2, 2, 2), has_norm=True)
    assert normed.forward_flops() == plain.forward_flops()
    assert normed.params() - plain.params() == 2 * (64 + 128 + 2 * 256 + 4 * 512)


# Entries that reach the classifier, as published with each network.
CLASSIFIED = {"alexnet": 4096, "vgg16": 4096, "resnet50": 2048, "squeezenet1_0": 512}
CLASSIFIED |= {"densenet121": 1024, "densenet161": 2208, "convnext_tiny": 768, "swin_t": 768}
CLASSIFIED |= {"mobilenet_v2": 1280, "mobilenet_v3_small": 1024, "mnasnet1_0": 1280}
CLASSIFIED |= {"shufflenet_v2_x1_0": 1024, "efficientnet_b0": 1280, "efficientnet_v2_s": 1280}
CLASSIFIED |= {"regnet_y_400mf": 440, "vit_b_16": 768}


@pytest.mark.parametrize(("name", "width"), CLASSIFIED.items())
def test_fewer_classes_save_their_weights_and_biases(name, width):
    network = architectures.named(name)
    fewer = replace(network, n_classes=10)
    assert network.params() - fewer.params() == 990 * (width + 1)


@pytest.mark.parametrize("name", sorted(set(CLASSIFIED) - {"vit_b_16", "swin_t"}))
def test_a_larger_image_costs_more_products_and_no_parameters(name):
    network = architectures.named(name)
    larger = replace(network, image_size=2 * network.image_size)
    assert larger.params() == network.params()
    assert 2 < larger.forward_flops() / network.forward_flops() < 4.5


@pytest.mark.parametrize("name", ["mobilenet_v2", "shufflenet_v2_x1_0", "densenet121"])
def test_an_image_of_twice_the_side_has_four_times_the_products_but_one_classifier(name):
    network = architectures.named(name)
    larger = replace(network, image_size=2 * network.image_size)
    classifier = 2 * CLASSIFIED[name] * network.n_classes
    assert larger.forward_flops() - classifier == 4 * (network.forward_flops() - classifier)


def test_an_encoder_ignores_the_causal_convention():
    network = from_config({"model_type": "bert"})
    assert network.forward_flops(100, causal=True) == network.forward_flops(100)


def test_a_windowed_model_costs_less_only_beyond_its_window():
    config = {"model_type": "mistral", "num_hidden_layers": 2, "sliding_window": 256}
    windowed, free = from_config(config), from_config(config | {"sliding_window": None})
    assert windowed.forward_flops(256, causal=True) == free.forward_flops(256, causal=True)
    assert windowed.forward_flops(512, causal=True) < free.forward_flops(512, causal=True)
    assert windowed.forward_flops(512) == free.forward_flops(512)


def test_every_result_prints_its_conventions():
    text = repr(from_config({"model_type": "gpt2"}).report(64, 2, causal=True))
    for words in ["FLOPs", "causal", "no recomputation", "sequence length", "64", "124,439,808"]:
        assert words in text
    assert "causal" in repr(from_config({"model_type": "gpt2"}).conventions(causal=True))


@pytest.mark.parametrize("unit", ["MACs", "mac", "multi-adds", "FMAs"])
def test_multiply_adds_are_refused_with_the_cure(unit):
    with pytest.raises(ValueError, match="Double the number: 8.2e\\+09 FLOPs"):
        conventions.as_flops(4.1e9, unit)


def test_a_rate_or_an_unknown_unit_or_a_negative_count_is_refused():
    for value, unit in [(1.0, "TFLOP/s"), (1.0, "apples"), (-1.0, "FLOPs")]:
        with pytest.raises(ValueError, match="FLOPs"):
            conventions.as_flops(value, unit)
    assert conventions.as_flops(3.0, "FLOP") == 3.0


BAD = [
    ({"model_type": "llama", "num_hidden_layers": -2}, "num_hidden_layers.*got -2"),
    ({"model_type": "llama", "hidden_size": 12.5}, "hidden_size.*got 12.5"),
    ({"model_type": "deepseek_v2"}, "num_experts_per_tok"),
    ({"model_type": "perceiver"}, "must be one of albert, .*Got 'perceiver'"),
    ({"model_type": "gemma2", "layer_types": ["sliding_attention"]}, "26 layers, got 1 entries"),
    ({"model_type": "gemma2", "layer_types": 3}, "`layer_types` must list one kind.*got 3"),
    ({"model_type": "vit", "num_labels": "3"}, "num_labels.*got '3'"),
    ({"model_type": "vit", "num_labels": -3}, "num_labels.*got -3"),
    ({"model_type": "vit", "id2label": 5}, "id2label.*must be a dict of labels, got 5"),
    ({"model_type": "dinov2", "mlp_ratio": -4}, "mlp_ratio.*above zero, got -4"),
    ({"model_type": "vit", "patch_size": 225}, "patch_size.*at most `image_size`, 224, got 225"),
    ({"model_type": "swin", "patch_size": 225}, "patch_size.*at most `image_size`, 224, got 225"),
    ({"model_type": "deepseek_v3", "first_k_dense_replace": -1}, "at least 0, got -1"),
    ({"model_type": "qwen2_moe", "mlp_only_layers": 5}, "list of numbers of layers, got 5"),
    ({"model_type": "mixtral", "num_experts_per_tok": 9}, "number of experts, 8, got 9"),
    ({"model_type": "mistral", "num_key_value_heads": 5}, "must divide.*got 5 and 32"),
    (
        {"model_type": "falcon", "new_decoder_architecture": True, "num_kv_heads": 8},
        "num_kv_heads.*must divide.*got 8 and 71",
    ),
    ({"model_type": "llama", "hidden_size": 100}, "hidden_size.*multiple of.*got 100 and 32"),
    ({"model_type": "bart", "decoder_attention_heads": 15}, "got 1024 and 15"),
    ({"model_type": "clip", "text_config": {"hidden_size": 513}}, "got 513 and 8"),
    ({}, "hidden_size"),
    ([], "must be a dict"),
]


@pytest.mark.parametrize(("config", "words"), BAD)
@pytest.mark.bad_input
def test_a_bad_config_is_refused_and_named(config, words):
    with pytest.raises(ValueError, match=words):
        from_config(config)


@pytest.mark.bad_input
def test_a_field_of_the_wrong_kind_is_always_a_value_error():
    wrong, refused = [None, -1, 0, 1.5, "x", [], {}, True, "7", [1, 2], {"a": 1}], 0
    for seed in range(400):
        rng = random.Random(seed)
        config = dict(rng.choice(ORACLE["rows"])["config"])
        config[rng.choice(list(config))] = rng.choice(wrong)
        try:
            from_config(config).forward_flops(4)
        except ValueError:
            refused += 1
    assert refused > 150


def test_too_many_layers_are_refused():
    with pytest.raises(ValueError, match="at most 10,000, got 1,000,000"):
        from_config({"model_type": "llama", "num_hidden_layers": 1_000_000})


@pytest.mark.parametrize("load", [{"sequence_length": 0}, {"sequence_length": 1.5}, {"batch": -1}])
@pytest.mark.bad_input
def test_a_bad_load_is_refused(load):
    with pytest.raises(ValueError, match="whole number of at least 1"):
        from_config({"model_type": "gpt2"}).forward_flops(**load)


def test_a_bad_file_is_refused(tmp_path):
    (tmp_path / "text.json").write_text("not json")
    for path in [tmp_path / "text.json", tmp_path / "none.json", tmp_path]:
        with pytest.raises(ValueError, match="config.json"):
            architectures.read_config(path)


def test_an_unknown_model_type_is_read_as_llama_and_says_so():
    sizes = {
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "vocab_size": 99,
        "intermediate_size": 128,
    }
    named = {"model_type": "new", "architectures": ["NewForCausalLM"], **sizes}
    guess = from_config(named)
    assert guess.params() == from_config({"model_type": "llama", **sizes}).params()
    assert "'new' is not known" in guess.assumptions[0]
    inner = from_config({"model_type": "seer", "text_config": {"model_type": "llama", **sizes}})
    assert inner.params() == guess.params()
    assert "only the language model" in inner.assumptions[-1]
    for other in ({"architectures": ["NewModel"]}, {"ffn_config": {}}, {"vision_config": {}}):
        with pytest.raises(ValueError, match="must be one of albert.*ForCausalLM.*Got 'new' with"):
            from_config(named | other)


def test_older_names_of_fields_and_types_are_read():
    sizes = {"n_embed": 14336, "n_layer": 70, "num_attention_heads": 112, "vocab_size": 250880}
    assert from_config({"model_type": "bloom", **sizes}).params() == 176_247_271_424
    small = {"hidden_size": 4544, "n_layer": 2, "n_head": 71, "multi_query": True}
    modern = {"num_hidden_layers": 2, "model_type": "falcon"}
    old = from_config({"model_type": "RefinedWebModel", **small})
    assert old.params() == from_config(modern).params()
    wide = {"hidden_size": 8192, "n_layer": 60, "n_head": 128, "n_head_kv": 8}
    modern = {"hidden_size": 8192, "num_hidden_layers": 60, "num_attention_heads": 128}
    modern |= {"model_type": "falcon", "new_decoder_architecture": True, "num_kv_heads": 8}
    old = from_config({"model_type": "RefinedWeb", **wide})
    assert old.params() == from_config(modern).params() == 41_303_293_952


@pytest.mark.parametrize("name", ["qwen2_vl", "qwen2_5_vl"])
def test_the_language_model_of_qwen_with_images_is_qwen2(name):
    text = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    text |= {"num_key_value_heads": 2, "intermediate_size": 128, "vocab_size": 99}
    expected = from_config({"model_type": "qwen2", **text}).params()
    flat = from_config({"model_type": name, "vision_config": {}, **text})
    nested = {"model_type": name, "text_config": {"model_type": f"{name}_text", **text}}
    assert flat.params() == from_config(nested).params() == expected
    assert "the vision tower is left out" in flat.assumptions[-1]


def test_sizes_that_come_from_defaults_are_named():
    notes = from_config({"model_type": "gpt2", "n_layer": 2}).assumptions
    assert notes[-1] == "defaults of 'gpt2', not in the file: hidden_size 768"
    full = {"model_type": "gpt2", "n_layer": 2, "n_embd": 768}
    assert not any("defaults" in note for note in from_config(full).assumptions)


def test_sizes_of_the_class_itself_may_divide_unevenly():
    assert from_config({"model_type": "glm4_moe"}).params() > 0  # 96 heads on 4096
    with pytest.raises(ValueError, match="multiple of `num_attention_heads`.*4000 and 96"):
        from_config({"model_type": "glm4_moe", "hidden_size": 4000})


def test_names_of_networks_are_checked():
    assert architectures.named("resnet50").params() == 25_557_032
    with pytest.raises(ValueError, match="must be one of .*resnet50.* got 'resnet51'"):
        architectures.named("resnet51")


def test_a_cell_must_be_known():
    with pytest.raises(ValueError, match="RNN, GRU, LSTM"):
        Recurrent("QRNN", 2, 3)


def test_a_planted_error_in_the_closed_form_turns_the_reference_red(monkeypatch):
    monkeypatch.setattr(FeedForward, "n_maps", property(lambda layer: 2))
    errors = {row.name for row in architectures.exactness().rows if row.error}
    assert {"llama_7b", "mistral_7b", "deepseek_v3"} <= errors
    assert "gpt2" not in errors
