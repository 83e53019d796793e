"""Figures of the chapter on the cost of training: their captions held to what they draw."""

import numpy as np
import pytest

from dlcourse.chapters.training_cost import claims, figures
from dlcourse.compute.machines import hardware
from dlcourse.compute.runs import budget, calibration, cost


@pytest.fixture(scope="module")
def errors():
    return calibration.leave_families_out()


def test_attention_grows_with_the_context_and_hurts_small_models_most():
    figure = figures.attention()
    context = figure.data["context"]
    small, middle, large = (figure.data[f"{size:g}"] for size in (1e8, 7e9, 4e11))
    assert (np.diff(small) > 0).all()
    assert (small > middle).all()
    assert (middle > large).all()
    np.testing.assert_allclose(small / small[0], context / context[0])
    crossing = float(figure.caption.split("context of ")[1].split(" ")[0].replace(",", ""))
    assert np.interp(crossing, context, small) == pytest.approx(100, rel=1e-2)
    assert f"{large[-1]:.0f}% at the right end" in figure.caption


def test_the_calibration_figure_counts_what_lies_outside(errors):
    figure = figures.calibration(errors)
    ratios, sds = figure.data["ratios"], figure.data["sds"]
    outside = np.abs(np.log(ratios)) > calibration.Z90 * sds
    assert f"the {len(ratios)} runs" in figure.caption
    assert f"{outside.sum()} lie outside (hollow)" in figure.caption
    spread = np.exp(np.quantile(np.abs(np.log(ratios)), [0.5, 0.9]))
    assert f"a factor of {spread[0]:.2f}, nine in ten within {spread[1]:.2f}" in figure.caption
    assert f"of the 90% intervals {100 * (1 - outside.mean()):.0f}% hold" in figure.caption
    observed = figure.data["observed"]
    assert (np.diff(observed) >= 0).all()
    at_90 = np.argmin(np.abs(figure.data["nominal"] - 0.9))
    assert observed[at_90] == pytest.approx(1 - outside.mean(), abs=0.03)


def test_one_basis_keeps_the_ratio_of_the_two_models():
    trained = {"DeepSeek-V3": 2.788e6, "Llama 3.1 405B": claims.LLAMA_HOURS}
    offers = [*cost.bases(hardware.device("H800"))[:1], *cost.bases(hardware.device("H100"))]
    printed = {"DeepSeek-V3": (5.576e6, 5.576e6), "Llama 3.1 405B": claims.LLAMA_PRINTED}
    figure = figures.bases(trained, offers, printed)
    v3, llama = (figure.data[name] for name in trained)
    np.testing.assert_allclose(llama / v3, 30.84e6 / 2.788e6)
    assert "costs 11.1 times as much" in figure.caption
    assert f"by a factor of {v3.max() / v3.min():.1f}" in figure.caption
    assert f"for {len(offers)} prices" in figure.caption
    low, high = claims.LLAMA_PRINTED
    as_printed = np.abs(v3 / 5.576e6 - 1) < 0.02
    assert as_printed.any()
    assert not (as_printed & (llama >= low) & (llama <= high)).any()  # no pair lies in both


def test_more_money_buys_more_than_the_root():
    figure = figures.budgets(["H100", "A100"])
    dollars, found = figure.data["dollars"], figure.data["H100"]
    assert (np.diff(found) > 0).all()
    assert (figure.data["low"] < found).all()
    assert (found < figure.data["high"]).all()
    times = found[-1] / found[0]
    assert dollars[-1] / dollars[0] == pytest.approx(1e5)
    assert times > np.sqrt(1e5)
    assert f"buys {times:,.0f} times the parameters" in figure.caption
    assert found[4] == pytest.approx(budget.plan(dollars[4], "H100").params)
