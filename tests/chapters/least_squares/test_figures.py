"""The figures of the chapter draw the numbers that the package computes."""

import numpy as np
import pytest

from dlcourse import datasets
from dlcourse.chapters.least_squares import conditioning, figures
from dlcourse.drawing import three_errors as drawing
from dlcourse.linear import three_errors


@pytest.fixture
def errors(rng):
    return three_errors.measure(datasets.sales_response(256, 0.3, rng), degree=3, n_steps=80)


@pytest.mark.proves("eq-orthogonality", "eq-pythagoras", by="independent")
def test_the_drawn_residual_stands_on_the_drawn_plane():
    figure = figures.projection()
    y, fitted, residual = (figure.data[name] for name in ("y", "fitted", "residual"))
    np.testing.assert_allclose(figure.data["X"].T @ residual, 0, atol=1e-13)
    np.testing.assert_allclose(fitted + residual, y, rtol=1e-14)
    assert "|y|² = 14 is |ŷ|² = 12.5 plus |y − ŷ|² = 1.5" in figure.caption


def test_three_curves_are_drawn_as_measured(errors):
    figure = figures.three_errors(errors)
    np.testing.assert_array_equal(figure.data["approximation"], errors.approximation)
    np.testing.assert_array_equal(figure.data["estimation"], errors.estimation)
    steps = figure.data["powers steps"]
    np.testing.assert_array_equal(figure.data["powers gaps"], errors.optimization["powers"][steps])
    assert steps[0] == 1
    assert steps[-1] == 80
    assert ", ".join(f"{part:.3f}" for part in errors.parts()[:2]) in figure.caption


def test_each_error_falls_along_its_own_axis_and_stays_along_the_others(errors, rng):
    drawn = figures.three_errors(errors).data
    assert (np.diff(drawn["approximation"]) < 1e-12).all()
    assert drawn["estimation"][-1] < drawn["estimation"][0]
    assert (np.diff(drawn["powers gaps"]) < 1e-12).all()
    more = datasets.sales_response(1_024, 0.3, rng)
    other = figures.three_errors(three_errors.measure(more, degree=3, n_steps=200)).data
    np.testing.assert_array_equal(other["approximation"], drawn["approximation"])
    again = figures.three_errors(three_errors.measure(more, degree=3, n_steps=10)).data
    np.testing.assert_array_equal(other["estimation"], again["estimation"])


def test_no_line_goes_on_below_the_floor(errors):
    gaps = figures.three_errors(errors).data["legendre gaps"]
    assert 0 < len(gaps) < 80
    assert gaps.min() > drawing.FLOOR


def test_the_price_of_squaring_is_drawn_as_measured(rng):
    stored = conditioning.storage_errors(np.geomspace(10, 1e4, 4), rng, n_draws=3)
    figure = figures.conditioning(stored)
    np.testing.assert_array_equal(figure.data["gram"], stored.gram)
    np.testing.assert_array_equal(figure.data["design"], stored.design)
    assert "At condition number 10,000" in figure.caption
    assert "e-" not in figure.caption


@pytest.mark.parametrize("name", ["projection", "three_errors", "conditioning"])
def test_figures_stay_small_and_take_the_ink_of_the_page(name, errors, rng):
    arguments = {
        "projection": [],
        "three_errors": [errors],
        "conditioning": [conditioning.storage_errors(np.geomspace(10, 1e4, 4), rng, n_draws=2)],
    }[name]
    svg = getattr(figures, name)(*arguments).svg
    assert len(svg) < 60_000
    assert "currentColor" in svg
    assert "#000000" not in svg
