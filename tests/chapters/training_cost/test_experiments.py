"""What the text says beside the slides, against numbers of the slides themselves."""

import pytest

from dlcourse.chapters.training_cost import claims


@pytest.fixture(scope="module")
def prose():
    return claims.beside().prose(claims.slide_38(), claims.slide_39())


def test_more_is_needed_of_an_a100_than_it_has(prose):
    has = float(prose["cost_a100_tf32"])
    assert has == 156  # NVIDIA's data sheet, TFLOP/s in TF32
    assert min(float(prose["cost_resnet_needed"]), float(prose["cost_bert_needed"])) > has


def test_the_share_of_the_smaller_peak_is_twice_that_of_the_larger(prose):
    shares = [float(prose[f"cost_v3_share{name}"].rstrip("%")) for name in ("", "_bf16")]
    assert shares[1] == pytest.approx(2 * shares[0], abs=1.5)  # both rounded


def test_ratios_of_the_two_models_are_those_of_their_reports(prose):
    assert float(prose["cost_llama_ratio"]) == pytest.approx(30.84 / 2.788, abs=0.05)
    assert float(prose["cost_flops_ratio"]) == pytest.approx(405 * 15.6 / (37 * 14.8), abs=0.05)
    assert prose["cost_gpt3_days"] == claims.slide_38()["GPT-3, days at 80 TFLOP/s"].found
