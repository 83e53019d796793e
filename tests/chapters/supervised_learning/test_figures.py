"""The captions of the chapter's figures hold on the data that the figures draw."""

import numpy as np
import pytest

from dlcourse import datasets
from dlcourse.chapters.supervised_learning import families, figures, newsvendor, optimism


def test_the_named_families_have_the_smallest_risk(rng):
    data = datasets.sales_response(500, 0.3, rng)
    fits = families.fits_by_size(data, [30, 500], n_steps=200, rng=rng)
    figure = figures.families(fits)
    assert "constant" not in figure.data
    risk = {
        name: ((curves - fits.truth) ** 2).mean(-1)
        for name, curves in figure.data.items()
        if name not in ("x", "truth")
    }
    for at, size in enumerate(fits.sizes):
        assert fits.best(size) in figure.caption
        assert risk[fits.best(size)][at] <= 1.5 * min(errors[at] for errors in risk.values())


def test_training_falls_and_held_out_rises_past_the_mean(rng):
    X = np.column_stack([np.ones(150), rng.normal(size=(150, 2))])
    y = X @ np.array([0.0, 1.0, 1.0]) + rng.normal(size=150)
    data = figures.optimism(optimism.add_noise_features(X, y, 110, rng)).data
    assert (np.diff(data["training"]) <= 1e-12).all()
    assert data["held out"][0] < 1 < data["held out"][-1]
    assert (data["training, corrected"] > data["training"]).all()


def test_the_mean_lies_lowest_and_the_safety_stock_does_not_fan_out(rng):
    truth = datasets.Lognormal(4.0, 1.2, 0.6)
    data = datasets.skewed_demand(500, truth, rng)
    drawn = figures.orders(
        data, newsvendor.profits_by_rule(data, newsvendor.Product(price_usd=5.0, cost_usd=1.0))
    ).data
    stock = drawn["predicted mean + safety stock"] - drawn["predicted mean"]
    assert np.ptp(stock) == pytest.approx(0, abs=1e-9)
    assert stock[0] > 0
    best = drawn["the true quantile"]
    assert drawn["predicted mean + safety stock"][0] > best[0]
    assert drawn["predicted mean + safety stock"][-1] < best[-1]
