"""The counter: against closed forms, against torch's counter, and where torch's is wrong."""

import random

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from dlcourse.compute.counting import counter, operations
from dlcourse.compute.counting.counter import Function, count, torch_flops
from dlcourse.compute.models.configs.reader import from_config
from dlcourse.compute.models.images.convnets import ResNet
from dlcourse.compute.models.images.small_networks import MLP, Recurrent
from dlcourse.compute.models.images.vision_transformers import VisionTransformer
from tests.library.compute import models

N_CONFIGS = 72  # of each of seven kinds
aten = torch.ops.aten


def perceptron(rng):
    record = MLP(tuple(rng.randint(1, 40) for _ in range(rng.randint(2, 6))), rng.random() < 0.5)
    shapes = zip(record.widths[:-1], record.widths[1:], strict=True)
    network = nn.Sequential(*(nn.Linear(*shape, bias=record.bias) for shape in shapes))
    n = rng.randint(1, 9)
    return record, (None, n), network, torch.zeros(n, record.widths[0])


def recurrent(rng):
    cell = rng.choice(["RNN", "GRU", "LSTM"])
    sizes = [rng.randint(1, 12), rng.randint(1, 12), rng.randint(1, 2), rng.random() < 0.5]
    record = Recurrent(cell, *sizes, bias=rng.random() < 0.5)
    options = {"bias": record.bias, "bidirectional": record.is_bidirectional}
    network = getattr(nn, cell)(*sizes[:3], **options)
    length, n = rng.randint(1, 4), rng.randint(1, 4)
    x = torch.zeros(length, n, record.n_in)
    return record, (length, n), FirstOutput(network), x


class FirstOutput(nn.Module):
    """The outputs of all steps; the last state, which repeats some of them, is left."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network(x)[0]


def residual(rng):
    has_bottleneck = rng.random() < 0.6
    n_groups = rng.choice([1, 2, 8]) if has_bottleneck else 1
    depths = rng.choice([(1, 1), (2, 1), (1, 2), (1, 1, 1)])
    size = rng.choice([32, 48, 64])
    record = ResNet(depths, has_bottleneck, n_groups, 64 // n_groups, 10, size)
    n = rng.randint(1, 3)
    return record, (None, n), models.ResidualNetwork(record), torch.zeros(n, 3, size, size)


def vision(rng):
    heads = rng.choice([1, 2, 4])
    width, patch = heads * rng.choice([4, 8]), rng.choice([4, 8])
    size = patch * rng.randint(2, 5)
    record = VisionTransformer(rng.randint(1, 2), width, heads, patch, size, rng.randint(2, 9))
    n = rng.randint(1, 3)
    return record, (None, n), models.VisionTransformer(record), torch.zeros(n, 3, size, size)


def common(rng):
    heads = rng.choice([2, 4, 8])
    return {
        "vocab_size": rng.randint(10, 90),
        "hidden_size": 8 * rng.randint(1, 6),
        "num_hidden_layers": rng.randint(1, 2),
        "num_attention_heads": heads,
        "num_key_value_heads": rng.choice([h for h in (1, 2, 4, 8) if heads % h == 0]),
        "head_dim": rng.choice([4, 8]),
        "intermediate_size": rng.randint(5, 60),
        "tie_word_embeddings": rng.random() < 0.5,
    }


def tokens(config, rng, network):
    length, n = rng.randint(2, 12), rng.randint(1, 3)
    inputs = torch.zeros(n, length, dtype=torch.long)
    return from_config(config), (length, n), network(config), inputs


def decoder(rng):
    flags = {name: rng.random() < 0.5 for name in ("attention_bias", "mlp_bias")}
    return tokens({"model_type": "llama", **common(rng), **flags}, rng, models.Decoder)


def latent(rng):
    config = {"model_type": "deepseek_v3", **common(rng)}
    config |= {
        "q_lora_rank": rng.choice([None, 6]),
        "kv_lora_rank": rng.randint(4, 12),
        "qk_nope_head_dim": rng.choice([4, 6]),
        "qk_rope_head_dim": rng.choice([2, 4]),
        "v_head_dim": rng.choice([4, 8]),
        "n_routed_experts": rng.randint(3, 8),
        "num_experts_per_tok": rng.randint(1, 3),
        "n_shared_experts": rng.randint(1, 2),
        "moe_intermediate_size": rng.randint(4, 20),
        "first_k_dense_replace": rng.randint(0, 1),
    }
    return tokens(config, rng, models.Decoder)


def translator(rng):
    config = {
        "model_type": "t5",
        "vocab_size": rng.randint(10, 90),
        "d_model": 8 * rng.randint(1, 4),
        "d_kv": rng.choice([4, 8]),
        "d_ff": rng.randint(5, 60),
        "num_layers": rng.randint(1, 2),
        "num_decoder_layers": rng.randint(1, 2),
        "num_heads": rng.choice([2, 4]),
        "relative_attention_num_buckets": 8,
        "feed_forward_proj": rng.choice(["relu", "gated-gelu"]),
    }
    return tokens(config, rng, models.Translator)


KINDS = [perceptron, recurrent, residual, vision, decoder, latent, translator]


def has_groups(record):
    return getattr(record, "n_groups", 1) > 1


def counts_of_torch(network, x):
    """Forward and training FLOPs by torch's own counter."""
    with FlopCounterMode(display=False) as mode:
        output = network(x)
        forward = mode.get_total_flops()
        output.sum().backward()
    return forward, mode.get_total_flops()


