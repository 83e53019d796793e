import os
import re
import subprocess
import sys
from functools import lru_cache
from itertools import combinations
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest

from dlcourse.drawing.style import DASHES, PALETTE, Figure, canvas
from tests import ROOT

PAGES = ("#ffffff", "#14181e", "#121212")  # light, and the dark ones of the theme and of its parent

# Machado, Oliveira and Fernandes (2009), severity 1, applied to linear RGB.
VISIONS = {
    "full": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
# Linear RGB to XYZ, IEC 61966-2-1. Its rows sum to the white of a screen.
XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)


def linear_rgb(color):
    values = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(one, other):
    lower, higher = sorted(XYZ[1] @ linear_rgb(color) for color in (one, other))
    return (higher + 0.05) / (lower + 0.05)


def cielab(rgb):
    t = XYZ @ rgb.clip(0, 1) / XYZ.sum(axis=1)
    x, y, z = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def smallest_distance(colors, vision):
    seen = [cielab(VISIONS[vision] @ linear_rgb(color)) for color in colors]
    return min(np.linalg.norm(a - b) for a, b in combinations(seen, 2))


@lru_cache
def drawn(n_columns=1, caption="What to see.", alt="What is drawn."):
    fig, axes = canvas(n_columns)
    x = np.linspace(0, 3, 50)
    for ax in np.atleast_1d(axes):
        for k in range(len(PALETTE)):
            ax.plot(x, np.exp(-k * x), label=f"rate {k}")
        ax.set(xlabel="step $k$", ylabel="loss", yscale="log", title="Title")
        ax.annotate("start", (0, 1))
        ax.legend()
    return Figure(fig, {"x": x}, caption, alt)


def elements(figure):
    return list(ElementTree.fromstring(figure.svg).iter())


def test_contrast_and_lab_agree_with_published_values():
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)
    red = cielab(linear_rgb("#ff0000"))  # under the white D65
    np.testing.assert_allclose(red, [53.24, 80.09, 67.20], atol=0.02)


@pytest.mark.parametrize("page", PAGES)
def test_every_color_stands_out_from_the_page(page):
    assert len(PALETTE) == len(DASHES) >= 5
    assert min(contrast(color, page) for color in PALETTE) >= 3


@pytest.mark.parametrize("vision", VISIONS)
def test_colors_differ_for_every_vision(vision):
    assert smallest_distance(PALETTE, vision) > 25


def test_the_distance_catches_a_palette_of_red_and_green():
    red_and_green = ("#c62d36", "#4f7a1f")
    assert smallest_distance(red_and_green, "full") > 80
    assert smallest_distance(red_and_green, "deuteranopia") < 25


def test_lines_differ_in_more_than_color():
    _, ax = canvas()
    lines = [ax.plot([0, 1], [0, 1])[0] for _ in PALETTE]
    assert [line.get_color() for line in lines] == list(PALETTE)
    assert len({repr(line._unscaled_dash_pattern) for line in lines}) == len(PALETTE)


def test_canvas_gives_one_axes_or_several():
    assert not isinstance(canvas()[1], np.ndarray)
    assert canvas(n_columns=3)[1].shape == (3,)
    widths = {canvas(n)[0].get_figwidth() for n in (1, 2, 3)}
    assert len(widths) == 1


def test_a_figure_keeps_what_was_drawn_and_says_what_it_is():
    figure = drawn()
    assert list(figure.data) == ["x"]
    assert repr(figure) == "Figure: What is drawn."


def test_the_html_is_one_labeled_image_with_a_caption():
    figure = drawn(caption='See "a" < b & c.', alt='Line "a" & <b>.')
    root = ElementTree.fromstring(figure._repr_html_())  # also well-formed
    image, caption = root
    assert [root.tag, root.get("class"), caption.tag] == ["figure", "dl-figure", "figcaption"]
    assert image.get("role") == "img"
    assert image.get("aria-label") == 'Line "a" & <b>.'
    assert caption.text == 'See "a" < b & c.'


def test_the_drawing_takes_its_ink_from_the_page():
    svg = drawn().svg
    used = set(re.findall(r"(?:fill|stroke):(#\w+)", svg))
    assert used == set(PALETTE)  # neither black ink nor a white box
    assert "stroke:currentColor" in svg
    assert ElementTree.fromstring(svg).get("fill") == "currentColor"


def test_nothing_in_a_figure_reaches_the_page_around_it():
    tags = {element.tag.rpartition("}")[2] for element in elements(drawn())}
    assert not tags & {"style", "script", "metadata", "text"}  # text is drawn as paths
    assert set(re.findall(r"https?://[^\"]*", drawn().svg)) == {"http://www.w3.org/2000/svg"}


def test_every_id_is_used_and_belongs_to_one_figure():
    names = []
    for figure in (drawn(1), drawn(2)):
        ids = [element.get("id") for element in elements(figure) if element.get("id")]
        assert len(ids) == len(set(ids))
        assert set(ids) == set(re.findall(r'(?:href="|url\()#([\w-]+)', figure.svg))
        names.append(set(ids))
    assert not names[0] & names[1]


def test_definitions_are_not_drawn_by_themselves():
    # Outside <defs> a glyph would be drawn once more where it is defined.
    root = ElementTree.fromstring(drawn().svg)
    parents = {child: parent for parent in root.iter() for child in parent}
    defined = [element for element in root.iter() if element.get("id")]
    assert {parents[element].tag.rpartition("}")[2] for element in defined} == {"defs"}


def test_coordinates_are_rounded_and_scales_are_not():
    svg = drawn().svg
    coordinates = " ".join(re.findall(r' (?:d|x|y|width|height)="([^"]*)"', svg))
    assert not re.search(r"\.\d{3}", coordinates)
    assert "scale(0.015625)" in svg


def test_a_figure_is_the_same_in_every_process():
    code = (
        "from tests.library.drawing.test_style import drawn; import sys;"
        "assert 'matplotlib.pyplot' not in sys.modules;"
        "sys.stdout.buffer.write(drawn()._repr_html_().encode())"
    )
    paths = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    for seed in ("1", "2"):
        env = os.environ | {"PYTHONPATH": paths, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, check=True
        )
        assert done.stdout.decode() == drawn()._repr_html_()


def test_drawing_leaves_the_settings_of_matplotlib_alone():
    names = set(matplotlib.rcParams) - {"backend"}  # asking for it would choose one
    before = {name: matplotlib.rcParams[name] for name in names}
    drawn.__wrapped__()
    assert {name: matplotlib.rcParams[name] for name in names} == before


@pytest.mark.parametrize(("caption", "alt"), [("", "drawn"), ("see", " "), ("same", "same ")])
def test_a_figure_without_its_texts_is_refused(caption, alt):
    with pytest.raises(ValueError, match="`alt`"):
        drawn(caption=caption, alt=alt)


@pytest.mark.parametrize("data", [{}, {"x": [1.0], "y": []}])
def test_a_figure_without_the_data_that_it_draws_is_refused(data):
    with pytest.raises(ValueError, match="hold its caption to"):
        Figure(canvas()[0], data, caption="What to see.", alt="What is drawn.")
