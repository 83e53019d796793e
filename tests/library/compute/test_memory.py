"""States of a model, their division, the cache of keys and values, and the roof over operations."""

import itertools
import math
import re

import numpy as np
import pytest
import sympy as sp
import torch

from dlcourse.compute.machines import roofline
from dlcourse.compute.machines.hardware import device
from dlcourse.compute.memory import kv_cache, sharding, states
from dlcourse.compute.memory.sharding import Layer, layer_activations, zero
from dlcourse.compute.memory.states import model_states

OPTIMIZERS = {
    "sgd": lambda weights: torch.optim.SGD(weights, lr=0.1),
    "momentum": lambda weights: torch.optim.SGD(weights, lr=0.1, momentum=0.9),
    "adam": lambda weights: torch.optim.Adam(weights),
    "adamw": lambda weights: torch.optim.AdamW(weights),
    "muon": lambda weights: torch.optim.Muon(weights),
}


def held_by_torch(optimizer, dtype, shapes):
    """Bytes of weights, gradients and states after a step; counters of steps left out."""
    weights = [torch.ones(shape, dtype=dtype, requires_grad=True) for shape in shapes]
    sum((w**2).sum() for w in weights).backward()
    run = OPTIMIZERS[optimizer](weights)
    run.step()
    states = [x for state in run.state.values() for x in state.values() if torch.is_tensor(x)]
    arrays = [*weights, *(w.grad for w in weights), *(x for x in states if x.dim())]
    return sum(x.numel() * x.element_size() for x in arrays)


@pytest.mark.proves("eq-memory-states", by="independent")
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(("precision", "dtype"), [("fp32", "float32"), ("16-bit", "bfloat16")])
def test_the_states_are_those_that_torch_holds(optimizer, precision, dtype):
    shapes = [(7, 5), (5, 3)]
    states = model_states(50, optimizer, precision)
    assert states.total == held_by_torch(optimizer, getattr(torch, dtype), shapes)


@pytest.mark.proves("eq-memory-states", by="independent")
def test_mixed_precision_is_16_bit_training_with_a_copy_and_states_of_32_bits():
    n = 12
    weights, gradients = torch.ones(n, dtype=torch.float16), torch.ones(n, dtype=torch.float16)
    master = weights.float().requires_grad_()
    master.grad = gradients.float()  # made for the step and freed after it
    run = torch.optim.AdamW([master])
    run.step()
    states = [x for x in run.state[master].values() if x.dim()]
    held = [weights, gradients, master, *states]
    n_bytes = sum(x.numel() * x.element_size() for x in held)
    assert model_states(n, "adamw", "mixed").total == n_bytes == 16 * n


