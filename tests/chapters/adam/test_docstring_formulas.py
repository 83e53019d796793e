"""The displays of the docstrings, evaluated with the functions' own arguments."""

import pytest

from dlcourse.chapters.adam.counterexample import settled


def test_a_settled_average_weighs_the_cycle_behind_each_place(displayed, rng):
    values = rng.normal(size=5)
    for i, average in enumerate(settled(values, beta=0.7)):
        names = {r"\beta": 0.7, "n": 5, "i": i, "z": lambda place: values[int(place) % 5]}
        shown = displayed("dlcourse.chapters.adam.counterexample.settled").value(names)
        assert shown == pytest.approx(average, rel=1e-12)
