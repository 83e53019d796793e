"""Batches: any record gets a prediction, and says what was assumed and what was wrong."""

import json
from importlib import resources

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlcourse.compute.runs import batch, records

ROWS = json.loads(
    (resources.files("dlcourse.compute") / "data" / "training_runs.json").read_text("utf-8")
)
ANSWERS = ("chip_hours", "wall_clock_h", "mfu_reported")
FIELDS = [
    "params_total",
    "params_active",
    "data_count",
    "seq_len",
    "published_flops",
    "n_accel",
    "wall_clock_h",
    "chip_hours",
    "flops_exact_op_count",
    "peak_dense_tflops",
    "batch_tokens",
    "epochs",
]
WORDS = ["model", "family", "kind", "data_unit", "precision", "accelerator", "flops_unit"]
ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(
        ["7B", "1e400", "-3", "A100", "TPU v4", "bf16", "MACs", "images", "cnn", "vit"]
    ),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=1),
)
RECORDS = st.one_of(
    ANYTHING, st.dictionaries(st.sampled_from(FIELDS + WORDS + ["id"]), ANYTHING, max_size=8)
)


def hidden(row):
    """A row as one whose hours are to be predicted."""
    return {name: value for name, value in row.items() if name not in ANSWERS}


def holds(found):
    """The form that a prediction promises."""
    assert list(found) == [
        "id",
        "flops",
        "chip_hours",
        "cost_usd",
        "mfu",
        "assumptions",
        "warnings",
        "verdict",
    ]
    quantiles = list(found["chip_hours"].values())
    assert list(found["chip_hours"]) == ["p05", "p25", "median", "p75", "p95"]
    assert 0 < quantiles[0] <= quantiles[1] <= quantiles[2] <= quantiles[3] <= quantiles[4]
    assert 0 < found["mfu"]["p05"] <= found["mfu"]["median"] <= found["mfu"]["p95"] <= 1
    assert len({cost["basis"] for cost in found["cost_usd"]}) >= 3
    for cost in found["cost_usd"]:
        assert 0 < cost["p05"] <= cost["median"] <= cost["p95"]
    assert all(isinstance(text, str) for text in found["assumptions"] + found["warnings"])
    assert found["verdict"] is None or found["verdict"].split(":")[0] in (
        "peak",
        "memory",
        "bandwidth",
    )


@given(RECORDS)
@settings(max_examples=150, deadline=None)
def test_any_record_gets_a_prediction(record):
    found = batch.prediction(record)
    holds(found)
    json.dumps(found, allow_nan=False)


def test_every_published_run_without_its_answers_gets_one():
    found = json.loads(batch.predictions_json(json.dumps([hidden(row) for row in ROWS])))
    assert [one["id"] for one in found] == [row["id"] for row in ROWS]
    for one, row in zip(found, ROWS, strict=True):
        holds(one)
        peak = records.read(row).peak_flops
        seconds = 3600 * one["chip_hours"]["median"]
        assert one["flops"] / (seconds * peak) == pytest.approx(one["mfu"]["median"])
        assert one["verdict"] is None


@pytest.mark.parametrize("name", FIELDS + WORDS)
def test_a_field_that_is_missing_or_null_stops_nothing(name):
    row = next(row for row in ROWS if row["id"] == "llama31-405b")
    holds(batch.prediction({k: v for k, v in hidden(row).items() if k != name}))
    holds(batch.prediction(hidden(row) | {name: None}))


def test_strings_for_numbers_change_nothing():
    row = hidden(next(row for row in ROWS if row["id"] == "llama1-7b"))
    texts = {k: str(v) if isinstance(v, int) else v for k, v in row.items()}
    found, expected = batch.prediction(texts)["chip_hours"], batch.prediction(row)["chip_hours"]
    assert found == pytest.approx(expected)


def test_what_was_assumed_and_what_was_wrong_is_said():
    record = {"id": 7, "params_total": "7B", "accelerator": "abacus", "data_count": -1}
    found = batch.prediction(record)
    assert found["id"] == 7
    assert any("20 a parameter" in text for text in found["assumptions"])
    assert any("abacus" in text for text in found["warnings"])
    assert any("above zero" in text for text in found["warnings"])


def test_the_own_hours_of_a_record_are_judged():
    row = next(row for row in ROWS if row["id"] == "llama1-7b")
    assert batch.prediction(row)["verdict"] is None
    false = batch.prediction(row | {"chip_hours": row["chip_hours"] / 3})
    assert false["verdict"].startswith("peak: needs")
    slow = batch.prediction(row | {"chip_hours": row["chip_hours"] * 10})
    assert slow["verdict"] is None
    assert any("unusually slow" in text for text in slow["warnings"])


def test_a_measured_run_of_the_family_sharpens_the_prediction():
    mine = {"family": "mine", "params_total": 3e9, "data_count": 1e12, "accelerator": "A100"}
    measured = records.read(mine | {"params_total": 1e9, "chip_hours": 9_000})
    before, after = batch.prediction(mine), batch.prediction(mine, (measured,))
    ratio = [one["chip_hours"]["p95"] / one["chip_hours"]["p05"] for one in (before, after)]
    assert ratio[1] < 0.75 * ratio[0]


@pytest.mark.parametrize(
    ("text", "cure"), [("{", "Write a list"), ('{"id": 1}', r"Put them in \[ \]"), ("3", "got int")]
)
def test_a_batch_is_a_json_list(text, cure):
    with pytest.raises(ValueError, match=cure):
        batch.predictions_json(text)


def test_a_claim_on_assumed_tokens_is_a_warning():
    record = {"params_total": 7e9, "accelerator": "A100", "n_accel": 8, "wall_clock_h": 3}
    found = batch.prediction(record)
    assert found["verdict"] is None
    assert any("give `data_count`" in text for text in found["warnings"])
