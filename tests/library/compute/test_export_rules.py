"""The export rules: thresholds at their edges, and devices whose place is public knowledge."""

import dataclasses

import pytest

from dlcourse.compute.machines import export_rules
from dlcourse.compute.machines.export_rules import (
    classify,
    performance_density,
    total_processing_performance,
)
from dlcourse.compute.machines.hardware import GB, TERA, device


def chip(tpp, density=1.0, io=1_000.0, kind="data center", bandwidth=1_000.0):
    """A device made up to lie at a point of the rules, computing in 8 bits."""
    return dataclasses.replace(
        device("H100"),
        peak_flops={("fp8", "fp32"): tpp / 8 * TERA},
        die_mm2=tpp / density,
        io_bytes_per_second=io * GB,
        kind=kind,
        bandwidth_bytes_per_second=bandwidth * GB,
    )


@pytest.mark.proves("eq-export-tpp", by="independent")
@pytest.mark.parametrize(
    ("name", "tera_macs", "bits"),
    [  # multiply-adds in units of 10^12 a second: units times their multiply-adds times the clock
        ("A100", 432 * 256 * 1.410e9 / 1e12, 16),
        ("A100", 432 * 512 * 1.410e9 / 1e12, 8),
        ("H100", 528 * 512 * 1.830e9 / 1e12, 16),
        ("RTX 4090", 512 * 128 * 2.520e9 / 1e12, 16),
        ("RTX 4090 D", 456 * 256 * 2.520e9 / 1e12, 8),
        ("V100", 640 * 64 * 1.530e9 / 1e12, 16),
    ],
)
def test_the_performance_is_twice_the_multiply_adds_times_the_bits(name, tera_macs, bits):
    found = total_processing_performance(device(name))
    assert found == pytest.approx(2 * tera_macs * bits, rel=0.005)


@pytest.mark.proves("eq-export-density", by="truth")
@pytest.mark.parametrize(("name", "printed"), [("H100", 19.4), ("H20", 2.9)])
def test_the_density_is_that_reported_of_the_chip(name, printed):
    """As the press reported of the maker's notice in November 2023."""
    assert performance_density(device(name)) == pytest.approx(printed, abs=0.06)
    h100 = device("H100")
    assert performance_density(h100) * h100.die_mm2 == total_processing_performance(h100)


@pytest.mark.parametrize(
    ("tpp", "io", "entry"),
    [(4_800, 600, "3A090"), (4_799, 600, "none"), (4_800, 599, "none"), (20_000, 400, "none")],
)
def test_the_rule_of_2022_asks_for_performance_and_link(tpp, io, entry):
    found = classify(chip(tpp, io=io), "2023-06-30")
    assert found.entry == entry
    assert found.rule == "87 FR 62186"


@pytest.mark.parametrize(
    ("tpp", "density", "entry"),
    [
        (4_800, 0.1, "3A090.a"),
        (1_600, 5.92, "3A090.a"),
        (1_600, 5.91, "3A090.b"),
        (1_599, 50.0, "none"),
        (2_400, 1.6, "3A090.b"),
        (2_400, 1.59, "none"),
        (2_399, 3.19, "none"),
        (1_600, 3.2, "3A090.b"),
        (1_600, 3.19, "none"),
    ],
)
def test_the_rule_of_2023_asks_for_performance_and_density(tpp, density, entry):
    assert classify(chip(tpp, density, io=10), "2024-06-30").entry == entry


def test_what_is_not_made_for_data_centers_counts_from_4800_on():
    assert classify(chip(4_799, 10, kind="consumer"), "2024-06-30").entry == "none"
    found = classify(chip(4_800, 10, kind="consumer"), "2024-06-30")
    assert found[:2] == ("3A090.a", "notice")


@pytest.mark.parametrize(
    ("tpp", "bandwidth", "review"),
    [
        (20_999, 6_499, "case by case"),
        (21_000, 6_499, "presumed denial"),
        (20_999, 6_500, "presumed denial"),
    ],
)
def test_the_rule_of_2026_judges_some_case_by_case(tpp, bandwidth, review):
    found = chip(tpp, 10, bandwidth=bandwidth)
    assert classify(found, "2026-01-15").review == review
    assert classify(found, "2026-01-14").review == "presumed denial"


KNOWN = {  # what the maker reported to the stock exchange or sold for, and when
    ("A100", "2022-12-31"): "3A090",
    ("H100", "2022-12-31"): "3A090",
    ("A800", "2022-12-31"): "none",
    ("H800", "2023-06-30"): "none",
    ("RTX 4090", "2022-12-31"): "none",
    ("A100", "2023-12-31"): "3A090.a",
    ("A800", "2023-12-31"): "3A090.a",
    ("H800", "2023-12-31"): "3A090.a",
    ("L40S", "2023-12-31"): "3A090.a",
    ("L40", "2023-12-31"): "3A090.b",
    ("RTX 4090", "2023-12-31"): "3A090.a",
    ("RTX 4090 D", "2024-01-31"): "none",
    ("H20", "2024-06-30"): "none",
}


@pytest.mark.parametrize(("name", "day"), KNOWN)
def test_devices_lie_where_they_are_known_to_lie(name, day):
    assert classify(name, day).entry == KNOWN[name, day]


def test_a_sparse_rate_would_put_a_chip_on_the_wrong_side():
    h20 = device("H20")
    doubled = {key: 2 * rate for key, rate in h20.peak_flops.items()}
    planted = dataclasses.replace(h20, peak_flops=doubled)
    assert classify(planted, "2024-06-30").entry != classify(h20, "2024-06-30").entry


def test_before_the_first_rule_all_is_outside_and_what_is_rented_has_no_place():
    assert classify("H100", "2022-10-20").entry == "none"
    with pytest.raises(ValueError, match="TPU v4 is rented, not sold"):
        classify("TPU v4", "2024-01-01")
    with pytest.raises(ValueError, match="area of its die"):
        classify("M40", "2024-01-01")


def test_each_rule_is_dated_and_cited():
    rows = export_rules.Rules().rows
    assert [row["published"] for row in rows] == sorted(row["published"] for row in rows)
    for row in rows:
        volume, register, page = row["citation"].split()
        assert register == "FR"
        assert int(volume) - 65 == int(row["published"][:4]) - 2000  # volume 65 was that of 2000
        assert page.isdigit()
    assert len(repr(export_rules.Rules()).splitlines()) == 1 + len(rows)


def test_the_history_says_what_was_not_yet_sold():
    history = export_rules.History(["H100", "H20"])
    line = next(line for line in repr(history).splitlines() if line.startswith("H20"))
    assert "not yet sold" in line
    assert "outside" in line
