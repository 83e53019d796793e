"""Records of training runs: what is read, what is assumed, and what is refused with a cure."""

import json
from importlib import resources

import pytest

from dlcourse.compute.runs import records, spellings
from dlcourse.compute.runs.records import read
from dlcourse.compute.runs.spellings import number

ROWS = json.loads(
    (resources.files("dlcourse.compute") / "data" / "training_runs.json").read_text("utf-8")
)


def test_each_published_run_names_its_document_and_its_month():
    assert len(ROWS) == len({row["id"] for row in ROWS}) == 91
    for row in ROWS:
        assert len(row["source"]) > 8
        assert "2012" <= row["date"][:4] <= "2025"
        assert row["date"][4:5] == "-"


def test_published_runs_are_read_without_a_warning_or_a_guess_about_the_machine():
    for run, row in zip(records.published(), ROWS, strict=True):
        assert run.warnings == ()
        assert run.kind == row["kind"]
        assert run.precision == row["precision"]
        assert not any("accelerator" in text or "precision" in text for text in run.assumptions)


def test_hours_and_chips_of_a_row_agree():
    for row in ROWS:
        if row["wall_clock_h"] and row["n_accel"]:
            product = row["wall_clock_h"] * row["n_accel"]
            assert product == pytest.approx(row["chip_hours"], rel=0.02)


@pytest.mark.parametrize(
    ("written", "value"),
    [("7B", 7e9), ("1.4e12", 1.4e12), ("15T", 15e12), ("124,439,808", 124_439_808), (3, 3.0)],
)
def test_numbers_are_read_as_people_write_them(written, value):
    assert number(written, "x") == value


@pytest.mark.parametrize(
    "bad", [-1, 0, "-7B", float("nan"), float("inf"), "many", True, [1], 10**400]
)
def test_what_is_no_positive_number_is_refused_with_a_cure(bad):
    with pytest.raises(ValueError, match=r"Write 7e9|Leave it out"):
        number(bad, "x")


@pytest.mark.parametrize(
    ("name", "device"),
    [
        ("8x NVIDIA A100-SXM4-80GB", "A100 80GB"),
        ("NVIDIA DGX H100", "H100 SXM"),
        ("Google TPU v4", "TPU v4"),
        ("A100 (40 GB)", "A100 40GB"),
        ("TPUv4-8192", "TPU v4"),
        ("MI250", "MI250X"),
        ("4x AMD Instinct MI250", "MI250X"),
    ],
)
def test_a_device_is_found_among_other_words(name, device):
    assert spellings.device(name).name == device


@pytest.mark.parametrize("written", ["300B tokens", "300 billion", "0.3 trillion", "300B params"])
def test_numbers_are_read_in_words(written):
    assert number(written, "x") == 300e9
    assert number("3 million", "x") == 3e6


@pytest.mark.parametrize(
    "name",
    ["RTX A1000", "RTX A4000", "A3000", "Quadro P1000", "T400", "GT 430", "L400", "GH200", "A10G"]
    + ["Tesla", "GeForce", "PCIe", "80GB", "16GB", "Instinct", "SXM4", "RTX 3080 Ti", "V100S"],
)
def test_a_chip_like_another_and_a_brand_are_no_device(name):
    with pytest.raises(ValueError, match="Known"):
        spellings.device(name)


@pytest.mark.parametrize("name", ["8xA100", "1024 A100s", "DGXA100", "A100x8", "A100-SXM4-80GB x2"])
def test_a_count_of_chips_hides_no_name(name):
    assert spellings.device(name).name == "A100 80GB"


def test_a_sparse_chip_is_refused_and_a_chip_read_from_words_is_said():
    with pytest.raises(ValueError, match="dense rates: name the chip alone"):
        spellings.device("A100 sparse")
    said = read({"accelerator": "H100 NVL"}).assumptions
    assert "accelerator H100 NVL read as H100 SXM" in said
    assert not any("read as" in text for text in read({"accelerator": "H100-SXM"}).assumptions)


