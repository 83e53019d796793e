"""What the chapter on the cost of training states: its equations, its slides, its exercises."""

import math

import pytest
import sympy
import torch
from torch.utils.flop_counter import FlopCounterMode

from dlcourse.chapters.training_cost import claims
from dlcourse.compute.models import architectures
from dlcourse.compute.runs import budget, calibration, hours, records, sceptic
from dlcourse.compute.runs.run_flops import attention_share, rule_of_six
from tests.book.errata.transformer import flops_per_token


def counted(function):
    """FLOPs of the matrix products of a function, by torch's own counter."""
    with FlopCounterMode(display=False) as counter:
        function()
    return counter.get_total_flops()


# Operations


@pytest.mark.proves("eq-cost-matmul", "lem-cost-six", by="independent")
@pytest.mark.parametrize(("p", "q", "rows"), [(3, 5, 1), (64, 8, 10), (7, 7, 33)])
def test_a_layer_takes_two_operations_a_weight_forward_and_four_backward(p, q, rows):
    weight = torch.ones(p, q, requires_grad=True)
    x = torch.ones(rows, p, requires_grad=True)
    assert counted(lambda: x @ weight) == 2 * p * q * rows
    y = (x @ weight).sum()
    assert counted(y.backward) == 4 * p * q * rows
    data = torch.ones(rows, p)
    loss = (data @ weight).sum()
    assert counted(loss.backward) == 2 * p * q * rows  # data need no gradient


@pytest.mark.proves("eq-cost-six", by="independent")
def test_a_stack_of_layers_takes_six_operations_a_parameter_and_token():
    widths, tokens = [16, 48, 32, 16], 20
    pairs = list(zip(widths, widths[1:], strict=False))
    layers = [torch.ones(a, b, requires_grad=True) for a, b in pairs]

    def step():
        x = torch.ones(tokens, widths[0], requires_grad=True)
        for weight in layers:
            x = x @ weight
        x.sum().backward()

    n = sum(weight.numel() for weight in layers)
    assert counted(step) == rule_of_six(n, tokens)


@pytest.mark.proves("eq-cost-attention", by="independent")
@pytest.mark.parametrize("length", [16, 128, 512])
def test_attention_adds_twelve_operations_a_layer_width_and_position(length):
    n_layers, width, n_words = 3, 64, 50
    n, found = flops_per_token(n_layers, width, n_words, length)
    assert found * n == pytest.approx(6 * n + 12 * n_layers * width * length, rel=1e-12)


def test_gpt_3s_attention_is_a_few_percent_and_halved_by_the_mask():
    table = claims.per_token([2_048])
    assert table.columns["counted"] == table.columns["6 + 12 L d s / N"]
    full, causal = (float(table.columns[name][0]) for name in ("counted", "counted, causal"))
    assert full - 6 == pytest.approx(0.166, abs=1e-3)
    assert causal - 6 == pytest.approx((full - 6) / 2, abs=1e-3)
    n = architectures.from_config({"model_type": "gpt2"} | claims.GPT3).params()
    assert attention_share(n, 2_048) == pytest.approx((causal - 6) / 6, rel=0.1)


def test_deepseek_v3_is_counted_from_its_config():
    network = claims.deepseek_v3()
    assert network.params() == 671_026_404_352
    assert network.train_step_flops(4_096, causal=True) / 4_096 == pytest.approx(250.45e9, rel=1e-5)


# The slides


def test_slide_38_is_judged():
    slide = claims.slide_38()
    assert slide["ResNet-50, parameters"].found == "25.6 million"
    assert slide["GPT-3, days at 80 TFLOP/s"].found == "44.5"
    for claim in ("ResNet-50, 8 A100 in TF32", "BERT, 8 A100 in TF32"):
        assert slide[claim].verdict == "impossible: more than peak"
    assert slide["SQuAD with BERT large"].verdict == "plausible"
    assert slide["GPT-3, 1,024 A100"].verdict == "plausible"
    assert "unusually fast" in slide["ResNet-50, one 4090"].verdict


def test_the_impossible_claims_become_possible_with_more_hours():
    for what, slowest in (("ResNet-50", 0.7), ("BERT", 7)):
        finding = sceptic.examine(claims.claiming(claims.run(what), slowest))
        assert finding.verdict is None


def bert_flops(length):
    """Of a step on one sequence, counted by torch; words are predicted at the masked positions."""
    (n, body), (n_with_words, whole) = (flops_per_token(12, 768, n, length) for n in (1, 30_522))
    return length * (0.85 * body * n + 0.15 * whole * n_with_words)


