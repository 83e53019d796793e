import json
import re

import numpy as np
import pytest
import quickjs
from bs4 import BeautifulSoup

from dlcourse.chapters.gradient_descent.live import MAX_PERCENT, SCRIPT, number, pixels, step_size
from dlcourse.drawing.live import ACCENT, LiveFigure
from dlcourse.drawing.style import PALETTE
from dlcourse.losses import Quadratic
from dlcourse.optim import GradientDescent, minimize

SOURCE = step_size().source

# As much of a page as a live figure asks for.
PAGE = """
const parts = {};
const element = () => ({
  attributes: {},
  setAttribute(name, value) { this.attributes[name] = value; },
  addEventListener(name, react) { this.react = react; },
});
const root = { querySelector: (name) => (parts[name] ??= element()) };
globalThis.setTimeout = (react) => react();
globalThis.clearTimeout = () => {};
function move(percent) {
  parts.input.value = String(percent);
  parts.input.react();
  const part = (name) => parts[`[data-part="${name}"]`];
  return JSON.stringify({
    path: root.path,
    line: part("line").attributes.d,
    dots: part("dots").attributes.d,
    loss: part("loss").textContent,
    verdict: part("verdict").textContent,
    output: parts.output.textContent,
    spoken: parts.input.attributes["aria-valuetext"],
  });
}
"""


def browser(source=SOURCE):
    context = quickjs.Context()
    context.eval(source.replace("export ", "") + PAGE)
    return context


def call(context, function, *arguments):
    return json.loads(context.eval(f"JSON.stringify({function}(...{json.dumps(arguments)}))"))


def mismatches(context, rng, n_problems=200):
    """How many random problems have a path or a loss that differs from Python's in any bit."""
    count = 0
    for _ in range(n_problems):
        curvatures, start = rng.uniform(0.1, 20, size=2), rng.normal(size=2)
        size, n_steps = rng.uniform(0, 2.5) / curvatures.max(), int(rng.integers(1, 101))
        bowl = Quadratic(np.diag(curvatures), np.zeros(2))
        ours = minimize(bowl, start, GradientDescent(size), max_steps=n_steps)
        path = call(context, "descend", curvatures.tolist(), start.tolist(), size, n_steps)
        loss = call(context, "loss", curvatures.tolist(), path[-1])
        count += not (np.array_equal(path, ours.points) and loss == ours.value)
    return count


def drawn(figure):
    """What a reader sees in the HTML of a live figure."""
    soup = BeautifulSoup(figure._repr_html_(), "html.parser")
    part = {tag["data-part"]: tag for tag in soup.find_all(attrs={"data-part": True})}
    return {
        "path": figure.data["path"].tolist(),
        "line": part["line"]["d"],
        "dots": part["dots"]["d"],
        "loss": part["loss"].text,
        "verdict": part["verdict"].text,
        "output": soup.output.text,
    }


def test_the_page_computes_the_path_of_the_package_to_the_last_bit(rng):
    assert mismatches(browser(), rng) == 0


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        # Equal on paper, rounded differently.
        ("x - stepSize * (curvatures[i] * x)", "x * (1 - stepSize * curvatures[i])"),
        ("x - stepSize * (curvatures[i] * x)", "x - stepSize * (curvatures[0] * x)"),
        ("k < nSteps", "k <= nSteps"),
        ("y * (b * y)) / 2", "y * (b * y))"),
    ],
)
def test_the_comparison_catches_a_planted_bug(right, wrong, rng):
    assert right in SOURCE
    assert mismatches(browser(SOURCE.replace(right, wrong)), rng, n_problems=20) > 0


def test_a_moved_slider_shows_what_the_package_draws_there():
    figure, context = step_size(), browser()
    context.eval(f"root.querySelector('input').value = '{figure.parameters['nSteps']}';")
    context.eval(f"show(root, {json.dumps(figure.parameters)})")
    for percent in range(1, MAX_PERCENT + 1):
        shown = json.loads(context.eval(f"move({percent})"))
        output = shown["output"]
        assert shown.pop("spoken") == f"{percent} percent, {output}"
        assert shown == drawn(step_size(percent_of_limit=percent))


