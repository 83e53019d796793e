"""The catalogue of devices: rates against the arithmetic of their units, doors, and prices."""

import dataclasses
import re

import pytest

from dlcourse.compute.machines import hardware, prices
from dlcourse.compute.machines.hardware import CATALOGUE, TERA, device

# Units, multiply-adds a unit and tick in fp16 with the accumulator named, clock in GHz: from the
# tables of the makers' architecture papers that list units and clocks, not rates.
TENSOR_CORES = {
    "V100 16GB": (640, 64, 1.530, "fp32"),
    "T4": (320, 64, 1.590, "fp32"),
    "RTX 2080 Ti": (544, 64, 1.635, "fp16"),
    "A100 40GB": (432, 256, 1.410, "fp32"),
    "A100 80GB": (432, 256, 1.410, "fp32"),
    "A30": (224, 256, 1.440, "fp32"),
    "A10": (288, 128, 1.695, "fp32"),
    "A40": (336, 128, 1.740, "fp32"),
    "RTX A6000": (336, 128, 1.800, "fp32"),
    "RTX 3080": (272, 128, 1.710, "fp16"),
    "RTX 3090": (328, 128, 1.695, "fp16"),
    "RTX 4090": (512, 128, 2.520, "fp16"),
    "RTX 4090 D": (456, 128, 2.520, "fp16"),
    "RTX 5090": (680, 128, 2.407, "fp16"),
    "H100 SXM": (528, 512, 1.830, "fp32"),
    "H100 PCIe": (456, 512, 1.620, "fp32"),
}
CUDA_CORES = {  # cores, clock in GHz: one multiply-add in fp32 each
    "GTX 580": (512, 1.544),
    "GTX Titan Black": (2_880, 0.889),
    "K40": (2_880, 0.745),
    "K80": (4_992, 0.875),
    "M40": (3_072, 1.114),
    "P100": (3_584, 1.480),
    "GTX 1080 Ti": (3_584, 1.582),
    "V100 16GB": (5_120, 1.530),
    "A100 80GB": (6_912, 1.410),
    "RTX 3090": (10_496, 1.695),
    "RTX 4090": (16_384, 2.520),
    "L40S": (18_176, 2.520),
    "H100 SXM": (16_896, 1.980),
}


def is_computed(peak, units, per_tick, gigahertz):
    """Whether a rate is two operations a multiply-add, as the formula says, to 1 %."""
    return peak == pytest.approx(2 * units * per_tick * gigahertz * 1e9, rel=0.01)


@pytest.mark.proves("eq-hardware-peak", by="independent")
@pytest.mark.parametrize("name", TENSOR_CORES)
def test_the_rate_of_tensor_cores_is_their_number_times_their_clock(name):
    units, per_tick, gigahertz, accumulate = TENSOR_CORES[name]
    assert is_computed(device(name).peak("fp16", accumulate), units, per_tick, gigahertz)


@pytest.mark.proves("eq-hardware-peak", by="independent")
@pytest.mark.parametrize("name", CUDA_CORES)
def test_the_rate_in_fp32_is_the_number_of_cores_times_their_clock(name):
    cores, gigahertz = CUDA_CORES[name]
    assert is_computed(device(name).peak("fp32"), cores, 1, gigahertz)


def test_a_sparse_rate_in_the_catalogue_would_be_noticed():
    a100 = device("A100")
    planted = dataclasses.replace(a100, peak_flops={("fp16", "fp32"): 624e12})
    units, per_tick, gigahertz, _ = TENSOR_CORES["A100 80GB"]
    assert not is_computed(planted.peak("fp16"), units, per_tick, gigahertz)


@pytest.mark.parametrize("found", CATALOGUE.values(), ids=CATALOGUE)
def test_a_row_is_whole_and_its_units_are_plausible(found):
    assert re.fullmatch(r"20[12]\d-(0[1-9]|1[0-2])", found.released)
    assert found.kind in {"data center", "workstation", "consumer", "cloud"}
    assert re.search(r"\((19|20)\d\d\)|20\d\d", found.source)
    assert 1e12 <= min(found.peak_flops.values()) <= max(found.peak_flops.values()) < 2e16
    assert 1e9 < found.memory_bytes < 1e12
    assert 1e11 < found.bandwidth_bytes_per_second < 1e13
    assert 1e10 < found.link_bytes_per_second < 1e13
    assert found.power_watts is None or 50 < found.power_watts < 2_000
    assert (found.io_bytes_per_second is None) == (found.kind == "cloud")
    assert all(dtype in hardware.BITS for dtype, _ in found.peak_flops)


@pytest.mark.parametrize("found", CATALOGUE.values(), ids=CATALOGUE)
def test_half_the_bits_is_at_most_twice_the_rate_of_one_unit(found):
    for narrow, wide in [("fp8", "fp16"), ("int4", "int8"), ("fp4", "fp8")]:
        if found.has(narrow) and found.has(wide):
            fastest = {
                dtype: max(rate for (what, _), rate in found.peak_flops.items() if what == dtype)
                for dtype in (narrow, wide)
            }
            assert 0.99 < fastest[narrow] / fastest[wide] < 2.03


