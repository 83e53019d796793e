"""The chapter's displays, evaluated as the page has them."""

import dataclasses
import itertools

import numpy as np
import pytest

from dlcourse.compute.machines import export_rules, roofline
from dlcourse.compute.machines.hardware import BITS, TERA, device
from dlcourse.compute.memory import activations, kv_cache, tape
from dlcourse.compute.memory.activations import Transformer
from dlcourse.compute.memory.tape import Tape
from tools.formula import one_based

# The machine


@pytest.mark.proves("eq-hardware-peak", by="independent")
def test_the_peak_is_that_of_the_makers_units_and_clocks(displayed):
    units = {"A100": (432, 256, 1.410e9), "H100": (528, 512, 1.830e9), "V100": (640, 64, 1.530e9)}
    for name, (n, q, c) in units.items():
        names = {r"P_{\max}": device(name).peak("fp16"), "n": n, "q": q, "c": c}
        assert displayed("eq-hardware-peak").holds(names, rtol=0.005)


@pytest.mark.proves("eq-roofline", "eq-roofline-ridge", by="independent")
def test_no_more_is_computed_than_the_longer_of_computing_and_moving_allows(displayed, rng):
    for flops, intensity, peak, width in 10 ** rng.uniform(3, 15, (9, 4)):

        def rate(intensity, flops=flops, peak=peak, width=width):
            return flops / max(flops / peak, flops / intensity / width)  # both at once, at best

        names = {r"P_{\max}": peak, "B": width, "I": intensity, "P": rate}
        assert displayed("eq-roofline").holds(names)
        passing = width * flops / peak  # bytes, while the operations are made
        names = {r"P_{\max}": peak, "B": width, "I^*": flops / passing}
        assert displayed("eq-roofline-ridge").holds(names)


@pytest.mark.proves("eq-roofline-product", "eq-roofline-batch", by="independent")
def test_the_intensity_of_a_product_is_its_operations_over_the_bytes_of_its_arrays(displayed):
    for m, n, k, kind in [(3, 4, 5, "f4"), (8, 1, 6, "f8"), (2, 9, 7, "f2")]:
        A, B = np.ones((m, k), kind), np.ones((k, n), kind)
        operations = 2 * len(list(itertools.product(range(m), range(n), range(k))))
        intensity = operations / (A.nbytes + B.nbytes + (A @ B).nbytes)
        names = {"I": intensity, "m": m, "n": n, "k": k, "w": A.itemsize}
        assert displayed("eq-roofline-product").holds(names)
    wide = roofline.product(300, 10**12, 10**12).intensity
    names = {r"\lim_{p, q \to \infty} I": wide, "b": 300}
    assert displayed("eq-roofline-batch").holds(names, rtol=1e-6)


# Memory


@pytest.mark.proves("eq-memory-states", by="independent")
def test_the_states_are_the_bytes_of_the_arrays_that_training_holds(displayed):
    n, widths = 13, {"w_w": 2, "w_g": 4, "w_m": 8, "w_s": 1}
    for k in (1, 3):
        held = [np.zeros((k if name == "w_s" else 1, n), f"V{w}") for name, w in widths.items()]
        names = {"M": sum(array.nbytes for array in held), "N": n, "k": k} | widths
        assert displayed("eq-memory-states").holds(names)


@pytest.mark.proves("eq-memory-mlp", by="independent")
def test_a_network_keeps_what_its_tape_notes(displayed):
    for n, b in [([7, 5, 3], 4), ([20, 6, 11, 2], 9)]:
        kept = activations.mlp(n, b).n_bytes
        names = {"A": kept, "b": b, "n": n, "L": len(n) - 1}
        assert displayed("eq-memory-mlp").holds(names)


@pytest.mark.proves("eq-memory-layer", by="independent")
def test_a_layer_of_gpt2_adds_what_the_tape_notes(displayed):
    for s, b, head, a in [(7, 3, 5, 4), (33, 2, 8, 3)]:
        h = head * a
        two, three = (
            activations.gpt2(b, s, Transformer(n, h, a, 4 * h, 50), is_fused=False).n_bytes
            for n in (2, 3)
        )
        names = {"A": three - two, "s": s, "b": b, "h": h, "a": a}
        assert displayed("eq-memory-layer").holds(names)


