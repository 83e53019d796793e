"""The command `dlcourse estimate`: readable tables, JSON for machines, one red line for errors."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from dlcourse.cli import app

GPT2 = {
    "model_type": "gpt2",
    "n_layer": 12,
    "n_embd": 768,
    "n_head": 12,
    "vocab_size": 50257,
    "n_positions": 1024,
}


def run(*arguments):
    return CliRunner().invoke(app, ["estimate", *map(str, arguments)])


def test_one_run_is_a_readable_page():
    found = run("--params", "7B", "--data", "2T", "--device", "A100", "--chips", 1024)
    assert found.exit_code == 0
    for text in ("Predicted", "chip-hours", "Money", "p4d.24xlarge", "Carbon", "world"):
        assert text in found.output
    assert "Assumed: context: 2,048 tokens" in found.output
    assert "FLOPs: 8.4e+22, by 6 N D." in found.output


def test_a_claim_is_held_against_the_bounds():
    claim = ["--kind", "encoder", "--params", "110M", "--data", "4.26e10", "--device", "A100"]
    found = run(*claim, "--precision", "tf32", "--chips", 8, "--hours", 5)
    assert "The claim is impossible: peak: needs 195.2 TFLOP/s a chip" in found.output


def test_a_budget_becomes_a_plan():
    found = run("--budget", "1M", "--device", "H100", "--date", "2025-01")
    assert found.exit_code == 0
    assert "What $1,000,000 can train" in found.output
    assert "2024-12" in found.output


def test_a_batch_becomes_a_file(tmp_path):
    records, output = tmp_path / "runs.json", tmp_path / "predictions.json"
    records.write_text(json.dumps([{"id": "a", "params_total": 1e9}, {"id": "b", "kind": 3}, None]))
    found = run("--batch", records, "-o", output)
    assert found.exit_code == 0
    assert found.output == ""
    predictions = json.loads(output.read_text())
    assert [one["id"] for one in predictions] == ["a", "b", "run"]
    assert json.loads(run("--batch", records).output) == predictions


def test_a_measured_run_narrows_the_interval(tmp_path):
    own = tmp_path / "mine.json"
    own.write_text(
        json.dumps(
            [
                {
                    "params_total": 1e9,
                    "data_count": 1e12,
                    "accelerator": "A100",
                    "chip_hours": 9000,
                    "precision": "bf16",
                }
            ]
        )
    )
    arguments = ["--params", "3B", "--data", "1T", "--device", "A100"]

    def width(*more):
        row = next(line for line in run(*arguments, *more).output.splitlines() if "chip-h" in line)
        cells = [float(cell.replace(",", "")) for cell in row.split("│")[2:-1]]
        return cells[-1] / cells[0]

    assert width("--measured", own) < 0.8 * width()


def test_params_of_a_config_are_exact_integers_with_their_conventions(tmp_path):
    config = tmp_path / "config.json"
    config.write_text(json.dumps(GPT2))
    found = run("params", config, "--sequence-length", 1024, "--json")
    assert found.exit_code == 0
    counted = json.loads(found.output)
    assert set(counted) == {
        "params",
        "params_active",
        "forward_flops",
        "train_step_flops",
        "conventions",
    }
    assert counted["params"] == counted["params_active"] == 124_439_808
    assert counted["forward_flops"] == 291_648_307_200
    assert counted["conventions"]["batch"] == 1
    twice = json.loads(run("params", config, "--batch", 2, "--json").output)
    assert twice["forward_flops"] == 2 * counted["forward_flops"]
    assert "124,439,808" in run("params", config).output


def test_tokens_are_another_spelling_of_data():
    assert "8.4e+22" in run("--params", "7B", "--tokens", "2 trillion").output


@pytest.mark.parametrize("text", ["[5]", "[null]"])
def test_a_measured_run_that_is_no_object_is_one_red_line(tmp_path, text):
    own = tmp_path / "mine.json"
    own.write_text(text)
    found = run("--params", "3B", "--measured", own)
    assert found.exit_code == 2
    assert found.stderr.count("\n") == 1
    assert "must be a JSON object" in found.stderr


BAD = {
    "hours without chips": (["--params", "7B", "--hours", "3"], "Give the number of chips"),
    "half a chip": (["--params", "7B", "--chips", "1.5"], "whole number"),
    "bananas": (["--params", "7B", "--data", "3", "--data-unit", "bananas"], "Give the tokens"),
    "sparse chip": (["--params", "7B", "--device", "A100 sparse"], "dense rates"),
    "negative tokens": (["--params", "7B", "--data", "-2"], "Leave it out"),
    "unknown chip": (["--params", "7B", "--device", "abacus"], "Known"),
    "sparse rate": (["--params", "7B", "--precision", "bf16 sparse"], "halve the sparse rate"),
    "multiply-adds": (["--flops", "1e20", "--flops-unit", "MACs"], "Double the number"),
    "a rate for a count": (["--flops", "1e20", "--flops-unit", "TFLOP/s"], "Multiply"),
    "unknown kind": (["--params", "7B", "--kind", "spline"], "Known are"),
    "a budget of nothing": (["--budget", "0"], "above zero"),
    "too early": (["--budget", "1e6", "--device", "H100", "--date", "2020-01"], "later date"),
    "no file": (["--batch", "nowhere.json"], "nowhere.json"),
    "no config": (["params", "nowhere.json"], "nowhere.json"),
}


@pytest.mark.parametrize(("arguments", "cure"), BAD.values(), ids=BAD)
def test_bad_input_is_one_red_line_with_the_cure(arguments, cure):
    found = run(*arguments)
    assert found.exit_code == 2
    assert found.stderr.startswith("Error: ")
    assert cure in found.stderr
    assert found.stderr.count("\n") == 1
    assert found.exception is None or isinstance(found.exception, SystemExit)


def test_without_options_the_command_explains_itself():
    assert "--budget" in run().output


def test_the_command_starts_without_the_heavy_libraries():
    code = (
        "import sys; from dlcourse.cli import estimate; "
        "print(sorted({'numpy', 'scipy', 'torch', 'rich.table'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() in ("[]", "['rich.table']")
