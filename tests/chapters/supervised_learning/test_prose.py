"""What the chapter's records say of themselves in its prose."""

import numpy as np
import pytest

from dlcourse import datasets
from dlcourse.chapters.supervised_learning.constants import targets
from dlcourse.chapters.supervised_learning.families import NETWORK, Fits, families
from dlcourse.chapters.supervised_learning.newsvendor import Orders
from dlcourse.chapters.supervised_learning.optimism import Leak, NoiseFeatures


def test_the_prose_tells_mean_median_and_quantile_of_demand(rng):
    truth = datasets.Lognormal(intercept=4.0, slope=1.2, log_sd=0.6)
    prose = targets(truth, n=100, level=0.8, rng=rng).prose()
    demand = truth.quantile(0.0, rng.uniform(size=200_000))
    told = [float(prose[f"sl_{name}"]) for name in ("mean", "median", "quantile")]
    drawn = [demand.mean(), np.median(demand), np.quantile(demand, 0.8)]
    np.testing.assert_allclose(told, drawn, rtol=0.02)
    share = np.mean(demand > demand.mean())
    assert float(prose["sl_share"].rstrip("%")) / 100 == pytest.approx(share, abs=0.01)


def test_the_prose_tells_line_and_network_at_both_sizes(rng):
    assert NETWORK in families(n_steps=1)
    training = {"line": np.array([0.5, 0.25]), NETWORK: np.array([0.125, 0.2])}
    risk = {"line": np.array([0.25, 0.5]), NETWORK: np.array([0.75, 0.0625])}
    data, nowhere = datasets.sales_response(30, 0.5, rng), np.zeros(1)
    fits = Fits(0.5, [30, 2_000], training, risk, curves={}, truth=nowhere, data=data)
    prose = fits.prose()
    assert (prose["sl_n_small"], prose["sl_n_large"], prose["sl_noise"]) == ("30", "2,000", "0.25")
    assert (prose["sl_net_training"], prose["sl_net_risk"]) == ("0.125", "0.75")
    assert (prose["sl_line_risk"], prose["sl_line_many"]) == ("0.25", "0.500")
    assert prose["sl_net_many"] == "0.062"


def test_the_prose_tells_the_errors_with_the_fewest_and_the_most_features():
    training, held_out = np.array([0.5, 0.4, 0.25]), np.array([0.75, 0.8, 1.5])
    noise = NoiseFeatures(100, np.array([1, 2, 3]), training, training, held_out)
    assert list(noise.prose().values()) == ["0.50", "0.25", "0.75", "1.50"]


def test_the_prose_tells_the_mean_accuracy_outside_and_inside():
    leak = Leak(
        wrong=np.array([0.75, 1.0, 0.8]), right=np.array([0.25, 0.75, 0.5]), fresh=np.zeros(3)
    )
    assert leak.prose() == {"sl_leak": "85%", "sl_honest": "50%"}


def test_the_prose_tells_what_the_rules_waste_against_the_best():
    names = ["predicted mean", "predicted mean + safety stock", "smallest empirical risk", "best"]
    rules = Orders(np.zeros(1), {}, dict(zip(names, [9.0, 5.5, 4.25, 4.0], strict=True)))
    prose = rules.prose()
    assert (prose["sl_forecast"], prose["sl_two_stage"], prose["sl_direct"]) == (
        "5.00",
        "1.50",
        "0.25",
    )