BAD = {
    "unit without meaning": ({"data_unit": "bananas"}, "Give the tokens"),
    "unit that is a number": ({"data_unit": 7}, "Give the tokens"),
    "steps": ({"data_unit": "steps"}, "Give the tokens"),
    "epochs of text": ({"data_unit": "epochs"}, "convolutional networks only"),
    "negative tokens": ({"data_count": -5}, "above zero"),
    "unknown chip": ({"accelerator": "abacus"}, "Known"),
    "sparse rate": ({"precision": "bf16 sparse"}, "halve the sparse rate"),
    "sparse peak": ({"accelerator": "H100", "peak_dense_tflops": 1979}, "the dense peak of"),
    "multiply-adds": ({"published_flops": 1e20, "flops_unit": "MACs"}, "Double the number"),
    "no such type": ({"accelerator": "V100", "precision": "bf16"}, "Give fp16"),
    "more active than all": ({"params_total": 1, "params_active": 2}, "Exchange them"),
    "hours that disagree": ({"wall_clock_h": 1, "n_accel": 8, "chip_hours": 99}, "are not"),
}


@pytest.mark.parametrize(("fields", "cure"), BAD.values(), ids=BAD)
def test_a_wrong_value_is_an_error_for_one_run_and_a_warning_in_a_batch(fields, cure):
    with pytest.raises(ValueError, match=cure):
        read(fields, is_strict=True)
    run = read(fields)
    assert any(cure in text for text in run.warnings)


def test_a_wrong_value_counts_as_missing():
    assert read({"data_count": -5}).data_count is None
    assert read({"accelerator": "abacus"}).device.name == records.DEFAULT_DEVICE
    assert read({"accelerator": "V100", "precision": "bf16"}).precision == "fp16"
    assert read({"published_flops": 1e20, "flops_unit": "MACs"}).published_flops == 2e20
    assert read({"published_flops": 1e20, "flops_unit": "FLOP/s"}).published_flops is None


def test_an_unknown_chip_with_a_peak_stands_in_for_itself():
    run = read({"accelerator": "Gaudi2", "peak_dense_tflops": 432, "precision": "bf16"})
    assert run.peak_flops == 432e12
    assert 0.5 < run.device.peak("bf16") / 432e12 < 2  # for its memory and bandwidth
    assert any("Gaudi2" in text for text in run.warnings)


def test_a_record_that_says_nothing_is_read_and_says_what_it_assumed():
    run = read({})
    assert run.params is None
    assert run.chip_hours is None
    assert {text.split(":")[0] for text in run.assumptions} == {
        "accelerator",
        "precision",
        "kind of model not given",
    }


def test_kind_and_parameters_are_read_from_the_name_where_nothing_else_tells():
    assert read({"model": "ResNet-50", "data_unit": "images"}).kind == "cnn"
    assert read({"model": "ViT-22B"}).kind == "vit"
    assert read({"model": "My-LLM 13B"}).params == 13e9
    mixture = read({"params_total": 671e9, "params_active": 37e9})
    assert (mixture.kind, mixture.params) == ("moe-decoder", 37e9)


def test_epochs_multiply_the_data():
    assert read({"data_count": "1M", "epochs": 90}).data_count == 90e6


def test_epochs_of_a_convolutional_network_are_of_imagenet():
    run = read({"model": "ResNet-50", "data_unit": "epochs", "data_count": 90}, is_strict=True)
    assert (run.data_unit, run.data_count) == ("images", 90 * 1_281_167)
    assert any("1,281,167" in text for text in run.assumptions)
    assert (
        read({"kind": "dense-decoder", "data_unit": "epochs", "data_count": 3}).data_count is None
    )


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("Gravity-7B", "dense-decoder"),
        ("gpt5", "dense-decoder"),
        ("ViT-L/16", "vit"),
        ("RoBERTa", "encoder"),
        ("Flan-T5", "enc-dec"),
        ("My-MoE", "moe-decoder"),
        ("Mixtral-8x7B", "moe-decoder"),
    ],
)
def test_a_kind_is_guessed_from_whole_words(model, kind):
    assert read({"model": model}).kind == kind


def test_sizes_of_mixtures_are_read_from_their_names():
    run = read({"model": "Qwen3-30B-A3B"})
    assert (run.kind, run.params_total, run.params) == ("moe-decoder", 30e9, 3e9)
    run = read({"model": "Mixtral-8x7B"})
    assert (run.params_total, run.params) == (56e9, 14e9)
