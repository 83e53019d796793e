"""What the race of the step rules says of itself in the chapter's prose."""

import numpy as np

from dlcourse.chapters.gradient_descent.race import Race


def test_the_prose_tells_what_the_fixed_step_and_backtracking_leave():
    left = {"as recorded": (0.5, 0.25), "centered": (0.4, 0.2), "standardized": (0.125, 0.1)}
    gaps = {
        name: {"fixed 1/M": np.array([1.0, fixed]), "backtracking": np.array([1.0, other])}
        for name, (fixed, other) in left.items()
    }
    kappas = {"as recorded": 9e6, "centered": 2e3, "standardized": 40.0}
    prose = Race(kappas, gaps).prose()
    assert [prose[f"gd_kappa_{name}"] for name in ("recorded", "centered", "standardized")] == [
        "9 million",
        "2 thousand",
        "40",
    ]
    assert prose["gd_left_recorded"] == "50%"
    assert prose["gd_left_backtracking"] == "25%"
    assert prose["gd_left_standardized"] == "12.50%"
    assert prose["gd_n_steps"] == "1"
    steps = 1e6 * int(prose["gd_k_recorded"].removesuffix(" million"))
    left_by_then = np.exp(steps * np.log1p(-1 / kappas["as recorded"]))
    assert np.isclose(left_by_then, 1e-3, rtol=0.1)