def test_muon_leaves_what_is_no_matrix_to_adamw():
    both = model_states(100, "muon", "fp32", n_not_matrix=30)
    assert both.optimizer == 4 * (70 + 2 * 30)
    with pytest.raises(ValueError, match="counts the weights that Muon leaves to AdamW"):
        model_states(100, "adamw", n_not_matrix=30)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), "whole number of at least 1"),
        ((-5,), "whole number of at least 1"),
        ((1.5,), "whole number of at least 1"),
        ((10, "adamax"), "Unknown optimizer 'adamax'. Known: sgd"),
        ((10, "adam", "fp8"), "Unknown precision 'fp8'. Known: fp32"),
    ],
)
@pytest.mark.bad_input
def test_states_that_cannot_be_are_refused(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        model_states(*arguments)


# --- dividing ------------------------------------------------------------------------------------


@pytest.mark.proves("eq-parallel-zero", by="independent")
@pytest.mark.parametrize("stage", sharding.STAGES)
def test_shards_together_hold_what_is_divided_once_and_the_rest_on_each_device(stage):
    n, n_devices = 103, 4
    roles = {"weights": 2, "gradients": 2, "master": 4, "optimizer": 8}
    divided = {1: {"master", "optimizer"}, 2: {"gradients"}, 3: {"weights"}}
    shared = set().union(*(names for first, names in divided.items() if stage >= first))
    worst = zero(model_states(n), stage, n_devices)
    for role, width in roles.items():
        whole = np.zeros(width * n, dtype=np.uint8)
        pieces = np.array_split(whole, n_devices) if role in shared else [whole] * n_devices
        assert getattr(worst, role) == max(piece.nbytes for piece in pieces)


def test_zero_of_the_paper():
    """Rajbhandari et al. (2020), figure 1: 7.5 billion weights on 64 devices, in GB."""
    states = model_states(7_500_000_000)
    printed = [120, 31.4, 16.6, 1.88]
    found = [zero(states, stage, 64).total / 1e9 for stage in range(4)]
    assert found == pytest.approx(printed, abs=0.05)


def least_number(states, room, stage):
    try:
        return sharding.devices_needed(states, room, stage)
    except ValueError:
        return None


def test_the_least_number_of_devices_is_enough_and_one_less_is_not(rng):
    for _ in range(200):
        states = model_states(int(rng.integers(1, 10**6)), "adamw", "mixed")
        room, stage = int(rng.integers(1_000, 10**7)), int(rng.integers(4))
        n = least_number(states, room, stage)
        if n is None:
            assert zero(states, stage, 10**12).total > room
        else:
            assert zero(states, stage, n).total <= room
            assert n == 1 or zero(states, stage, n - 1).total > room


def test_what_no_number_of_devices_holds_is_refused_with_the_cure():
    with pytest.raises(ValueError, match="No number of devices is enough.*higher stage"):
        sharding.devices_needed(model_states(10**9), 10**9, stage=0)


def test_the_traffic_of_stage_3_is_half_as_much_again():
    assert sharding.zero_traffic(10, 0) == sharding.zero_traffic(10, 2) == 20
    assert sharding.zero_traffic(10, 3) == 30


@pytest.mark.parametrize("recomputed", sharding.RECOMPUTED)
def test_one_device_in_parallel_is_one_device(recomputed):
    layer = Layer(s=128, b=2, h=64, a=4)
    alone = layer_activations(layer, 1, recomputed=recomputed)
    both = layer_activations(layer, 1, sequence_parallel=True, recomputed=recomputed)
    assert alone == both


def test_sequence_parallelism_divides_everything():
    """Korthikanti et al. (2023), table 2, by operations: 10 around and 24 inside each layer."""
    layer = Layer(s=2_048, b=1, h=4_096, a=32)
    whole = layer_activations(layer)
    assert layer_activations(layer, 8, sequence_parallel=True) == pytest.approx(whole / 8)
    per = layer.s * layer.b * layer.h
    tensor = per * (10 + 24 / 8 + 5 * layer.a * layer.s / (layer.h * 8))
    assert layer_activations(layer, 8) == pytest.approx(tensor)
    assert layer_activations(layer, 8, recomputed="attention") == pytest.approx(per * 13)
    assert layer_activations(layer, 8, recomputed="layers") == 2 * per


@pytest.mark.parametrize("bad", [{"s": 0}, {"h": 2.5}, {"t": 0}, {"recomputed": "all"}])
def test_a_layer_that_cannot_be_is_refused(bad):
    sizes = {"s": 4, "b": 1, "h": 8, "a": 2, "t": 1, "recomputed": "nothing"} | bad
    t, recomputed = sizes.pop("t"), sizes.pop("recomputed")
    with pytest.raises(ValueError, match="must be"):
        layer_activations(Layer(**sizes), t, recomputed=recomputed)


@pytest.mark.proves("eq-memory-crossing", by="symbolic")
def test_the_length_at_which_attention_is_half():
    s, h, a = sp.symbols("s h a", positive=True)
    second = 5 * a * s / h
    assert sp.solve(sp.Eq(second, 34), s) == [sp.Rational(34, 5) * h / a]
    at = Layer(s=870, b=1, h=128, a=1)
    below, above = at._replace(s=869), at._replace(s=872)
    for layer, is_more in ((below, False), (above, True)):
        rest = layer_activations(layer, recomputed="attention")
        assert (layer_activations(layer) - rest > rest) == is_more


# --- the cache of keys and values ----------------------------------------------------------------


def cache_of(n_layers, n_kv_heads, width, n_tokens, dtype):
    """Keys and values of a decoder, grown token by token."""
    cache = [[np.zeros((n_kv_heads, 0, width), dtype) for _ in "kv"] for _ in range(n_layers)]
    for _ in range(n_tokens):
        token = np.ones((n_kv_heads, 1, width), dtype)
        cache = [[np.concatenate([x, token], axis=1) for x in layer] for layer in cache]
    return sum(x.nbytes for layer in cache for x in layer)


@pytest.mark.proves("eq-memory-kv", by="independent")
@pytest.mark.parametrize("heads", [1, 2, 6])
def test_the_cache_grows_by_the_bytes_of_a_token(heads):
    for n_layers, width, n_tokens in itertools.product([1, 3], [4, 5], [1, 7]):
        sizes = n_layers, heads, width
        grown = cache_of(*sizes, n_tokens, np.float16)
        assert grown == n_tokens * kv_cache.bytes_per_token(*sizes)
        in_8_bits = cache_of(*sizes, n_tokens, np.int8)
        assert in_8_bits == n_tokens * kv_cache.bytes_per_token(*sizes, bytes_per_number=1)


@pytest.mark.proves("eq-memory-kv", "eq-memory-latent", by="truth")
def test_the_caches_that_deepseek_prints():
    """Zhao et al. (2025), arXiv:2505.09343, table 1, in kB of a token in 16 bits."""
    assert kv_cache.bytes_per_token(80, 8, 128) == 327_680  # Qwen2.5 72B
    assert kv_cache.bytes_per_token(126, 8, 128) == 516_096  # Llama 3.1 405B
    assert kv_cache.bytes_per_token_latent(61, 512, 64) == 70_272  # DeepSeek-V3


@pytest.mark.proves("eq-memory-latent", by="independent")
def test_latent_attention_is_attention_with_what_it_keeps(rng):
    """Keys and values made from the kept vectors give the same result as from the inputs."""
    n_tokens, width, latent, heads, d, rotated = 5, 12, 3, 4, 2, 2
    x, down, rope = (rng.normal(size=s) for s in ((n_tokens, width), (width, latent), (width, 2)))
    up_k, up_v = rng.normal(size=(2, latent, heads, d))
    kept = np.concatenate([x @ down, x @ rope], axis=1, dtype=np.float16)
    assert kept.nbytes == n_tokens * kv_cache.bytes_per_token_latent(1, latent, rotated)
    in_8_bits = kv_cache.bytes_per_token_latent(1, latent, rotated, bytes_per_number=1)
    assert kept.astype(np.int8).nbytes == n_tokens * in_8_bits
    for up in (up_k, up_v):
        whole = np.einsum("tw,wl,lhd->thd", x, down, up)
        again = np.einsum("tl,lhd->thd", kept[:, :latent].astype(float), up)
        assert np.allclose(whole, again, rtol=0.01, atol=0.05)


def test_the_tokens_that_fit_beside_the_weights():
    states = model_states(7_000_000_000)
    fit = kv_cache.tokens_that_fit("A100", states, 131_072)
    assert fit == (80 * 2**30 - 14_000_000_000) // 131_072
    assert kv_cache.tokens_that_fit("A100", 10**12, 131_072) == 0
    with pytest.raises(ValueError, match="`n_kv_heads` must be a whole number"):
        kv_cache.bytes_per_token(2, 0, 64)


# --- the roof ------------------------------------------------------------------------------------


@pytest.mark.proves("eq-roofline", by="independent")
def test_the_roof_is_the_longer_of_computing_and_moving(rng):
    for _ in range(100):
        flops, n_bytes, peak, width = 10 ** rng.uniform(3, 15, 4)
        together = max(flops / peak, n_bytes / width)  # both at the same time, at best
        reached = roofline.attainable(flops / n_bytes, peak, width)
        assert flops / together == pytest.approx(reached, rel=1e-12)


@pytest.mark.proves("eq-roofline-ridge", by="symbolic")
def test_the_corner_is_where_both_limits_are_equal():
    peak, width, intensity = sp.symbols("P B I", positive=True)
    assert sp.solve(sp.Eq(peak, width * intensity), intensity) == [peak / width]
    a100 = device("A100")
    ridge = a100.balance("bf16")
    assert ridge == pytest.approx(312e12 / 2_039e9)
    args = a100.peak("bf16"), a100.bandwidth_bytes_per_second
    assert roofline.attainable(0.99 * ridge, *args) < args[0]
    assert roofline.attainable(ridge, *args) == pytest.approx(args[0])


class Counting:
    """A product by the textbook that counts operations and the entries of its arrays."""

    def __init__(self, m, n, k):
        A, B, C = np.ones((m, k)), np.ones((k, n)), np.zeros((m, n))
        self.flops = 0
        for i, j, q in itertools.product(range(m), range(n), range(k)):
            C[i, j] += A[i, q] * B[q, j]
            self.flops += 2
        self.n_bytes = 2 * (A.size + B.size + C.size)


@pytest.mark.proves("eq-roofline-product", by="independent")
@pytest.mark.parametrize(("m", "n", "k"), [(1, 1, 1), (3, 4, 5), (8, 1, 6), (2, 9, 2)])
def test_the_intensity_of_a_product_by_counting(m, n, k):
    counted, known = Counting(m, n, k), roofline.product(m, n, k)
    assert (counted.flops, counted.n_bytes) == (known.flops, known.n_bytes)
    assert known.intensity == 2 * m * n * k / (2 * (m * k + k * n + m * n))
    if n == 1:
        vector = roofline.matrix_vector(m, k)
        assert (vector.flops, vector.n_bytes) == (known.flops, known.n_bytes)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_an_operation_moves_the_bytes_of_its_arrays(dtype):
    A, x, B = (np.ones(shape, dtype) for shape in ((3, 4), 4, (4, 5)))
    size, known = A.itemsize, roofline.matrix_vector(3, 4, A.itemsize)
    assert known.n_bytes == sum(array.nbytes for array in (A, x, A @ x))
    assert roofline.product(3, 5, 4, size).n_bytes == sum(array.nbytes for array in (A, B, A @ B))
    assert roofline.addition(4, size).n_bytes == sum(array.nbytes for array in (x, x, x + x))


@pytest.mark.proves("eq-roofline-batch", by="symbolic")
def test_the_intensity_of_a_wide_layer_is_its_batch():
    b, p, q = sp.symbols("b p q", positive=True)
    intensity = 2 * b * p * q / (2 * (b * p + p * q + b * q))
    assert sp.limit(sp.limit(intensity, p, sp.oo), q, sp.oo) == b
    assert roofline.product(300, 10**7, 10**7).intensity == pytest.approx(300, rel=1e-4)


def test_no_program_is_faster_than_the_roof_allows():
    h100, product = device("H100"), roofline.product(4_096, 4_096, 4_096)
    seconds = roofline.least_seconds(product, h100, "bf16")
    assert seconds == product.flops / h100.peak("bf16")
    vector = roofline.matrix_vector(4_096, 4_096)
    moving = vector.n_bytes / h100.bandwidth_bytes_per_second
    assert roofline.least_seconds(vector, h100, "bf16") == pytest.approx(moving)


def test_a_machine_is_measured_and_its_numbers_stay_out_of_its_repr(rng):
    machine = roofline.measure(rng, n=256, n_repeats=3)
    assert roofline.addition(10**6, 8).intensity < machine.ridge
    assert 1e8 < machine.bandwidth < 1e13
    assert 1e8 < machine.peak_flops < 1e14
    assert not re.search(r"\d", repr(machine))
    assert "GFLOP/s" in machine.report()
    assert machine.roof(roofline.addition(10**6, 8)) < machine.peak_flops


def test_a_roof_without_height_is_refused():
    for peak, width in [(0, 1), (1, -2), (math.nan, 1)]:
        with pytest.raises(ValueError, match="must be a positive number"):
            roofline.attainable(1.0, peak, width)


def test_the_comparison_shows_bytes_a_weight():
    shown = states.Comparison(10**6)
    assert shown.bytes_per_param["adamw", "mixed"] == 16
    assert shown.bytes_per_param["sgd", "16-bit"] == 4
    assert repr(shown).splitlines()[-1].split() == ["adamw", "16", "16", "8"]
