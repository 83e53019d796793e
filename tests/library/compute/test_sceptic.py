"""The sceptic: claims that break a bound, claims that are merely unusual, and honest runs."""

from dataclasses import replace

import pytest

from dlcourse.compute.runs import records, sceptic, utilization
from dlcourse.compute.runs.run_flops import work

BERT = {  # slide 38, with the million steps of the paper
    "model": "BERT-Base",
    "kind": "encoder",
    "params_total": 110e6,
    "data_unit": "tokens",
    "data_count": 256 * (0.9e6 * 128 + 0.1e6 * 512),
    "precision": "tf32",
    "accelerator": "A100",
    "n_accel": 8,
    "wall_clock_h": 5,
}
VIT_22B = {  # Dehghani et al. (2023); hours as in Epoch's table of notable models, February 2025
    "model": "ViT-22B",
    "kind": "vit",
    "params_total": 21.743e9,
    "data_unit": "images",
    "data_count": 177_000 * 65_536,
    "seq_len": 256,
    "precision": "bf16",
    "accelerator": "TPU v4",
    "n_accel": 1024,
    "wall_clock_h": 347.4,
}


def examine(record, **fields):
    return sceptic.examine(records.read(record | fields))


def test_bert_in_five_hours_needs_more_than_the_peak():
    finding = examine(BERT)
    assert finding.verdict == "peak: needs 195.2 TFLOP/s a chip, and the hardware has 156"
    assert finding.remark.startswith("impossible")
    in_sequences = examine(BERT, data_unit="sequences", data_count=256e6)
    assert in_sequences.verdict == finding.verdict


def test_the_hours_of_vit_22b_need_more_than_the_peak():
    finding = examine(VIT_22B)
    assert finding.verdict.startswith("peak")
    assert finding.share_of_peak == pytest.approx(1.10, abs=0.01)
    honest = examine(VIT_22B, wall_clock_h=347.4 * 1.10 / 0.549)  # at the utilization of the paper
    assert honest.verdict is None


def test_no_published_run_that_counts_is_accused():
    for run in records.published():
        assert sceptic.examine(run).verdict is None


def test_unusual_is_said_of_few_published_runs():
    remarks = [sceptic.examine(run).remark for run in records.independent()]
    assert sum("unusual" in text for text in remarks) <= 0.03 * len(remarks)


@pytest.mark.proves("eq-cost-bound", by="instances")
def test_the_peak_bound_is_sharp_on_every_published_run():
    for run in records.independent():
        least = work(run).flops / (3600 * run.peak_flops)
        assert sceptic.examine(replace(run, chip_hours=1.001 * least)).verdict is None
        assert "peak" in sceptic.examine(replace(run, chip_hours=0.999 * least)).verdict


def test_possible_but_unusual_is_no_verdict():
    slow, fast = examine(BERT, wall_clock_h=200), examine(BERT, wall_clock_h=6.5)
    assert slow.verdict is None
    assert "unusually slow" in slow.remark
    assert fast.verdict is None
    assert "96.3% of peak" in fast.remark
    usual = utilization.stored().predict(records.read(BERT)).quantile(0.5)
    assert "plausible" in examine(BERT, wall_clock_h=5 * 195.2 / 156 / usual).remark


def test_a_model_that_does_not_fit_breaks_the_memory():
    gpt3 = {"params_total": 175e9, "data_count": 300e9, "accelerator": "A100", "n_accel": 8}
    assert examine(gpt3).verdict == "memory: needs 700 GB, and the hardware has 687.2"
    assert examine(gpt3, n_accel=16).verdict is None


def test_tiny_batches_break_the_bandwidth():
    gpt3 = {"params_total": 175e9, "data_count": 300e9, "accelerator": "A100", "n_accel": 1024}
    gpt3 |= {"wall_clock_h": 45 * 24, "family": "GPT-3"}
    assert examine(gpt3, batch_tokens=3.2e6).verdict is None
    tiny = examine(gpt3, batch_tokens=32)
    moved = 300e9 / 32 * 6 * 175e9 / (45 * 24 * 3600 * 1024)  # bytes a second of each chip
    (bound,) = tiny.broken
    assert bound.name == "bandwidth"
    assert bound.needed == pytest.approx(moved / 1e9)


def test_the_worst_bound_is_the_verdict():
    both = examine(BERT, params_total=1e12, data_count=1e10)
    assert {bound.name for bound in both.broken} == {"peak", "memory"}
    worst = max(both.broken, key=lambda b: b.needed / b.available)
    assert both.verdict == str(worst)


def test_without_hours_there_is_nothing_to_judge_but_the_memory():
    finding = examine(BERT, wall_clock_h=None)
    assert finding.remark == "no hours to judge"
    assert [bound.name for bound in finding.bounds] == ["memory"]
    assert "memory" in repr(finding)


ALEXNET = {"kind": "cnn", "params_total": 62.4e6, "data_unit": "images", "data_count": 89.6e6}
ALEXNET |= {"accelerator": "GTX580", "n_accel": 1, "wall_clock_h": 288, "precision": "fp32"}
SEVEN = {"params_total": 7e9, "accelerator": "A100", "n_accel": 8, "wall_clock_h": 3}
GUESSED = {
    "operations an image": (ALEXNET, "model"),
    "tokens": (SEVEN, "data_count"),
    "unit": (SEVEN | {"data_count": 1e12, "data_unit": "bananas"}, "data_count"),
    "parameters": ({"data_count": 1e12} | SEVEN | {"params_total": None}, "params_total"),
    "chip": (SEVEN | {"data_count": 1e12, "accelerator": "B300"}, "accelerator"),
    "memory": ({"params_total": 175e9, "n_accel": 1}, "accelerator"),
}


@pytest.mark.parametrize(("record", "field"), GUESSED.values(), ids=GUESSED)
def test_nothing_is_impossible_by_an_assumption(record, field):
    finding = examine(record)
    assert finding.verdict is None
    assert f"give `{field}`" in finding.remark


def test_a_peak_that_is_given_is_judged_without_a_name():
    claim = SEVEN | {"data_count": 1e12, "accelerator": "B300", "peak_dense_tflops": 2_500}
    assert examine(claim).verdict.startswith("peak")
