"""What the chapter's records say of themselves in its prose."""

import numpy as np

from dlcourse.chapters.momentum.plane import RatePlane
from dlcourse.chapters.momentum.race import METHODS, Race, Savings
from dlcourse.convergence import heavy_ball


def test_the_prose_counts_the_runs_that_do_as_predicted():
    steps, betas = np.array([1.0, 1.0, 3.0]), np.zeros(3)
    measured = heavy_ball.spectral_radius(steps, betas) + np.array([0.0, 0.25, -1.5])
    plane = RatePlane(steps, betas, np.zeros((3, 3)), steps, betas, measured)
    assert plane.prose() == {
        "momentum_as_predicted": "2",  # the last one shrinks, and should not
        "momentum_n_runs": "3",
        "momentum_plane_error": "1.500",
    }


def test_the_prose_tells_the_steps_at_condition_number_100_and_the_slopes():
    steps = {"gradient descent": [1_000, 10, 10_000], "heavy ball": [20, 2, 200]}
    prose = Savings([100.0, 1.0, 10_000.0], steps, 1e-6).prose()
    assert prose["momentum_gd_100"] == "1,000"
    assert prose["momentum_hb_100"] == "20"
    assert prose["momentum_gd_slope"] == "0.75"
    assert prose["momentum_hb_slope"] == "0.50"


def test_the_prose_counts_steps_of_each_method_on_its_own_data_set():
    def shares(n_steps):
        return np.repeat([1.0, 0.0], [n_steps, 1])

    gaps = {
        place: {name: shares(first + i) for i, name in enumerate(METHODS)}
        for place, first in (("diabetes", 2_000), ("breast cancer", 10))
    }
    assert Race(dict.fromkeys(gaps, 1.0), gaps, 1e-6).prose() == {
        "momentum_diabetes_gd": "2,000",
        "momentum_diabetes_hb": "2001",
        "momentum_cancer_gd": "10",
        "momentum_cancer_hb": "11",
        "momentum_cancer_nesterov": "12",
        "momentum_cancer_growing": "13",
    }
