"""The figure of the three errors, which two chapters show."""

import numpy as np

from dlcourse.drawing.style import INK, PALETTE, Figure, canvas
from dlcourse.linear.three_errors import ThreeErrors

FLOOR = 1e-8  # below it a line would show rounding, so it ends


def three_errors(errors: ThreeErrors) -> Figure:
    """Each error over the one quantity that reduces it, on one scale."""
    fig, (left, middle, right) = canvas(n_columns=3, height=3.3)
    approximation, estimation, optimization = errors.parts()
    left.plot(errors.degrees, errors.approximation, "o-", color=PALETTE[0], markersize=3.5)
    left.plot(errors.degree, approximation, "s", color=INK, markersize=7, fillstyle="none")
    left.set(title="Approximation", xlabel="degree", ylabel="distance between curves")
    middle.plot(errors.sizes, errors.estimation, "o-", color=PALETTE[1], markersize=3.5)
    middle.plot(
        errors.sizes, errors.expected_estimation, linestyle="--", color=PALETTE[1], label="expected"
    )
    middle.plot(errors.sizes[-1], estimation, "s", color=INK, markersize=7, fillstyle="none")
    middle.set(title="Estimation", xlabel="observations", xscale="log")
    middle.legend(loc="lower left")
    lines = {}
    for name, color, dash in (("powers", PALETTE[2], "-"), ("legendre", PALETTE[3], "-.")):
        steps, gaps = _thinned(errors.optimization[name])
        lines |= {f"{name} steps": steps, f"{name} gaps": gaps}
        right.plot(steps, gaps, color=color, linestyle=dash)
    n_steps = len(errors.optimization["powers"]) - 1
    right.plot(n_steps, optimization, "s", color=INK, markersize=7, fillstyle="none")
    right.set(title="Optimization", xlabel="steps", xscale="log")
    name_it = {"xycoords": "axes fraction"}
    right.annotate("powers of x", (0.98, 0.82), ha="right", **name_it)
    lowest = min(errors.approximation.min(), errors.estimation.min(), 1e-3)
    leaves = lines["legendre steps"][lines["legendre gaps"] > lowest][-1]
    right.annotate("Legendre", (leaves, lowest), (7, 0), textcoords="offset points")
    for ax in (left, middle, right):
        ax.set(yscale="log", ylim=(lowest / 2, 1))
    for ax in (middle, right):
        ax.tick_params(labelleft=False)
    return Figure(
        fig,
        data={
            "degrees": errors.degrees,
            "approximation": errors.approximation,
            "sizes": errors.sizes,
            "estimation": errors.estimation,
            "expected": errors.expected_estimation,
        }
        | lines,
        caption=f"The same fit, three errors, one scale. At the squares, degree {errors.degree} "
        f"with {errors.sizes[-1]:,} observations and {n_steps:,} steps, they are "
        f"{approximation:.3f}, {estimation:.3f} and {optimization:.3f}. Each falls along its own "
        "axis, and moving along the other two does not lower it. The choice of basis moves the "
        "third panel only.",
        alt="Three panels with one logarithmic scale of distances. Left, approximation error falls "
        "with the degree of the polynomial. Middle, estimation error scatters around a dashed line "
        "that falls with the square root of the number of observations. Right, optimization error "
        "over the steps of gradient descent: slow with powers of x, and out of the picture after a "
        "few steps with Legendre polynomials.",
    )


def _thinned(gaps):
    """Steps 1, 2, ... at even distances of their logarithms, down to the floor."""
    steps = np.unique(np.geomspace(1, max(len(gaps) - 1, 1), 120).round().astype(int))
    above = gaps[steps] > FLOOR
    n = len(steps) if above.all() else int(np.argmin(above))
    return steps[:n], gaps[steps[:n]]