@pytest.mark.proves("eq-cost-six", by="worst case")
def test_the_rule_of_six_counts_weights_that_multiply_and_not_embeddings():
    flops = 256 * (0.9e6 * bert_flops(128) + 0.1e6 * bert_flops(512))
    found = claims.beside().bert.bounds[0]
    assert found.needed * 1e12 * 8 * 5 * 3600 == pytest.approx(flops, rel=2e-3)
    assert found.available < found.needed < 1.07 * found.available
    by_all_parameters = rule_of_six(110e6, claims.BERT_TOKENS)
    assert by_all_parameters > 1.15 * flops


def test_nvidias_own_times_lie_in_the_intervals_for_slide_38():
    """Five hours in TF32 for ResNet-50 in all; 0.102 h for fine-tuning BERT large."""
    for what, actual in (("ResNet-50", 5.0), ("SQuAD", 0.102)):
        found = hours.predict(claims.run(what))
        assert found.wall_hours(0.05) < actual < found.wall_hours(0.95)


def test_slide_39_adds_up_and_compares_two_prices():
    slide = claims.slide_39()
    assert slide["V3, cost at $2 an hour"].found == "$5.576M"
    assert slide["Llama, cost at $2 an hour"].found == "$61.7M"
    assert slide["Llama, the price that is implied"].found == "$5.2 to 6.5"
    assert slide["V3, FLOPs by the rule of six"].found == "3.29e+24"
    assert slide["V3, FLOPs counted, causal"].found == "3.71e+24"
    assert "17% of FP8's peak, 35% of BF16's" in slide["V3, 'compute power in FP8'"].found
    assert "achieved, not peak" in repr(slide)


# Where it breaks


def test_llama_2_is_predicted_without_having_been_seen_and_better_with_one_run():
    assert not any("llama-2" in run.family.lower() for run in records.independent())
    found = claims.sharpened()
    errors = {"before": [], "after": []}
    for size in found.before:
        actual = claims.LLAMA_2[size][1]
        for name, predictions in (("before", found.before), ("after", found.after)):
            one = predictions[size]
            assert one.chip_hours(0.05) < actual < one.chip_hours(0.95)
            errors[name].append(abs(math.log(one.chip_hours() / actual)))
    assert sum(errors["after"]) < sum(errors["before"])


def test_the_middle_of_the_interval_holds_fewer_runs_than_it_promises():
    assert calibration.summary()[0].coverage(0.6745) < 0.5


def test_a_pass_of_finbert_is_about_a_day_on_one_card():
    found = claims.one_pass_of_finbert()
    assert found.work.flops == pytest.approx(4.9e9 / 512 * bert_flops(512), rel=2e-3)
    assert found.chip_hours(0.05) < 24 < found.chip_hours(0.95)


# Exercises


def test_the_context_at_which_attention_equals_the_weights():
    s, d, n_layers = sympy.symbols("s d L", positive=True)
    weights = 6 * 12 * n_layers * d**2
    assert sympy.solve(6 * n_layers * d * s - weights, s) == [12 * d]
    assert sympy.solve(12 * n_layers * d * s - weights, s) == [6 * d]
    assert (12 * 4_096, 6 * 4_096) == (49_152, 24_576)


def test_another_ratio_of_tokens_shrinks_the_model_by_its_root():
    c, k = sympy.symbols("C k", positive=True)
    n = sympy.sqrt(c / (6 * k))
    assert sympy.simplify(6 * n * (k * n) - c) == 0
    twenty = n.subs(k, budget.TOKENS_PER_PARAMETER)
    assert sympy.simplify(n / twenty - sympy.sqrt(20 / k)) == 0
    assert (n / twenty).subs(k, 2_000) == sympy.Rational(1, 10)


def test_the_variance_after_measured_runs():
    """The worth of one run: condition a joint normal by hand."""
    v, noise, m = sympy.symbols("v n m", positive=True)
    for runs in (1, 2, 3):
        seen = v * sympy.ones(runs, runs) + noise * sympy.eye(runs)
        cross = v * sympy.ones(1, runs)
        left = v + noise - (cross * seen.inv() * cross.T)[0]
        promised = (v * noise / (noise + m * v) + noise).subs(m, runs)
        assert sympy.simplify(left - promised) == 0
    one = (v * noise / (noise + m * v) + noise).subs({m: 1, v: 4 * noise})
    assert sympy.simplify(one / noise) == sympy.Rational(9, 5)
