"""Figures of the chapter book/logistic_regression.ipynb: each draws records made by the package."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from dlcourse.chapters.logistic_regression.race import Race
from dlcourse.chapters.logistic_regression.separation import Escape
from dlcourse.drawing import three_errors as drawing
from dlcourse.drawing.style import DASHES, INK, PALETTE, Figure, canvas
from dlcourse.linear.three_errors import ThreeErrors
from dlcourse.losses import LogisticLoss, sigmoid

Array = np.ndarray
MARKERS = ("o", "s", "^", "D", "v")
FLOOR, DESCENT_FLOOR = 1e-12, 1e-9  # the line's many points would show rounding below the second


def curve_and_loss() -> Figure:
    """Left: the probability and two of its tangents. Right: what a margin costs, in three ways."""
    scores = np.linspace(-6, 6, 121)
    fig, (left, right) = canvas(n_columns=2, height=3.3)
    left.plot(scores, sigmoid(scores), color=PALETTE[0], linestyle="-")
    touching, slopes = np.array([0.0, np.log(9)]), []
    for z, dash, side in zip(touching, DASHES[1:], ((8, -14), (6, -20)), strict=False):
        p = sigmoid(z)
        slopes.append(p * (1 - p))
        reach = np.array([-1.7, 1.7])
        left.plot(z + reach, p + slopes[-1] * reach, color=PALETTE[3], linestyle=dash)
        left.plot(z, p, "o", color=PALETTE[3], markersize=5)
        left.annotate(f"slope {slopes[-1]:.2g}", (z, p), side, textcoords="offset points")
    left.set(xlabel="score xᵀβ", ylabel="probability of y = 1", ylim=(-0.05, 1.15))
    one = LogisticLoss(np.ones((1, 1)), np.ones(1))
    losses = {
        "log-loss": one(scores[:, None])[0],
        "squared error": (1 - sigmoid(scores)) ** 2,
        "misclassified": (scores < 0).astype(float),
    }
    for (name, values), color in zip(
        losses.items(), (PALETTE[0], PALETTE[1], PALETTE[2]), strict=True
    ):
        right.plot(scores, values, color=color, label=name)
    right.set(xlabel="margin s xᵀβ", ylabel="loss of one observation", ylim=(-0.2, 6.2))
    right.legend(loc="upper right")
    return Figure(
        fig,
        data={"scores": scores, "probabilities": sigmoid(scores), "touching": touching}
        | {"slopes": np.array(slopes)}
        | losses,
        caption="Left: a unit of score is worth most where the outcome is open. The slope is "
        f"{slopes[0]:.2g} at probability {sigmoid(touching[0]):.2g} and {slopes[1]:.2g} at "
        f"{sigmoid(touching[1]):.2g}. Right: for an observation on the wrong side, at negative "
        "margin, the log-loss keeps growing, while the squared error of its probability flattens "
        "out below 1: there is no slope left that would bring it back.",
        alt="Left panel: an S-shaped curve rises from zero to one over the score, with a steep "
        "tangent in the middle and an almost flat one near the top. Right panel: three losses over "
        "the margin. The log-loss falls like a straight line and bends into zero, the squared "
        "error of the probability falls in an S from one to zero, and misclassification is a step.",
    )


def descent_against_newton(result: Race) -> Figure:
    """Distance from the estimate after each step: Newton on the left, descent on the right."""
    fig, (left, right) = canvas(n_columns=2, height=3.3)
    newton = result.newton / result.size
    newton = newton[: int(np.argmax(newton < FLOOR)) or len(newton)]
    k = np.unique(np.linspace(0, len(result.descent) - 1, 200).astype(int))
    descent = result.descent[k] / result.size
    k, descent = k[descent > DESCENT_FLOOR], descent[descent > DESCENT_FLOOR]
    # The predicted slope, drawn beside the second half of the line.
    start = len(k) // 3
    predicted = 4 * descent[start] * result.descent_factor ** (k[start:] - k[start])
    left.plot(np.arange(len(newton)), newton, "o-", color=PALETTE[0], markersize=5)
    digits = result.digits(result.newton)[: len(newton)]
    for step, error in enumerate(newton):
        left.annotate(f"{digits[step]:.1f}", (step, error), (7, 2), textcoords="offset points")
    left.set(title="Newton", xlabel="steps", xlim=(-0.3, len(newton) + 0.4))
    left.set_ylabel("distance from the estimate")
    right.plot(k, descent, color=PALETTE[1], linestyle="-", label="measured")
    right.plot(k[start:], predicted, color=INK, linestyle="--", label="predicted slope")
    right.set(title="Gradient descent", xlabel="steps")
    right.legend(loc="upper right")
    for ax in (left, right):
        ax.set(yscale="log", ylim=(FLOOR, 30))
    return Figure(
        fig,
        data={
            "newton": newton,
            "digits": digits,
            "steps": k,
            "descent": descent,
            "predicted": predicted,
        },
        caption="One logit, one start, two methods; distances relative to the length of the "
        "estimate. Left: each Newton step about doubles the number of correct digits, written "
        f"beside the dots; after {len(newton) - 1} steps it is {digits[-1]:.0f}. Right: gradient "
        f"descent multiplies the distance by {result.descent_factor:.3f} in every late step, as "
        "the curvature at the estimate predicts (dashed, shifted upward).",
        alt="Two panels with one logarithmic scale of distances. Left: the dots of Newton's method "
        "fall ever more steeply and reach the bottom after a handful of steps. Right: the line of "
        "gradient descent falls straight over hundreds of steps, parallel to a dashed line.",
    )


def three_errors(errors: ThreeErrors) -> Figure:
    """The three convergences of the logit, drawn as those of least squares."""
    figure = drawing.three_errors(errors)
    approximation, estimation, optimization = errors.parts()
    n_steps = len(errors.optimization["powers"]) - 1
    figure.caption = (
        "The three convergences of one logit; distances are between probabilities. At the squares, "
        f"a score of degree {errors.degree}, {errors.sizes[-1]:,} observations and {n_steps:,} "
        f"steps, they are {approximation:.3f}, {estimation:.3f} and {optimization:.3f}. A straight "
        f"line as score, degree 1, would leave {errors.approximation[1]:.2f} however many data "
        "there are. The dashed line is the large-sample formula."
    )
    return figure


def escape(path: Escape) -> Figure:
    """Left: separable points and the lines of descent. Right: the length of its coefficients."""
    fig, (left, right) = canvas(n_columns=2, height=4.0)
    X, y = path.groups.X, path.groups.y
    extent = float(np.abs(X).max()) * 1.05
    for label, color, marker in ((0, PALETTE[1], "o"), (1, PALETTE[0], "s")):
        left.plot(*X[y == label].T, marker, color=color, markersize=4, label=f"y = {label}")
    shown = [k for k in (1, 10) if k <= path.steps[-1]]
    for k, dash in zip(shown, DASHES[1:], strict=False):
        left.plot(*_line(path.points[path.at(k)], extent), color=PALETTE[2], linestyle=dash)
        left.plot([], [], color=PALETTE[2], linestyle=dash, label=f"step {k}")
    left.plot(*_line(path.w_hat, extent), color=INK, linewidth=2, linestyle="-", label="widest")
    left.set(xlim=(-extent, extent), ylim=(-extent, extent), aspect="equal")
    left.set(xlabel="feature 1", ylabel="feature 2")
    left.legend(fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    limit = float(np.linalg.norm(path.w_hat))
    start = len(path.steps) // 2
    line = 0.6 + path.lengths[start] + limit * np.log(path.steps[start:] / path.steps[start])
    right.plot(path.steps, path.lengths, color=PALETTE[0], linestyle="-", label="measured")
    right.plot(path.steps[start:], line, color=INK, linestyle="--", label="limiting slope")
    right.set(xscale="log", xlabel="steps", ylabel="length of β", ylim=(0, None))
    right.legend(loc="upper left")
    degrees = path.degrees[[0, -1]]
    return Figure(
        fig,
        data={"steps": path.steps, "lengths": path.lengths, "degrees": path.degrees}
        | {"points": path.points, "w_hat": path.w_hat, "predicted": line, "X": X, "y": y},
        caption="Gradient descent on separable classes. Left: its separating line turns toward the "
        f"one with the widest margin, from {degrees[0]:.0f} degrees away after the first step to "
        f"{degrees[1]:.1f} after {path.steps[-1]:,}. Right: meanwhile the coefficients grow with "
        f"the logarithm of the number of steps, lately by {path.growth[-3]:.2f} for each e-fold; "
        f"the theorem's limit is {limit:.2f}.",
        alt="Left panel: two groups of points in the plane and several lines between them; the "
        "dashed lines of early steps turn step by step toward a solid line, the separating line "
        "with the widest margin. Right panel: the length of the coefficients over the steps, on a "
        "logarithmic axis of steps, bends into a straight line that rises without end.",
    )


def regions(
    X: Float[Array, "n 3"], labels: Int[Array, " n"], theta: Float[Array, "m 3"], names: Sequence
) -> Figure:
    """Classes over two features, and the lines where two scores are equal and the third lower."""
    fig, ax = canvas(height=3.6)
    low, high = X[:, 1:].min(0) - 0.3, X[:, 1:].max(0) + 0.3
    for k, marker in zip(range(len(theta)), MARKERS, strict=False):
        points = X[labels == k, 1:].T
        ax.plot(*points, marker, color=PALETTE[k], markersize=4, label=f"class {k}")
    borders = {}
    for k in range(len(theta)):
        for other in range(k + 1, len(theta)):
            border = _border(theta, k, other, low, high)
            borders[f"{k} and {other}"] = border
            ax.plot(*border.T, color=INK, linestyle="-", linewidth=1.2)
    ax.set(xlabel=names[0], ylabel=names[1], xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    right = float(((X @ theta.T).argmax(1) == labels).mean())
    return Figure(
        fig,
        data={"X": X, "labels": labels, "share right": right} | borders,
        caption="Where each class is the most probable one. Two scores are equal on a straight "
        f"line, so every border is straight. Of the {len(X)} observations {right:.0%} lie in the "
        "region of their own class.",
        alt="Points of three classes over two features, and three straight lines that meet in one "
        "point and divide the plane into three regions, one for each class.",
    )


def _line(beta, extent):
    """Two points far apart on the line where the score is zero."""
    along = np.array([-beta[1], beta[0]]) / np.linalg.norm(beta)
    return np.outer(along, [-2 * extent, 2 * extent])


def _border(theta, k, other, low, high):
    """The stretch of the line of equal scores on which both beat the other classes, (points, 2)."""
    contrast = theta[k] - theta[other]
    foot = -contrast[0] * contrast[1:] / (contrast[1:] @ contrast[1:])
    along = np.array([-contrast[2], contrast[1]]) / np.linalg.norm(contrast[1:])
    reach = np.linalg.norm(high - low) + np.linalg.norm(foot)
    points = foot + np.linspace(-reach, reach, 801)[:, None] * along
    scores = np.column_stack([np.ones(len(points)), points]) @ theta.T
    is_border = scores[:, k] >= scores.max(axis=1) - 1e-9
    inside = ((points >= low) & (points <= high)).all(axis=1)
    return points[is_border & inside][[0, -1]]
