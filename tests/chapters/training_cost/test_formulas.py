"""The chapter's displays, evaluated as the page has them."""

import math

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from dlcourse.compute.machines import hardware
from dlcourse.compute.runs import carbon, cost, hours, utilization
from tests.book.errata.transformer import flops_per_token


def counted(function):
    """FLOPs of the matrix products of a function, by torch's own counter."""
    with FlopCounterMode(display=False) as counter:
        function()
    return counter.get_total_flops()


def moments(worlds, name):
    found, weights = [world[name] for _, world in worlds], [p for p, _ in worlds]
    mean = np.average(found, weights=weights)
    return mean, np.average((found - mean) ** 2, weights=weights)


@pytest.mark.proves("eq-cost-matmul", "eq-cost-six", by="independent")
def test_torch_counts_four_operations_a_weight_backward_and_six_in_all(displayed):
    for widths, n_tokens in [((3, 5), 7), ((4, 9, 2), 11)]:
        pairs = zip(widths, widths[1:], strict=False)
        weights = [torch.ones(pair, requires_grad=True) for pair in pairs]
        n, outputs = sum(weight.numel() for weight in weights), []

        def forward(weights=weights, size=(n_tokens, widths[0]), outputs=outputs):
            x = torch.ones(size, requires_grad=True)
            for weight in weights:
                x = x @ weight
            outputs.append(x.sum())

        first = counted(forward)
        back = counted(outputs[0].backward)
        assert back == 4 * n * n_tokens
        assert displayed("eq-cost-matmul").holds({"n": n})
        assert displayed("eq-cost-six").holds({"C": first + back, "N": n, "D": n_tokens})


@pytest.mark.proves("eq-cost-attention", by="independent")
def test_torch_counts_what_attention_adds(displayed):
    for n_layers, width, n_words, length in [(3, 64, 50, 16), (2, 32, 70, 128)]:
        n, each = flops_per_token(n_layers, width, n_words, length)
        names = {"C": each * n * 7, "D": 7, "N": n, "L": n_layers, "d": width, "s": length}
        assert displayed("eq-cost-attention").holds(names)


@pytest.mark.proves("eq-cost-hours", "eq-cost-bound", by="worst case")
def test_the_bound_is_attained_by_hours_at_the_peak(displayed):
    for flops, peak in [(3e23, 312e12), (5e20, 82e12)]:
        for share in (0.37, 1.0):
            names = {"C": flops, "U": share, "P": peak, "H": hours.chip_hours(flops, share, peak)}
            assert displayed("eq-cost-hours").holds(names)
            assert displayed("eq-cost-bound").holds(names, tight=share == 1.0)


@pytest.mark.proves("eq-cost-pooling", by="instances")
def test_utilization_is_a_product_of_effects_with_the_spreads_of_the_package(displayed, rng):
    scales = np.array([utilization.SCALES[name] for name in ("TPU", "fp8", "one node")])
    family, run = (utilization.stored().spreads[name] for name in ("family", "run"))
    points = np.sqrt(5) * np.vstack([np.eye(5), -np.eye(5)])  # mean zero, the identity as variance
    worlds = [
        (0.1, {"b": np.c_[scales * z[:3]], "f_g": family * z[3], "e_i": run * z[4]}) for z in points
    ]
    for i in (1, 2):
        x, b, f, e, o = rng.normal(size=3), rng.normal(size=3), *rng.normal(size=3)
        names = {"U": {i: math.exp(o) * math.prod(np.exp(x * b)) * math.exp(f) * math.exp(e)}}
        names |= {"x": {i: np.c_[x]}, "b": np.c_[b], "o": {i: o}, "e": {i: e}, "i": i}
        names |= {"f": {7: f}, "g": {i: 7}.get, r"\tau": family, r"\sigma": run}
        assert displayed("eq-cost-pooling").holds(names | {"S": np.diag(scales**2)}, worlds)


@pytest.mark.proves("eq-cost-posterior", by="independent")
def test_the_prediction_is_that_of_bayes_rule_on_a_grid(displayed, rng):
    for n in (2, 3):
        x, new, spread, noise = rng.normal(size=n), rng.normal(), 0.4, 0.3
        y = x * 0.5 + noise * rng.normal(size=n)
        worlds = []
        for effect in np.linspace(-3, 3, 61):
            misses = np.sum((y - x * effect) ** 2) / noise**2 + (effect / spread) ** 2
            for side in (-1, 1):
                worlds.append((np.exp(-misses / 2), {"z": new * effect + side * noise}))
        total = sum(p for p, _ in worlds)
        worlds = [(p / total, world | {"U": np.exp(0.7 + world["z"])}) for p, world in worlds]
        m, v = moments(worlds, "z")
        K = spread**2 * np.outer(x, x) + noise**2 * np.eye(n)
        names = {"o": 0.7, "y": np.c_[y], "K": K, "k": np.c_[spread**2 * x * new], "m": m, "v": v}
        names |= {r"\kappa": (spread * new) ** 2 + noise**2}
        assert displayed("eq-cost-posterior").holds(names, worlds)


@pytest.mark.proves("eq-cost-money", "eq-cost-energy", by="independent")
def test_the_bill_and_the_energy_are_those_of_the_package(displayed):
    for name, n_hours, price in [("H100", 1_234.0, 2.7), ("A100", 56.0, 1.9)]:
        device = hardware.device(name)
        names = {"H": n_hours, "p": price, r"\text{dollars}": cost.usd(n_hours, price)}
        names |= {"w": device.power_watts, r"\text{kWh}": carbon.energy_kwh(n_hours, device)}
        assert displayed("eq-cost-money").holds(names)
        assert displayed("eq-cost-energy").holds(names)


@pytest.mark.proves("eq-cost-optimal", by="truth")
def test_the_model_of_a_budget_costs_it_with_twenty_tokens_a_parameter(displayed):
    for n in (7e9, 3.1e8):
        n_tokens = 20 * n
        forward, backward = 2 * n * n_tokens, 4 * n * n_tokens
        assert displayed("eq-cost-optimal").holds({"N": n, "C": forward + backward})
