"""The formulas that docstrings show, evaluated with the rules' own arguments."""

import numpy as np

from dlcourse import optim
from tools.formula import one_based


def test_two_numbers_take_the_place_of_two_corrected_arrays(displayed):
    beta1, beta2, k = 0.8, 0.95, 5
    adam = optim.Adam(learning_rate=0.3, beta1=beta1, beta2=beta2, epsilon=0.2)
    x = np.ones(1)
    alpha, epsilon = adam._corrected(x, x, np.array(k - 1))
    names = {r"\alpha": 0.3, r"\epsilon": 0.2, r"\beta": one_based([beta1, beta2]), "k": k}
    names |= {"c": one_based([1 - beta1**k, 1 - beta2**k]), "m": 0.7, "v": 1.9}
    own = {r"\frac{\alpha \sqrt{c_2}}{c_1}": alpha, r"\epsilon \sqrt{c_2}": epsilon}
    for i in (1, 2):
        assert displayed("dlcourse.optim.adam.Adam._corrected").holds(names | {"i": i})
        assert displayed("dlcourse.optim.adam.Adam._corrected").holds(names | own | {"i": i})


def test_the_cosine_ends_at_its_last_rate_and_stays_there(displayed):
    schedule = optim.Cosine(0.9, n_steps=7, last_rate=0.2)
    for k in (3, 7, 12):
        names = {r"\alpha_k": schedule(k), r"\alpha_0": 0.9, r"\alpha_n": 0.2, "k": k, "n": 7}
        assert displayed("dlcourse.optim.schedules.Cosine").holds(names)


def test_a_warm_up_climbs_to_the_first_rate_of_its_schedule(displayed):
    schedule, n = optim.InverseDecay(0.9, n_steps=3), 5
    for k in (0, 2, 4, 5, 8):
        names = {r"\alpha_k": optim.WarmUp(schedule, n)(k), "s": schedule, "k": k, "n": n}
        assert displayed("dlcourse.optim.schedules.WarmUp").holds(names)
