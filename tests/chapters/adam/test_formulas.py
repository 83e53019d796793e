"""The chapter's displays, evaluated as the page has them."""

import numpy as np
import pytest

from tools.formula import one_based


@pytest.mark.proves("eq-adam-mean", by="independent")
def test_the_mean_is_the_weighted_sum_of_the_past(displayed, rng):
    beta, g = 0.8, rng.normal(size=9)
    means = [(1 - beta) * beta ** np.arange(k - 1, -1, -1) @ g[:k] for k in range(10)]
    for k in range(1, 10):
        names = {"m": means, r"\beta_1": beta, "g": one_based(g), "k": k}
        assert displayed("eq-adam-mean").holds(names)
