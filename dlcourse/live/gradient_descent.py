r"""Gradient descent on a bowl, recomputed in the page. Chapter: book/gradient_descent.ipynb.

curvatures  a, b > 0 of the bowl f(x) = (a x1^2 + b x2^2) / 2      L  the larger of them
limit       2 / L: gradient descent converges below this step size and diverges above it
"""

import math
import re

import numpy as np

from dlcourse import _checks
from dlcourse.live.page import ACCENT, LiveFigure, slider, svg
from dlcourse.losses import Quadratic
from dlcourse.optim import GradientDescent, minimize

WIDTH, HEIGHT = 480, 240  # of the picture, in its own pixels
MARGIN = 24  # pixels between the start and the edge of the picture
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
    share of its limit 2 / L. `data` holds that first path and its losses.

    >>> step_size()
    Live figure: Contour ellipses of a bowl with curvatures 1 and 10, and over them the path of \
gradient descent for the step size that the slider sets.
    """
    _check(curvatures, start, percent_of_limit, n_steps)
    limit = 2 / max(curvatures)
    size = percent_of_limit * limit / 100
    bowl = Quadratic(np.diag(np.array(curvatures, float)), np.zeros(2))
    descent = minimize(bowl, np.array(start, float), GradientDescent(size), max_steps=n_steps)
    # One unit for both axes, so that the path leaves each ellipse at a right angle.
    unit = min((side / 2 - MARGIN) / abs(x) for side, x in zip((WIDTH, HEIGHT), start, strict=True))
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
    verdict = VERDICTS[1 + (percent_of_limit > 100) - (percent_of_limit < 100)]
    losses = [number(descent.values[k]) for k in (0, -1)]
    body = f"""{svg(_contours(bowl, start, unit) + _path(descent.points, unit), (WIDTH, HEIGHT), alt)}
{
        slider(
            label="Step size, in percent of its limit 2/L",
            percent=percent_of_limit,
            maximum=MAX_PERCENT,
            readout=f"step size {number(size)}",
            mark=f"limit {number(limit)}",
        )
    }
<p role="status" style="margin:.5rem 0 0">After {n_steps} steps the loss has gone from {losses[0]} \
to <span data-part="loss">{losses[1]}</span>. <span data-part="verdict">{verdict}</span></p>"""
    data = {"path": descent.points, "losses": descent.values}
    return LiveFigure("gradient_descent.js", body, parameters, data, alt)
