"""The figures of the chapter draw the numbers that the package computes."""

import numpy as np
import pytest

from dlcourse.chapters.logistic_regression import figures, race, separation, three_errors
from dlcourse.linear import logit_inference
from dlcourse.losses import sigmoid


@pytest.fixture
def paths(rng):
    data = logit_inference.logit_data(300, np.array([-0.5, 1.0, -1.0]), rng, correlation=0.5)
    return race.descent_against_newton(data.X, data.y, n_steps=300)


@pytest.fixture
def path(rng):
    return separation.escape(separation.two_groups(40, gap=0.4, rng=rng), n_steps=2_000)


@pytest.fixture
def classes(rng):
    X = np.column_stack([np.ones(120), rng.normal(size=(120, 2))])
    theta = np.array([[0.0, 2.0, 0.0], [0.3, -1.0, 1.5], [0.0, -1.0, -1.5]])
    labels = (X @ theta.T + rng.gumbel(size=(120, 3))).argmax(1)
    return X, labels, theta, ["u", "v"]


@pytest.fixture
def errors(rng):
    return three_errors.measure(three_errors.purchases(400, rng), degree=3, n_steps=80)


def test_slopes_of_the_curve_are_drawn_where_they_are_said_to_be():
    figure = figures.curve_and_loss()
    p = sigmoid(figure.data["touching"])
    np.testing.assert_allclose(figure.data["slopes"], p * (1 - p))
    assert "slope is 0.25 at probability 0.5 and 0.09 at 0.9" in figure.caption
    scores, log_loss = figure.data["scores"], figure.data["log-loss"]
    np.testing.assert_allclose(log_loss, np.logaddexp(0, -scores), rtol=1e-12)
    wrong_side = scores < -4
    assert (np.diff(log_loss[wrong_side]) < -0.09).all()  # still steep, at steps of 0.1
    assert np.abs(np.diff(figure.data["squared error"][wrong_side])).max() < 0.004
    assert figure.data["squared error"].max() < 1


def test_the_race_is_drawn_down_to_rounding(paths):
    figure = figures.descent_against_newton(paths)
    newton = figure.data["newton"]
    np.testing.assert_array_equal(newton, paths.newton[: len(newton)] / paths.size)
    assert newton.min() >= figures.FLOOR
    np.testing.assert_allclose(figure.data["digits"], -np.log10(newton), atol=1e-12)
    steps, descent = figure.data["steps"], figure.data["descent"]
    np.testing.assert_array_equal(descent, paths.descent[steps] / paths.size)
    assert descent.min() > figures.DESCENT_FLOOR
    assert f"by {paths.descent_factor:.3f} in every late step" in figure.caption
    # The dashed line has the slope that the caption claims for the measured one.
    late = descent[-len(figure.data["predicted"]) :]
    ratio = late / figure.data["predicted"]
    np.testing.assert_allclose(ratio[5:], ratio[5], rtol=0.2)


def test_three_errors_keep_the_drawing_and_change_the_caption(errors):
    figure = figures.three_errors(errors)
    np.testing.assert_array_equal(figure.data["estimation"], errors.estimation)
    assert "between probabilities" in figure.caption
    assert ", ".join(f"{part:.3f}" for part in errors.parts()[:2]) in figure.caption
    assert f"would leave {errors.approximation[1]:.2f}" in figure.caption


def test_the_escape_is_drawn_as_it_went(path):
    figure = figures.escape(path)
    np.testing.assert_array_equal(figure.data["lengths"], path.lengths)
    degrees = figure.data["degrees"]
    assert f"from {degrees[0]:.0f} degrees" in figure.caption
    assert f"to {degrees[-1]:.1f} after 2,000" in figure.caption
    assert degrees[-1] < degrees[0]
    predicted, steps = figure.data["predicted"], figure.data["steps"]
    slopes = np.diff(predicted) / np.diff(np.log(steps[-len(predicted) :]))
    np.testing.assert_allclose(slopes, np.linalg.norm(path.w_hat), rtol=1e-9)


def test_borders_are_where_two_classes_are_equally_likely(classes):
    X, labels, theta, names = classes
    figure = figures.regions(*classes)
    for k, other in ((0, 1), (0, 2), (1, 2)):
        for end in figure.data[f"{k} and {other}"]:
            scores = theta @ [1.0, *end]
            assert scores[k] == pytest.approx(scores[other], abs=1e-9)
            assert scores[k] >= scores.max() - 1e-8
    right = ((X @ theta.T).argmax(1) == labels).mean()
    assert f"{right:.0%} lie in the region of their own class" in figure.caption


@pytest.mark.parametrize(
    "name", ["curve_and_loss", "descent_against_newton", "three_errors", "escape", "regions"]
)
def test_figures_stay_small_and_take_the_ink_of_the_page(name, request):
    records = {
        "curve_and_loss": [],
        "descent_against_newton": ["paths"],
        "three_errors": ["errors"],
        "escape": ["path"],
        "regions": ["classes"],
    }[name]
    values = [request.getfixturevalue(record) for record in records]
    arguments = values[0] if name == "regions" else values
    svg = getattr(figures, name)(*arguments).svg
    assert len(svg) < 60_000
    assert "currentColor" in svg
    assert "#000000" not in svg