@pytest.mark.parametrize("kind", KINDS)
def test_three_counts_agree_on_random_networks(kind):
    for seed in range(N_CONFIGS):
        with torch.device("meta"):
            record, load, network, x = kind(random.Random(f"{kind.__name__} {seed}"))
        counted = count(network, x, step="training")
        assert counted.device == "meta"
        assert counted.params == record.params(), record
        assert counted.forward_flops == record.forward_flops(*load), record
        assert counted.flops == record.train_step_flops(*load), record
        forward, training = counts_of_torch(network, x)
        assert counted.forward_flops == forward, record
        if has_groups(record):  # a known fault of torch's
            assert counted.flops < training
        else:
            assert counted.flops == training, record


def test_more_than_500_random_networks_are_compared():
    assert N_CONFIGS * len(KINDS) >= 500


def by_hand_grouped(n_places, n_in, n_out, area, groups):
    """One multiply-add for each place, output channel, input channel of its group and cell."""
    adds = sum(1 for _ in range(n_places) for _ in range(n_out) for _ in range(n_in // groups))
    return 2 * adds * area


@pytest.mark.parametrize("groups", [1, 2, 4, 16])
def test_torch_counts_the_weights_gradient_of_a_grouped_convolution_too_high(groups):
    network = nn.Conv2d(16, 16, 3, groups=groups)
    x = torch.zeros(1, 16, 8, 8)
    once = by_hand_grouped(36, 16, 16, 9, groups)
    assert count(network, x).flops == once == torch_flops(network, x)
    assert count(network, x, step="training").flops == 2 * once
    assert torch_flops(network, x, step="training") == once + groups * once


def test_a_transposed_grouped_convolution_is_counted_alike():
    network = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ConvTranspose2d(8, 12, 3, stride=2, groups=4))
    x = torch.zeros(2, 3, 5, 5)
    first, second = 2 * 2 * 25 * 3 * 8, 2 * 2 * 25 * 9 * (8 // 4) * 12
    assert count(network, x).flops == first + second
    assert count(network, x, step="training").flops == 2 * first + 3 * second


class Refuses(nn.Module):
    """Looks at a value, which the meta device does not have."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, *inputs):
        assert inputs[0].sum().item() == 0
        return self.network(*inputs)


def test_torch_does_not_count_attention_on_a_cpu():
    attention, q = Function(nn.functional.scaled_dot_product_attention), torch.zeros(1, 2, 6, 4)
    k, v = torch.zeros(1, 2, 10, 4), torch.zeros(1, 2, 10, 4)
    by_hand = 2 * (2 * 6 * 10 * 4) * 2  # two heads; scores and their sum; a multiply-add is two
    assert torch_flops(attention, q, k, v) == 0
    assert count(attention, q, k, v).flops == by_hand
    on_cpu = count(Refuses(attention), q, k, v)
    assert (on_cpu.flops, on_cpu.device) == (by_hand, "cpu")


def test_attention_backward_takes_four_products_where_torch_counts_five():
    q = k = v = (1, 2, 6, 4)
    one = 2 * 2 * 6 * 6 * 4
    packet = aten._scaled_dot_product_flash_attention_backward
    theirs = flop_registry[packet](*(torch.zeros(shape) for shape in (q, q, k, v)), out_val=None)
    assert operations.RULES[packet.__name__](q, q, k, v) == 4 * one
    assert theirs == 5 * one


def test_attention_in_training_costs_the_same_on_cpu_and_meta():
    network = nn.MultiheadAttention(16, 4, batch_first=True)

    def attend(x):
        return network(x, x, x, need_weights=False)[0]

    holder, x = Function(attend), torch.zeros(2, 6, 16)
    holder.network = network
    maps, products = 2 * 12 * 16 * 48, 2 * 2 * 2 * 6 * 6 * 16
    by_hand = 2 * maps + 3 * products + 3 * 2 * 12 * 16 * 16
    assert count(holder, x, step="training").flops == by_hand
    on_cpu = count(Refuses(holder), x, step="training")
    assert (on_cpu.flops, on_cpu.device) == (by_hand, "cpu")
    assert torch_flops(holder, x, step="training") < by_hand


@pytest.mark.parametrize(("cell", "n_gates"), Recurrent.GATES.items())
def test_recurrent_layers_on_a_cpu(cell, n_gates):
    network, x = getattr(nn, cell)(8, 16), torch.zeros(5, 3, 8)
    by_hand = 5 * 3 * n_gates * 2 * (8 + 16) * 16
    on_cpu = count(Refuses(network), x)
    assert (on_cpu.flops, on_cpu.device) == (by_hand, "cpu")
    assert count(network, x).flops == by_hand
    assert torch_flops(network, x) == (0 if cell == "LSTM" else by_hand)


def test_the_rule_for_recurrent_layers_on_a_gpu_takes_every_matrix_at_every_step():
    network, load = nn.LSTM(8, 16, 2, bidirectional=True), (5, 3)
    weights = [tuple(weight.shape) for weight in network.parameters()]
    record = Recurrent("LSTM", 8, 16, 2, is_bidirectional=True)
    assert operations.RULES["_cudnn_rnn"]((*load, 8), weights) == record.forward_flops(*load)
    backward = operations.RULES["_cudnn_rnn_backward"]((*load, 8), weights)
    assert backward == 2 * record.forward_flops(*load)
    assert aten._cudnn_rnn not in flop_registry


def test_torch_does_not_count_bilinear_layers():
    network, x, y = nn.Bilinear(4, 5, 6), torch.zeros(3, 4), torch.zeros(3, 5)
    assert torch_flops(network, x, y) == 0
    products = 2 * 3 * 6 * 4 * 5 + 2 * 3 * 6 * 5  # x W, then its product with y
    assert count(network, x, y).flops == products
    by_einsum = Function(lambda x, y: torch.einsum("bi,kij,bj->bk", x, network.weight, y))
    assert torch_flops(by_einsum, x, y) == products


VECTORS = [
    (torch.mv, [(5, 7), (7,)], 2 * 5 * 7),
    (torch.addmv, [(5,), (5, 7), (7,)], 2 * 5 * 7),
    (torch.dot, [(7,), (7,)], 2 * 7),
    (torch.vdot, [(7,), (7,)], 2 * 7),
    (torch.addbmm, [(5, 3), (4, 5, 7), (4, 7, 3)], 4 * 2 * 5 * 7 * 3),
    (torch._addmm_activation, [(3,), (5, 7), (7, 3)], 2 * 5 * 7 * 3),
]


@pytest.mark.parametrize(("function", "shapes", "by_hand"), VECTORS)
def test_torch_does_not_count_these_products(function, shapes, by_hand):
    inputs = [torch.zeros(shape) for shape in shapes]
    assert torch_flops(Function(function), *inputs) == 0
    assert count(Function(function), *inputs).flops == by_hand


def test_torch_does_not_count_grouped_products():
    rows, weights = torch.zeros(16, 32).bfloat16(), torch.zeros(4, 32, 64).bfloat16()
    ends = torch.tensor([4, 8, 12, 16], dtype=torch.int32)
    experts = Function(lambda x, w, ends: torch._grouped_mm(x, w, offs=ends))
    assert torch_flops(experts, rows, weights, ends) == 0
    assert count(experts, rows, weights, ends).flops == 2 * 16 * 32 * 64


def test_torch_does_not_count_the_fast_path_of_an_encoder_layer():
    network, x = (
        nn.TransformerEncoderLayer(16, 4, 32, batch_first=True).eval(),
        torch.zeros(2, 6, 16),
    )
    maps, products, feed_forward = 4 * 2 * 12 * 16 * 16, 4 * 2 * 6 * 6 * 16, 2 * 2 * 12 * 16 * 32
    assert torch_flops(network, x) == 0
    assert count(network, x).flops == maps + products + feed_forward
    with torch.no_grad(), counter._Tally(network) as tally:
        network(x)
    assert tally.by_operation == {"_transformer_encoder_layer_fwd": maps + products + feed_forward}
    with torch.no_grad(), counter._Tally(network) as tally:
        network.self_attn(x, x, x, need_weights=False)
    assert tally.by_operation == {"_native_multi_head_attention": maps + products}


def test_the_table_of_faults_shows_each_number_and_why():
    table = counter.faults().columns
    assert len(table["network"]) == 8
    assert all(a != b for a, b in zip(table["torch"], table["ours"], strict=True))
    assert set(table["what torch does"]) <= set(operations.WHY.values())


def test_every_rule_is_an_operation_of_torch():
    assert {packet.__name__ for packet in counter.PACKETS} == set(operations.RULES)
    assert set(operations.WHY) <= set(operations.RULES)


class Block(nn.Module):
    """Hands its input on by keyword."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 8), nn.Linear(8, 4)

    def forward(self, x):
        return self.second(input=self.first(input=x))


def test_modules_add_up_in_training_where_torch_credits_the_wrong_one():
    network, x = nn.Sequential(Block(), Block()), torch.zeros(3, 4)
    step = count(network, x, step="training")
    one = 2 * 3 * 4 * 8
    assert step.by_module == {
        "": 11 * one,
        "0": 5 * one,
        "0.first": 2 * one,
        "0.second": 3 * one,
        "1": 6 * one,
        "1.first": 3 * one,
        "1.second": 3 * one,
    }
    with FlopCounterMode(display=False) as mode:
        network(x).sum().backward()
    theirs = {name: sum(flops.values()) for name, flops in mode.get_flop_counts().items()}
    assert theirs["Global"] == step.flops
    assert theirs["Sequential.1.second"] > step.by_module["1.second"]


def test_a_frozen_layer_has_no_gradient_of_its_weight():
    network, x = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)), torch.zeros(1, 4)
    network[1].requires_grad_(False)
    assert count(network, x, step="training").flops == 2 * 16 * (2 + 2)


