"""What the chapter's comparison of solvers says of gradient descent in the prose."""

import numpy as np

from dlcourse.chapters.least_squares.solvers import Comparison
from dlcourse.linear.least_squares import by_qr
from dlcourse.losses import SquaredError
from dlcourse.optim import GradientDescent, minimize


def test_the_prose_tells_how_far_the_slopes_are_from_those_of_qr():
    x = np.linspace(-1.0, 1.0, 41)
    X = np.column_stack([np.ones(41), x / np.std(x)])  # X'X / n is the identity
    y = 7.0 + 3.0 * X[:, 1]
    rate = 0.01  # so that a step leaves 99 % of the error of each coefficient
    descent = minimize(SquaredError(X, y), np.zeros(2), GradientDescent(rate), max_steps=1_000)
    compared = Comparison({"QR": by_qr(X, y)}, descent)
    np.testing.assert_allclose(compared.unfinished, 0.99 ** np.arange(1_001), rtol=1e-6)
    assert compared.prose() == {"ls_gd_steps": "1,000", "ls_off_100": "37%", "ls_off_1000": "0%"}
