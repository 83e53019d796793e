"""Figures of the chapter book/least_squares.ipynb: each draws records made by the package."""

import numpy as np

from dlcourse.chapters.least_squares.conditioning import StorageErrors
from dlcourse.drawing import three_errors as shared
from dlcourse.drawing.style import INK, PALETTE, Figure, canvas
from dlcourse.linear.least_squares import by_qr

three_errors = shared.three_errors  # another chapter draws it too
EXAMPLE_X = np.array([[1.0, -1.0], [1.0, 0.0], [1.0, 1.0]])
EXAMPLE_Y = np.array([1.0, 3.0, 2.0])


def projection() -> Figure:
    """Three observations as one point in space, and its projection on the plane of the fits."""
    X, y = EXAMPLE_X, EXAMPLE_Y
    fitted = X @ by_qr(X, y).beta
    residual = y - fitted
    # An orthonormal basis: two directions of the plane, and the one that sticks out of it.
    along = X[:, 1] / np.linalg.norm(X[:, 1])
    across = X[:, 0] / np.linalg.norm(X[:, 0])
    basis = np.column_stack([along, across, residual / np.linalg.norm(residual)])
    screen = np.array([[1.0, 0.1], [0.62, 0.36], [0.0, 1.0]])  # where each of the three points

    def at(vector):
        return (vector @ basis) @ screen

    fig, ax = canvas(height=2.6)
    corners = [
        a * along + b * across for a, b in ((-1.3, -0.7), (3.2, -0.7), (3.2, 4.2), (-1.3, 4.2))
    ]
    ax.fill(*np.transpose([at(c) for c in corners]), color=INK, alpha=0.08, linewidth=0)
    for tail, head, color in (
        (np.zeros(3), y, PALETTE[0]),
        (np.zeros(3), fitted, PALETTE[1]),
        (fitted, y, PALETTE[2]),
    ):
        arrow = {"arrowstyle": "-|>", "color": color, "lw": 2.2, "shrinkA": 0, "shrinkB": 0}
        ax.annotate("", at(head), at(tail), arrowprops=arrow)
    foot, up, back = at(fitted), at(residual) / 6, -at(fitted) / np.linalg.norm(at(fitted)) / 5
    ax.plot(*np.transpose([foot + up, foot + up + back, foot + back]), color=INK, linewidth=1)
    for place, shift, text, side in (
        (y, (-0.1, 0.0), "y", "right"),
        (fitted, (0.1, -0.16), "ŷ = Xβ̂", "left"),
        ((y + fitted) / 2, (0.1, 0.05), "y − ŷ", "left"),
        (corners[1], (-0.1, 0.07), "the fits Xβ", "right"),
    ):
        ax.text(*(at(place) + shift), text, ha=side, fontsize="large")
    ax.set_ylim(at(corners[0])[1] - 0.1, at(y)[1] + 0.2)
    ax.set_aspect("equal")
    ax.axis("off")
    squares = {"y": y @ y, "fitted": fitted @ fitted, "residual": residual @ residual}
    return Figure(
        fig,
        data={"X": X, "y": y, "fitted": fitted, "residual": residual},
        caption="Three observations are one point y in space. The fits Xβ fill a plane, and the "
        "nearest of them lies straight below y. Hence Pythagoras: here |y|² = "
        f"{squares['y']:.4g} is |ŷ|² = {squares['fitted']:.4g} plus "
        f"|y − ŷ|² = {squares['residual']:.4g}.",
        alt="A plane in perspective, the set of all fits. An arrow from the origin leads to the "
        "point y above the plane, another to the fitted point in the plane below y. A third arrow "
        "joins the fitted point with y and meets the plane at a right angle.",
    )


def conditioning(errors: StorageErrors) -> Figure:
    """What is lost when X or X'X is stored in single precision, over the condition number."""
    kappa = errors.condition_numbers
    fig, ax = canvas(height=3.4)
    ax.plot(kappa, errors.gram, "o-", color=PALETTE[1], markersize=4, label="X'X stored")
    ax.plot(kappa, errors.design, "s--", color=PALETTE[0], markersize=4, label="X stored")
    for power, start in ((2, errors.gram[0]), (1, errors.design[0])):
        line = 4 * start * (kappa / kappa[0]) ** power  # lifted, to run beside the points
        (end,) = np.flatnonzero(line < 1)[-1:]
        ax.plot(kappa[: end + 1], line[: end + 1], color=INK, linewidth=0.8, linestyle=":")
        ax.annotate(
            f"slope {power}",
            (kappa[end], line[end]),
            (-8, 0),
            textcoords="offset points",
            ha="right",
        )
    ax.axhline(1, color=INK, linewidth=0.8)
    ax.annotate("no digit left", (kappa[0], 1), (0, 4), textcoords="offset points")
    ax.set(xscale="log", yscale="log", ylim=(1e-8, 8), xlabel="condition number of X")
    ax.set_ylabel("relative error of the coefficients")
    ax.legend(loc="lower right")
    return Figure(
        fig,
        data={"condition number": kappa, "design": errors.design, "gram": errors.gram},
        caption="Rounding X to single precision costs digits in proportion to the condition "
        "number; rounding X'X costs them in proportion to its square. At condition number "
        f"{kappa[-1]:,.0f} the relative error is {_plain(errors.design[-1])} in the first case "
        f"and {_plain(errors.gram[-1])} in the second.",
        alt="Relative error of the coefficients against the condition number, both on logarithmic "
        "scales. The upper line, X transposed X rounded, climbs with slope two and reaches one, "
        "where no digit is left. The lower line, X rounded, climbs with slope one and stays far "
        "below.",
    )


def _plain(number):
    """Two significant digits without an exponent."""
    return np.format_float_positional(number, precision=2, fractional=False, trim="-")