def sixteen_bits(s, b, h, a):
    """Bytes of a layer with dropout, operation by operation; those of the norms' means left out."""
    run = Tape(bytes_per_number=2, mask_bytes=1)
    y = tape.layer_norm(run, run.new(b, s, h))
    q, k, v = (tape.linear(run, y, h).view(b, a, s, h // a) for _ in range(3))
    y = tape.attention(run, q, k, v, is_fused=False, dropped=True)
    tape.dropout(run, tape.linear(run, y, h))
    y = tape.layer_norm(run, run.new(b, s, h))
    y = tape.gelu(run, tape.linear(run, y, 4 * h))
    tape.dropout(run, tape.linear(run, y, h))
    return run.n_bytes - 2 * 2 * 4 * s * b


@pytest.mark.proves("eq-memory-layer-16", "eq-memory-crossing", by="independent")
def test_a_layer_in_16_bits_is_the_sum_over_its_operations(displayed):
    for s, b, head, a in [(7, 3, 5, 4), (33, 2, 8, 3)]:
        h = head * a
        names = {"A": sixteen_bits(s, b, h, a), "s": s, "b": b, "h": h, "a": a}
        assert displayed("eq-memory-layer-16").holds(names)
        # Bytes are linear and quadratic in the length: two lengths tell where the parts are equal.
        once, twice = (sixteen_bits(length, b, h, a) for length in (1, 2))
        quadratic = (twice - 2 * once) / 2
        names = {"s^*": (once - quadratic) / quadratic, "h": h, "a": a}
        assert displayed("eq-memory-crossing").holds(names)


@pytest.mark.proves("eq-memory-kv", "eq-memory-latent", by="independent")
def test_a_token_costs_the_bytes_of_what_is_kept_of_it(displayed):
    L, heads, d, c, r = 3, 5, 7, 11, 4
    for kind in ("f2", "f4"):
        pairs = [(np.ones((heads, d), kind), np.ones((heads, d), kind)) for _ in range(L)]
        names = {"L": L, "n_{kv}": heads, "d": d, "w": np.dtype(kind).itemsize}
        kept = sum(keys.nbytes + values.nbytes for keys, values in pairs)
        assert displayed("eq-memory-kv").value(names) == kept
        vectors = [(np.ones(c, kind), np.ones(r, kind)) for _ in range(L)]
        names = {"L": L, "d_c": c, "d_r": r, "w": np.dtype(kind).itemsize}
        kept = sum(latent.nbytes + rotated.nbytes for latent, rotated in vectors)
        assert displayed("eq-memory-latent").value(names) == kept
    assert kv_cache.bytes_per_token(L, heads, d, 4) == displayed("eq-memory-kv").value(
        {"L": L, "n_{kv}": heads, "d": d, "w": 4}
    )


# Export


@pytest.mark.proves("eq-export-tpp", "eq-export-density", by="independent")
def test_the_two_numbers_of_the_rules_are_those_of_units_clock_and_die(displayed):
    macs = {"fp32": 16_896 * 1.980e9, "fp16": 528 * 512 * 1.830e9, "fp8": 528 * 900 * 1.830e9}
    chip = dataclasses.replace(
        device("H100"), peak_flops={(t, "fp32"): 2 * rate for t, rate in macs.items()}
    )
    tpp = export_rules.total_processing_performance(chip)
    names = {r"\mathrm{TPP}": tpp, "t": range(1, 4)}
    names[r"\mathrm{MacTOPS}"] = one_based([rate / TERA for rate in macs.values()])
    names[r"\mathrm{bits}"] = one_based([BITS[t] for t in macs])
    assert displayed("eq-export-tpp").holds(names)
    density = export_rules.performance_density(chip)
    names = {r"\mathrm{TPP}": tpp, r"\mathrm{PD}": density}
    names[r"\text{area of the die in mm}^2"] = chip.die_mm2
    assert displayed("eq-export-density").holds(names)