def test_the_slider_is_dead_without_the_script_and_alive_with_it():
    figure, context = step_size(), browser()
    html = figure._repr_html_()
    assert BeautifulSoup(html, "html.parser").input.has_attr("disabled")
    context.eval("root.querySelector('input').value = '75';")
    context.eval(f"show(root, {json.dumps(figure.parameters)})")
    assert context.eval("parts.input.disabled") is False
    assert json.loads(context.eval("JSON.stringify(root.path)")) == figure.data["path"].tolist()
    # Nothing is said before the reader moves the slider.
    assert context.eval("parts['[data-part=\"loss\"]']") is None


def test_numbers_and_pixels_agree(rng):
    context = browser()
    for x in 10 ** rng.uniform(-30, 30, size=200):
        assert call(context, "number", x) == number(x)
    path = rng.normal(size=(100, 2)).cumsum(axis=0)
    picture = {"unit": 31.4, "width": 480, "height": 240}
    assert call(context, "pixels", path.tolist(), picture) == pixels(path, 31.4).tolist()


def test_the_path_ends_where_it_leaves_the_picture():
    points = pixels(np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 9.0], [0.0, 0.0]]), unit=100)
    np.testing.assert_array_equal(points, [[240, 120], [340, 20], [240, -780]])


@pytest.mark.parametrize(("percent", "share"), [(98, 0.0), (100, 1.0), (102, np.inf)])
def test_the_verdict_is_true(percent, share):
    a, b = 1.0, 8.0  # powers of two, so that the step at the limit is exact
    figure = step_size((a, b), percent_of_limit=percent)
    bowl = Quadratic(np.diag([a, b]), np.zeros(2))
    size = percent / 100 * figure.parameters["limit"]
    far = minimize(bowl, figure.data["path"][0], GradientDescent(size), max_steps=20_000)
    steep = b * 1.5**2 / 2  # the part of the loss that a jump across the valley keeps
    if np.isfinite(share):
        assert far.value == pytest.approx(share * steep, abs=1e-12)
    else:
        assert far.is_diverged
    words = {98: "converges", 100: "never settles", 102: "diverges"}
    assert words[percent] in drawn(figure)["verdict"]


def test_the_html_is_the_same_each_time_and_one_name_serves_twins():
    assert step_size()._repr_html_() == step_size()._repr_html_()
    names = [
        re.search('data-live="(.*?)"', step_size(n_steps=n)._repr_html_())[1] for n in (10, 11)
    ]
    assert names[0] != names[1]


def test_the_html_asks_for_nothing_and_leaks_nothing():
    html = step_size()._repr_html_()
    soup = BeautifulSoup(html, "html.parser")
    assert not [tag for tag in soup.find_all() if {"src", "href", "id"} & tag.attrs.keys()]
    assert not [name for tag in soup.find_all() for name in tag.attrs if name.startswith("on")]
    assert not re.search(r"https?:|fetch\(|import |window|globalThis", html)
    assert [tag["type"] for tag in soup.find_all("script")] == ["module"]
    assert len(SOURCE) < 4096


def test_text_cannot_end_the_script():
    figure = LiveFigure(SCRIPT, "", {"text": "</script>"}, {}, "alt")
    assert figure._repr_html_().count("</script>") == 1
    assert "</script" not in SOURCE


def test_a_live_figure_has_names_for_those_who_cannot_see_it():
    figure = step_size()
    soup = BeautifulSoup(figure._repr_html_(), "html.parser")
    assert soup.svg["role"] == "img"
    assert soup.svg["aria-label"] == figure.alt
    assert repr(figure) == f"Live figure: {figure.alt}"
    assert soup.label.input.has_attr("data-lm-suppress-shortcuts")  # or JupyterLab eats the keys
    assert soup.find(role="status").text.startswith("After 30 steps the loss has gone from 19.2")
    assert soup.figcaption.text


def test_live_figures_share_the_color_of_the_others():
    assert ACCENT == PALETTE[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"curvatures": (1.0,)}, "two numbers each"),
        ({"curvatures": (1.0, -1.0)}, "positive"),
        ({"start": (0.0, 1.0)}, "off both axes"),
        ({"percent_of_limit": 126}, "whole number from 1 to 125, got 126"),
        ({"percent_of_limit": 0.5}, "whole number"),
        ({"n_steps": 0}, "`n_steps`"),
    ],
)
def test_a_wrong_argument_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        step_size(**arguments)
