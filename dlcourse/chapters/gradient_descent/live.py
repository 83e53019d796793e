r"""Gradient descent on a bowl, recomputed in the page.

curvatures  a, b > 0 of the bowl f(x) = (a x1^2 + b x2^2) / 2      L  the larger of them
limit       2 / L: gradient descent converges below this step size and diverges above it
"""

import math
import re
from pathlib import Path

import numpy as np

from dlcourse import _checks
from dlcourse.drawing.live import ACCENT, LiveFigure, slider, svg
from dlcourse.losses import Quadratic
from dlcourse.optim import GradientDescent, minimize

SCRIPT = Path(__file__).with_name("live.js")
WIDTH, HEIGHT = 480, 240  # of the picture, in its own pixels
START_SHARE = 0.75  # of the way to the edge: a path that diverges has room to show it
MAX_PERCENT = 125  # how far the slider goes, in percent of the limit
MAX_STEPS = 100  # beyond, a diverging loss is too large for any reader
VERDICTS = (
    "Below the limit, gradient descent converges.",
    "At the limit, it jumps from one side of the valley to the other and never settles.",
    "Above the limit, it diverges.",
)


def step_size(curvatures=(1.0, 10.0), start=(4.0, 1.5), percent_of_limit=75, n_steps=30):
    """The path of gradient descent for the step size that the reader chooses with a slider.

    The slider shows `percent_of_limit` first, a whole number from 1 to 125: the step size is that
    share of its limit 2 / L. `data` holds that first path and its losses. Raises `ValueError`
    unless both curvatures are positive, the start is a point off both axes, and the numbers lie in
    their ranges.

    >>> step_size()
    Live figure: Contour ellipses of a bowl with curvatures 1 and 10, and over them the path of \
gradient descent for the step size that the slider sets.
    """
    _check(curvatures, start, percent_of_limit, n_steps)
    limit = 2 / max(curvatures)
    size = percent_of_limit * limit / 100
    bowl = Quadratic(np.diag(np.array(curvatures, float)), np.zeros(2))
    descent = minimize(bowl, np.array(start, float), GradientDescent(size), max_steps=n_steps)
    # One unit for both axes, so that each step leaves its ellipse at a right angle.
    unit = START_SHARE * min(WIDTH / 2 / abs(start[0]), HEIGHT / 2 / abs(start[1]))
    parameters = {
        "curvatures": [float(a) for a in curvatures],
        "start": [float(x) for x in start],
        "nSteps": n_steps,
        "limit": limit,
        "unit": unit,
        "width": WIDTH,
        "height": HEIGHT,
        "verdicts": VERDICTS,
    }
    alt = (
        f"Contour ellipses of a bowl with curvatures {curvatures[0]:g} and {curvatures[1]:g}, and "
        "over them the path of gradient descent for the step size that the slider sets."
    )
    control = slider(
        "Step size, in percent of its limit 2/L",
        percent_of_limit,
        MAX_PERCENT,
        readout=f"step size {number(size)}",
        mark=f"limit {number(limit)}",
    )
    drawing = _bowl(curvatures, descent.values[0], unit) + _path(descent.points, unit)
    body = "\n".join(
        [
            svg(drawing, (WIDTH, HEIGHT), alt),
            control,
            _sentence(descent.values, percent_of_limit),
            _caption(curvatures, start),
        ]
    )
    data = {"path": descent.points, "losses": descent.values}
    return LiveFigure(SCRIPT, body, parameters, data, alt)


def number(x):
    """Three digits, as a reader reads them: 0.200, 20.8, 3.14e-8."""
    return f"{x:#.3g}".rstrip(".") if 1e-3 <= x < 1e3 else re.sub(r"e([+-])0", r"e\1", f"{x:.2e}")


def pixels(path, unit):
    """The path in pixels up to the first point outside the picture."""
    points = np.floor(10 * (np.array([WIDTH, HEIGHT]) / 2 + unit * path * [1, -1]) + 0.5) / 10
    is_outside = ((points < 0) | (points > [WIDTH, HEIGHT])).any(axis=1)
    return points[: is_outside.argmax() + 1] if is_outside.any() else points


def _bowl(curvatures, start_loss, unit):
    """Ellipses of equal loss, six up to the start and six beyond, and a cross in the minimum."""
    x, y = WIDTH / 2, HEIGHT / 2
    rx, ry = unit * np.sqrt(2 * start_loss / np.array(curvatures)) / 6
    ellipses = "".join(
        f'<ellipse cx="{x:g}" cy="{y:g}" rx="{k * rx:.1f}" ry="{k * ry:.1f}"/>'
        for k in range(1, 13)
    )
    return f'<g stroke-opacity=".3">{ellipses}</g><path d="M{x - 6:g},{y:g}h12m-6,-6v12"/>'


def _path(path, unit):
    """The line, its dots and the word at its start. The script rewrites line and dots."""
    points = [f"{x:g},{y:g}" for x, y in pixels(path, unit)]
    # A line of no length with round ends is a dot, so one element draws them all.
    dots = "".join(f"M{point}h0" for point in points)
    x, y = pixels(path[:1], unit)[0] + [0, -10 if path[0, 1] > 0 else 20]
    return (
        f'<g stroke="{ACCENT}" stroke-linecap="round" stroke-linejoin="round">'
        f'<path data-part="line" d="M{"L".join(points)}" stroke-width="1.5"/>'
        f'<path data-part="dots" d="{dots}" stroke-width="6"/></g>'
        f'<text x="{x:g}" y="{y:g}" text-anchor="middle" font-size="14" '
        'fill="currentColor" stroke="none">start</text>'
    )


def _sentence(losses, percent_of_limit):
    verdict = VERDICTS[1 + (percent_of_limit > 100) - (percent_of_limit < 100)]
    return (
        f'<p role="status" style="margin:.5rem 0">After {len(losses) - 1} steps the loss has gone '
        f'from {number(losses[0])} to <span data-part="loss">{number(losses[-1])}</span>. '
        f'<span data-part="verdict">{verdict}</span></p>'
    )


def _caption(curvatures, start):
    a, b = ("" if a == 1 else f"{a:g} " for a in curvatures)
    return (
        f"<figcaption>Gradient descent from ({start[0]:g}, {start[1]:g}) on the bowl "
        f"({a}x₁² + {b}x₂²) / 2; L is the larger curvature. Move the slider past the limit: "
        "the path jumps across the valley, further at each step.</figcaption>"
    )


def _check(curvatures, start, percent_of_limit, n_steps):
    if len(curvatures) != 2 or len(start) != 2:
        raise ValueError(
            f"`curvatures` and `start` must hold two numbers each, got {curvatures!r} and "
            f"{start!r}. The figure draws a plane."
        )
    for curvature in curvatures:
        _checks.positive(curvature, "curvatures")
    if not all(math.isfinite(x) and x != 0 for x in start):
        raise ValueError(
            f"`start` must be finite and off both axes, got {start!r}. On an axis one curvature "
            "has no say, so no step size would diverge at the limit of the other."
        )
    for name, value, most in (
        ("percent_of_limit", percent_of_limit, MAX_PERCENT),
        ("n_steps", n_steps, MAX_STEPS),
    ):
        if value not in range(1, most + 1):
            raise ValueError(f"`{name}` must be a whole number from 1 to {most}, got {value!r}.")
