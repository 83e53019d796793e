"""The formulas that docstrings show, evaluated with the functions' own arguments."""

import numpy as np

from dlcourse.convergence import heavy_ball


def test_powers_of_a_matrix_with_one_eigenvalue_are_the_limit_of_those_with_two(displayed):
    beta, k = 0.36, 5
    h = (1 - beta**0.5) ** 2
    names = {
        "R^k": heavy_ball.matrix_power(h, beta, k),
        "R": heavy_ball.iteration_matrix(h, beta),
        **{r"\sigma": beta**0.5, "k": k, "I": np.eye(2)},
    }
    assert displayed("dlcourse.convergence.heavy_ball.matrix_power").holds(names)


def test_a_position_is_an_entry_of_the_power_of_the_matrix(displayed):
    names = {"R": heavy_ball.iteration_matrix(0.7, 0.4), "x_0": 1.9, "k": 5}
    x = 1.9 * heavy_ball.position_after(0.7, 0.4, 5)
    assert displayed("dlcourse.convergence.heavy_ball.position_after").holds(names | {"x_k": x})
