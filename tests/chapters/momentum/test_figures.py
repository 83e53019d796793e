"""The captions of the chapter's figures hold on the data that the figures draw."""

import numpy as np
import pytest

from dlcourse.chapters.momentum import figures, noise, plane, race
from dlcourse.convergence import heavy_ball
from dlcourse.functions import LessardBowl
from dlcourse.optim import HeavyBall, minimize


@pytest.mark.parametrize("strong", [0.9, 0.97])
def test_strong_momentum_swings_under_its_envelope_and_critical_does_not(strong):
    drawn = figures.regimes(0.01, strong).data
    assert (np.abs(drawn["strong"]) <= drawn["envelope"] + 1e-12).all()
    assert drawn["strong"].min() < 0 < drawn["critical"].min()
    assert drawn["critical"][-1] < 0.1 * drawn["none"][-1]
    assert np.allclose(drawn["envelope"][1:] / drawn["envelope"][:-1], np.sqrt(strong))


def test_runs_shrink_on_the_left_of_the_line_and_the_bar_fits():
    rates = plane.rate_plane()
    drawn = figures.rate_plane(rates, 100.0).data
    left = drawn["run steps"] < 2 + 2 * drawn["run betas"]
    assert (left == drawn["shrinks"]).all()
    root = np.sqrt(drawn["best beta"][0])
    assert np.allclose(drawn["span"], [(1 - root) ** 2, (1 + root) ** 2])
    inside = heavy_ball.spectral_radius(np.linspace(*drawn["span"], 50)[1:-1], root**2)
    assert np.allclose(inside, root)


def test_nesterov_falls_twice_as_steeply_and_below_the_bounds(rng):
    valley = race.flat_valley(rng, n_steps=300)
    races = race.steps_by_method({"drawn": race.exact_regression(100.0, rng)}, n_steps=1_500)
    figure = figures.acceleration(valley, races)
    for name in ("gradient descent", "Nesterov, growing"):
        assert (figure.data[f"valley, {name}"] <= figure.data[f"bound, {name}"]).all()
    assert f"{races.steps['heavy ball'][0]} and Nesterov's" in figure.caption
    fast, slow = (figure.data[f"race, {name}"] for name in ("heavy ball", "gradient descent"))
    assert fast.min() < 1e-6 < slow.min() * 1e3


def test_the_circle_never_comes_to_zero_and_two_runs_share_a_floor(rng):
    circle = minimize(LessardBowl(), np.array([3.3]), HeavyBall(1 / 9, 4 / 9), max_steps=40)
    noisy = noise.noisy_runs([(0.2, 0.0), (0.02, 0.9), (0.2, 0.9)], rng)
    drawn = figures.breaks(circle, noisy).data
    assert np.abs(drawn["x"]).min() > 0.2
    assert np.allclose(drawn["x"][-3:], drawn["x"][-6:-3], atol=0.05)
    ends = [drawn[name][-1] for name in ("α = 0.2, β = 0", "α = 0.02, β = 0.9", "α = 0.2, β = 0.9")]
    assert np.allclose(ends, drawn["floors"], rtol=0.25)
    assert drawn["floors"][2] > 8 * drawn["floors"][0]