def test_names_and_aliases_mean_one_device_each():
    spelled = {}
    for found in CATALOGUE.values():
        for name in (found.name, *found.aliases):
            assert device(name) is found
            assert spelled.setdefault(name, found.name) == found.name
    assert device("h100_sxm") is device("H100")


@pytest.mark.parametrize(
    ("name", "dtype", "tflops"),
    [
        ("A100", "tf32", 156),
        ("A100", "fp16", 312),
        ("H800", "fp8", 1978.9),
        ("V100", "fp32", 15.7),
        ("TPUv4", "bf16", 275),
        ("TPUv2", "bf16", 46),
        ("GTX580", "fp32", 1.58),
        ("RTX 4090", "bf16", 165.2),
        ("P100", "fp16", 21.2),
        ("H20", "bf16", 148),
    ],
)
def test_the_default_is_the_rate_that_training_uses(name, dtype, tflops):
    assert device(name).peak(dtype) == pytest.approx(tflops * TERA)


@pytest.mark.parametrize("dtype", ["fp16 sparse", "FP8 (with sparsity)", "bf16 2:4"])
def test_a_sparse_rate_is_refused_with_the_cure(dtype):
    with pytest.raises(ValueError, match="counts zeros as work.*halve the sparse rate"):
        device("H100").peak(dtype)


def test_a_type_that_a_device_lacks_is_refused_with_those_it_has():
    with pytest.raises(ValueError, match=r"V100 16GB has no rate for bf16\. It has: fp64"):
        device("V100").peak("bf16")
    with pytest.raises(ValueError, match="no rate for fp16 added up in fp16"):
        device("MI300X").peak("fp16", "fp16")
    with pytest.raises(ValueError, match="Unknown number type 'fp12'"):
        device("V100").peak("fp12")


def test_an_unknown_device_is_refused_with_names_alike():
    with pytest.raises(ValueError, match=r"No device is called 'H101'\. Known: H100 SXM"):
        device("H101")


def test_a_claimed_rate_above_the_peak_is_refused():
    device("A100").check_rate(312e12, "bf16")
    with pytest.raises(
        ValueError, match="half of the matrix zero: the dense peak of A100 80GB is 312"
    ):
        device("A100").check_rate(624e12, "bf16")
    with pytest.raises(ValueError, match="above what its units can do"):
        device("A100").check_rate(195e12, "tf32")


def test_what_was_on_sale_grows_with_time():
    names = [d.name for d in hardware.available("2020-06")]
    assert "A100 40GB" in names
    assert "A100 80GB" not in names
    assert set(names) < {d.name for d in hardware.available("2026-01-31")}


# --- prices --------------------------------------------------------------------------------------

OFFER = {
    "device": "H100",
    "n_devices": 8,
    "provider": "a provider",
    "sku": "eight of them",
    "term": "on demand",
    "usd_per_hour": 40.0,
    "as_of": "2024-12",
    "region": "somewhere",
    "source": "its page",
}


def test_every_offer_is_whole_and_no_device_hour_is_out_of_this_world():
    assert len(prices.all_prices()) > 30
    for offer in prices.all_prices():
        assert 0.2 < offer.usd_per_device_hour < 15
        assert offer.as_of[:7] >= device(offer.device).released


@pytest.mark.parametrize("name", ["provider", "sku", "term", "as_of", "region", "source"])
def test_a_price_without_its_circumstances_is_refused(name):
    with pytest.raises(ValueError, match=f"A price needs `{name}`"):
        prices.Price(**{**OFFER, name: ""})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"term": "cheap"}, "Unknown term 'cheap'"),
        ({"as_of": "December 2024"}, "must read 2024-12"),
        ({"as_of": "2024-13"}, "must read 2024-12"),
        ({"usd_per_hour": 0.0}, "`usd_per_hour` must be a positive number"),
        ({"device": "H101"}, "No device is called"),
    ],
)
def test_a_price_that_cannot_be_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        prices.Price(**OFFER | change)


def test_a_price_belongs_to_one_device_under_any_of_its_names():
    assert prices.Price(**OFFER).device == "H100 SXM"
    assert prices.Price(**OFFER).usd_per_device_hour == 5.0
    assert prices.of("H100") == prices.of("H100-SXM5-80GB")


def test_only_what_was_known_by_a_date_is_told():
    known = prices.of("H100", on="2023-12")
    assert known
    assert all(offer.as_of <= "2023-12" for offer in known)
    assert [p.as_of for p in prices.of("H100")] == sorted(
        (p.as_of for p in prices.of("H100")), reverse=True
    )


def test_hours_of_rent_that_pay_for_a_card():
    card = next(p for p in prices.purchases() if p.device == "RTX 4090")
    rent = prices.of("RTX 4090")[0]
    assert card.hours_of(rent) * rent.usd_per_device_hour == pytest.approx(card.usd)


def test_the_price_of_operations_is_that_of_the_hour_over_its_operations():
    computing = prices.Computing([("V100", "fp16")], "Amazon Web Services")
    operations_an_hour = 8 * 125e12 * 3_600
    assert computing.usd[0] == pytest.approx(24.48 / (operations_an_hour / 1e18))
    with pytest.raises(ValueError, match="no price on demand for H20"):
        prices.Computing([("H20", "fp16")], "Amazon Web Services")
