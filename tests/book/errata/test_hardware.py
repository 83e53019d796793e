"""Slides 36 and 40: a price and a license, each with the date and the words that it needs."""

import pytest

from dlcourse.compute.machines import export_rules, prices
from dlcourse.compute.machines.hardware import device

SLIDE = {"device": "H100", "n_devices": 8, "sku": "8 H100", "region": "any", "source": "slide 36"}


def capacity_block():
    """Amazon's offer of eight H100 in the catalogue that is reserved and paid in advance."""
    offers = [p for p in prices.of("H100") if p.term == "capacity block"]
    (found,) = (p for p in offers if p.provider == "Amazon Web Services")
    return found


@pytest.mark.erratum("E45")
def test_a_price_needs_a_date_and_a_way_to_buy(printed):
    for name in ("term", "as_of"):
        said = {"provider": "Amazon", "usd_per_hour": 39.33, "term": "", "as_of": ""}
        known = {"term": "capacity block", "as_of": "2024-12"} | {name: ""}
        with pytest.raises(ValueError, match=f"A price needs `{name}`"):
            prices.Price(**SLIDE | said | known)
    assert all(p.as_of and p.term for p in prices.all_prices())
    found = capacity_block()
    assert found.as_of < "2025-01"
    printed.agrees(amazon=found.usd_per_hour)


@pytest.mark.erratum("E45")
def test_the_same_machine_by_the_hour_cost_more_than_twice_as_much(printed):
    (by_the_hour,) = (
        p for p in prices.of("H100") if (p.sku, p.term) == ("p5.48xlarge", "on demand")
    )
    assert by_the_hour.n_devices == capacity_block().n_devices
    printed.agrees(times=by_the_hour.usd_per_hour / capacity_block().usd_per_hour)


@pytest.mark.erratum("E45")
def test_the_price_of_google_is_in_no_source_that_we_have():
    providers = {p.provider for p in prices.of("H100")}
    assert not any("Google" in provider for provider in providers)


@pytest.mark.erratum("E55")
def test_the_h200_still_needs_a_license_and_only_the_review_has_changed():
    before = export_rules.classify("H200", "2025-12-31")
    after = export_rules.classify("H200", "2026-01-15")
    assert before.entry == after.entry == "3A090.a"  # lifted it would be in no entry
    assert (before.review, after.review) == ("presumed denial", "case by case")
    h200 = device("H200")
    assert export_rules.total_processing_performance(h200) < 21_000
    assert h200.bandwidth_bytes_per_second < 6_500e9
