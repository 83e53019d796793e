"""Money and carbon: several bases side by side, each with its price's origin."""

import pytest

from dlcourse.compute.machines import hardware, prices
from dlcourse.compute.runs import carbon, cost, hours, records

DEVICES = sorted(hardware.CATALOGUE)


@pytest.fixture(scope="module")
def run():
    record = {"params_total": 8.03e9, "data_count": 15e12, "accelerator": "H100", "seq_len": 8192}
    return hours.predict(records.read(record))


@pytest.mark.parametrize("name", DEVICES)
def test_every_device_has_three_bases_of_different_offers(name):
    found = cost.bases(hardware.device(name))
    assert len(found) >= 3
    assert len({str(basis) for basis in found}) == len(found)
    for basis in found:
        assert basis.price.provider in str(basis)
        assert basis.price.as_of in str(basis)
        assert basis.price.source


def test_own_offers_come_first_and_others_are_said_to_be_scaled():
    found = cost.bases(hardware.device("RTX 4090"))
    assert found[0].price.device == "RTX 4090"
    assert found[0].scale == 1
    assert "scaled by peak from H100 SXM" in str(found[1])
    assert found[1].usd_per_chip_hour == pytest.approx(
        found[1].price.usd_per_device_hour * 165.2 / 989.4
    )


def test_no_price_is_used_before_its_date():
    for on in ("2021-06", "2023-01", "2024-12"):
        for name in ("A100", "H100", "V100"):
            assert all(b.price.as_of[:7] <= on for b in cost.bases(hardware.device(name), on))
    assert cost.bases(hardware.device("H100"), "2010-01") == []


@pytest.mark.proves("eq-cost-money", by="independent")
def test_money_is_hours_times_price_on_every_basis(run):
    for row in cost.costs(run):
        offer = row.basis.price
        by_hand = run.chip_hours() / offer.n_devices * offer.usd_per_hour
        assert row.usd() == pytest.approx(by_hand)
        assert row.usd(0.05) < row.usd() < row.usd(0.95)


def test_deepseek_v3_costs_what_its_table_says():
    assumed = next(p for p in prices.of("H800") if p.term == "assumed rental")
    table = {"pretraining": (2.664e6, 5.328e6), "context": (119e3, 0.238e6), "after": (5e3, 0.01e6)}
    for chip_hours, printed in table.values():
        assert cost.usd(chip_hours, assumed.usd_per_device_hour) == printed
    assert cost.usd(sum(h for h, _ in table.values()), 2.0) == 5.576e6


@pytest.mark.proves("eq-cost-energy", by="independent")
def test_carbon_is_that_of_the_makers_reports():
    """The reports multiply the same way: hours, full power, carbon of a kilowatt-hour."""
    reports = [row for row in hardware.read("carbon.json") if row["kind"] == "report"]
    chips = {400: "A100", 700: "H100"}
    assert len(reports) >= 7
    for row in reports:
        device = hardware.device(chips[row["power_watts"]])
        energy = carbon.energy_kwh(row["device_hours"], device)
        assert energy * row["kg_per_kwh"] / 1e3 == pytest.approx(row["tonnes"], rel=0.01)


def test_carbon_follows_the_grid_and_the_hours(run):
    found = carbon.emissions(run)
    assert len(found.grids) >= 3
    for grid in found.grids:
        assert grid.source
        assert found.tonnes(grid) == pytest.approx(run.chip_hours() * 700 / 1e6 * grid.kg_per_kwh)
        assert found.tonnes(grid, 0.05) < found.tonnes(grid) < found.tonnes(grid, 0.95)
    assert "world" in repr(found)


def test_a_device_without_published_power_has_no_carbon():
    with pytest.raises(ValueError, match="publishes no power"):
        carbon.energy_kwh(1.0, hardware.device("TPU v5p"))


def test_costs_print_their_bases(run):
    text = repr(cost.costs(run))
    assert "capacity block, 2024-12" in text
