"""What a budget buys, and that the estimate forward gives the budget back."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlcourse.compute.runs import budget, hours, records

DEVICES = ["H100", "A100", "RTX 4090", "TPU v4", "V100", "H800"]


@given(
    usd=st.floats(min_value=20, max_value=5e9),
    device=st.sampled_from(DEVICES),
    q=st.sampled_from([0.05, 0.5, 0.95]),
)
@settings(max_examples=60, deadline=None)
@pytest.mark.proves("eq-cost-optimal", by="independent")
def test_the_plan_costs_the_budget_by_the_forward_estimate(usd, device, q):
    plan = budget.plan(usd, device, q=q)
    record = {  # as a user would write it down, from the numbers of the plan alone
        "kind": "dense-decoder",
        "params_total": plan.params,
        "data_count": 20 * plan.params,
        "seq_len": 2048,
        "precision": plan.hours.run.precision,
        "accelerator": plan.hours.run.device.name,
        "n_accel": plan.n_devices,
    }
    again = hours.predict(records.read(record))
    forward = again.chip_hours(q) * plan.basis.usd_per_chip_hour
    assert forward == pytest.approx(usd, rel=1e-9)
    assert plan.usd == pytest.approx(usd, rel=1e-9)
    assert plan.tokens == pytest.approx(20 * plan.params, rel=1e-12)
    assert again.work.flops == pytest.approx(120 * plan.params**2, rel=1e-12)
    assert plan.device_bytes <= 0.7 * plan.hours.run.device.memory_bytes


def test_more_money_buys_a_larger_model_and_the_square_of_its_cost():
    small, large = (budget.plan(usd, "H100", n_devices=2000) for usd in (1e6, 4e6))
    share = small.hours.utilization.log_median, large.hours.utilization.log_median
    assert 2.0 < large.params / small.params < 2.0 * 1.3
    assert share[1] > share[0]  # the larger model uses the chips better


def test_bad_luck_with_the_software_buys_less():
    lucky, median, unlucky = (budget.plan(1e6, "H100", q=q).params for q in (0.05, 0.5, 0.95))
    assert unlucky < median < lucky


def test_without_a_number_of_devices_the_plan_ends_within_a_month_and_fits():
    plan = budget.plan(1e6, "H100", on="2025-01")
    assert 29 < plan.days <= 30
    assert str(plan.basis).endswith("2024-12")
    huge = budget.plan(3e8, "K80")
    assert huge.device_bytes < 0.7 * huge.hours.run.device.memory_bytes


def test_the_date_chooses_the_price_and_the_device_must_exist():
    early, late = budget.plan(1e6, "H100", on="2023-09"), budget.plan(1e6, "H100", on="2026-01")
    assert early.basis.usd_per_chip_hour > 2 * late.basis.usd_per_chip_hour
    with pytest.raises(ValueError, match="first sold in 2022-10. Choose a later date"):
        budget.plan(1e6, "H100", on="2021-01")
    with pytest.raises(ValueError, match="No price of V100 16GB is known by 2017-06"):
        budget.plan(1e6, "V100", on="2017-06")


@pytest.mark.parametrize("usd", [0, -5, float("nan")])
def test_a_budget_is_positive(usd):
    with pytest.raises(ValueError, match="must be a positive number"):
        budget.plan(usd, "H100")


def test_too_few_devices_are_refused_with_the_number_that_is_enough():
    with pytest.raises(ValueError, match="Give at least"):
        budget.plan(1e7, "RTX 4090", n_devices=2)
    with pytest.raises(ValueError, match="Change the budget"):
        budget.plan(1e-12, "H100")


def test_a_plan_prints_itself():
    text = repr(budget.plan(1e5, "A100"))
    assert "compute" not in text
    for word in ("parameters", "tokens", "devices", "days", "states on a device"):
        assert word in text