def test_a_loss_may_be_given():
    network, x = nn.Linear(4, 3), torch.zeros(2, 4)
    step = count(network, x, step="training", loss=lambda y: (y @ torch.ones_like(y).T).sum())
    assert step.flops == 2 * 48 + 2 * (2 * 2 * 3 * 2)


def test_counting_leaves_the_module_as_it_was():
    network = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout())
    x, before = torch.ones(3, 4), torch.get_rng_state()
    for module in (network, Refuses(Function(lambda x: network(x + 1 - x.clone().fill_(1))))):
        if module is not network:
            module.network.network = network
        count(module, x - x, step="training")
    assert network[1].running_mean.eq(0).all()
    assert all(p.grad is None for p in network.parameters())
    assert torch.equal(torch.get_rng_state(), before)


def test_a_fall_back_says_why_and_a_module_on_meta_cannot():
    result = count(Refuses(nn.Linear(4, 3)), torch.zeros(2, 4))
    assert result.device == "cpu"
    assert "item()" in result.reason
    assert count(Refuses(nn.Linear(4, 3)), torch.empty(2, 4, device="meta")).flops == 48
    with pytest.raises(ValueError, match="Build it on the CPU"):
        count(Refuses(nn.Linear(4, 3, device="meta")), torch.zeros(2, 4))


def test_an_error_of_the_module_is_its_own():
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        count(nn.Linear(4, 3), torch.zeros(2, 5))


def test_a_step_must_be_known_and_have_a_gradient():
    with pytest.raises(ValueError, match='"forward" or "training", got \'backward\''):
        count(nn.Linear(4, 3), torch.zeros(2, 4), step="backward")
    with pytest.raises(ValueError, match="requires_grad_"):
        count(nn.Linear(4, 3).requires_grad_(False), torch.zeros(2, 4), step="training")


def test_a_result_prints_its_modules_and_conventions():
    result = count(nn.Sequential(nn.Linear(4, 3)), torch.zeros(2, 4))
    assert "all (forward, meta)" in repr(result)
    assert "a multiply-add is two" in repr(result)
    assert result.conventions.unit == "FLOPs"


def test_a_planted_error_in_a_rule_is_caught(monkeypatch):
    monkeypatch.setitem(counter.PACKETS, aten.addmm, lambda *args, **_: 1)
    with pytest.raises(AssertionError):
        test_three_counts_agree_on_random_networks(perceptron)
