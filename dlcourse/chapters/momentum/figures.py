"""Figures of the chapter book/momentum.ipynb: each draws the package's records."""

import numpy as np

from dlcourse.chapters.momentum.noise import NoisyRuns
from dlcourse.chapters.momentum.plane import RatePlane, critical_momentum
from dlcourse.chapters.momentum.race import Race, Valley
from dlcourse.convergence import heavy_ball
from dlcourse.drawing.style import DASHES, INK, PALETTE, Figure, canvas
from dlcourse.optim import Descent

LEVELS = (0.0, 0.5, 0.7, 0.8, 0.9, 1.0)  # the last one is the limit of stable steps
DEPTHS = (0.55, 0.4, 0.28, 0.18, 0.08)  # of the color between two levels
STYLED = ("gradient descent", "heavy ball", "Nesterov", "Nesterov, growing")


def regimes(relative_step: float, strong: float) -> Figure:
    """The points along one axis without momentum, with the critical one, and with a strong one."""
    fig, ax = canvas(height=3.4)
    n_steps = 80
    k, critical = np.arange(n_steps + 1), float(critical_momentum(relative_step))
    drawn = {"k": k}
    momenta = {"none": 0.0, "critical": critical, "strong": strong}
    for (name, beta), color, dash in zip(momenta.items(), PALETTE, DASHES, strict=False):
        x = np.append(1.0, heavy_ball.position_after(relative_step, beta, k[1:]))
        ax.plot(k, x, color=color, linestyle=dash, label=f"{name}: β = {beta:.2f}")
        drawn[name] = x
    first, second = heavy_ball.eigenvalues(relative_step, strong)
    amplitude = 2 * abs((1 - relative_step - second) / (first - second))
    drawn["envelope"] = amplitude * np.sqrt(strong) ** k
    for sign in (1, -1):
        ax.plot(k, sign * drawn["envelope"], color=INK, linestyle=":", linewidth=1)
    ax.plot([], [], color=INK, linestyle=":", label="√β to the k, scaled")
    ax.axhline(0, color=INK, linewidth=0.6)
    ax.set(xlabel="steps k", ylabel="distance from the minimum", ylim=(-1.3, 1.5))
    ax.legend(loc="upper right", ncols=2)
    lowest = drawn["strong"].min()
    return Figure(
        fig,
        data=drawn,
        caption=f"One axis of a bowl with αλ = {relative_step:g}, from rest at 1. Without momentum "
        f"the path creeps: {drawn['none'][-1]:.2f} is left after {n_steps} steps. The critical "
        f"momentum {critical:.2f} brings it down to {drawn['critical'][-1]:.2g}. With {strong:g} "
        f"it shoots past the minimum as far as {lowest:.2f}".replace("-", "−")
        + " and swings under a dotted envelope that shrinks by √β a step.",
        alt="Distance from the minimum along one axis against the number of steps. A slow curve "
        "without momentum is still well above zero at the end. A second curve falls to zero "
        "without crossing it. A third swings around zero like a damped spring between two dotted "
        "envelopes.",
    )


def rate_plane(plane: RatePlane, kappa: float) -> Figure:
    """Level sets of the rate over step and momentum, runs as points, the best choice for kappa."""
    fig, ax = canvas(height=4.2)
    for low, high, depth in zip(LEVELS, LEVELS[1:], DEPTHS, strict=False):
        ax.contourf(
            plane.relative_steps,
            plane.betas,
            plane.rates,
            levels=[low, high],
            colors=PALETTE[0],
            alpha=depth,
        )
    for rate in LEVELS[1:-1]:
        ax.text(1.02, rate**2 - 0.012, f"{rate:g}", ha="center", va="top", fontsize=8)
    beta = plane.betas
    ax.plot(2 + 2 * beta, beta, color=INK, linewidth=1.6, label="αλ = 2 + 2β")
    oscillating = np.concatenate([(1 - np.sqrt(beta[::-1])) ** 2, (1 + np.sqrt(beta)) ** 2])
    both = np.concatenate([beta[::-1], beta])
    ax.plot(oscillating, both, color=INK, linestyle=":", linewidth=1, label="double eigenvalue")
    shrinks = plane.measured < 1
    for inside, marker, label in ((shrinks, "o", "run shrinks"), (~shrinks, "x", "run grows")):
        points = plane.run_steps[inside], plane.run_betas[inside]
        ax.plot(*points, marker, color=PALETTE[3], markersize=3.5, linestyle="none", label=label)
    best = heavy_ball.optimal_parameters(1.0, kappa)
    span = best.learning_rate * np.array([1.0, kappa])
    ax.plot(
        span, [best.beta] * 2, "-", color=PALETTE[1], linewidth=3, label=f"best for κ = {kappa:g}"
    )
    ax.set(xlabel="step × curvature, αλ", ylabel="momentum β", xlim=(0, 4.2), ylim=(0, 1))
    ax.grid(visible=False)
    fig.legend(loc="outside upper center", ncols=3)
    return Figure(
        fig,
        data={
            "relative steps": plane.relative_steps,
            "betas": beta,
            "rates": plane.rates,
            "run steps": plane.run_steps,
            "run betas": plane.run_betas,
            "shrinks": shrinks,
            "span": span,
            "best beta": np.array([best.beta]),
        },
        caption="The rate along one axis; the numbers stand at the upper edge of their bands. "
        "Between the dotted curves the eigenvalues are complex, and the rate is √β whatever the "
        f"step. Of {len(shrinks)} runs all {shrinks.sum()} on the left of the solid line shrink "
        "and all others grow. The thick bar is a bowl with curvatures up to "
        f"{kappa:g} times the smallest at its best parameters: it just fits between the dotted "
        "curves.",
        alt="A map over the relative step, from 0 to a little over 4, and the momentum, from 0 to "
        "1. Bands of lighter color towards the top mean slower rates; in the middle their borders "
        "are horizontal. A solid line rises from 2 at the bottom to 4 at the top. Round points lie "
        "left of it, crosses right of it. A thick horizontal bar spans from one dotted curve to "
        "the other.",
    )


def acceleration(valley: Valley, races: Race) -> Figure:
    """Left: gaps on a flat valley with bounds. Right: gaps of all methods on the last problem."""
    fig, (left, right) = canvas(n_columns=2, height=3.8)
    shown = np.unique(np.geomspace(1, len(valley.k), 120).round().astype(int)) - 1
    drawn, colors = {"k": valley.k[shown]}, dict(zip(STYLED, PALETTE, strict=False))
    dashes = dict(zip(STYLED, DASHES[:3] + DASHES[4:], strict=True))
    for name, gaps in valley.gaps.items():
        look = {"color": colors[name], "linestyle": dashes[name]}
        left.plot(valley.k[shown], gaps[shown], **look)
        left.plot(valley.k[shown], valley.bounds[name][shown], ":", color=colors[name], lw=1.2)
        drawn |= {f"valley, {name}": gaps[shown], f"bound, {name}": valley.bounds[name][shown]}
    left.set(xscale="log", yscale="log", xlabel="steps k", ylabel="gap", title="a flat valley")
    problem, gaps_of = list(races.gaps.items())[-1]
    last = max(steps[-1] for name, steps in races.steps.items() if name != "gradient descent")
    k = np.unique(np.linspace(0, min(2 * last, len(gaps_of["heavy ball"]) - 1), 200).astype(int))
    for name, gaps in gaps_of.items():
        seen = k[gaps[k] > 1e-9]  # below, the gap is mostly rounding
        right.plot(seen, gaps[seen], color=colors[name], linestyle=dashes[name], label=name)
        drawn |= {f"race, {name}": gaps[seen]}
    right.set(yscale="log", xlabel="steps k", ylabel="share of the first gap", title=problem)
    fig.legend(loc="outside upper center", ncols=2)
    steps = {name: column[-1] for name, column in races.steps.items()}
    return Figure(
        fig,
        data=drawn,
        caption="Left: least squares with almost flat directions, dotted lines are the bounds. "
        f"Gradient descent falls like k to the {valley.slope('gradient descent'):.1f}, Nesterov's "
        f"method like k to the {valley.slope('Nesterov, growing'):.1f}.".replace("-", "−")
        + f" Right: to leave a millionth of the first gap, gradient descent takes "
        f"{steps['gradient descent']:,} steps, heavy ball {steps['heavy ball']:,} and Nesterov's "
        f"method {steps['Nesterov']:,} with constant, {steps['Nesterov, growing']:,} with growing "
        "momentum.",
        alt="Left, both axes logarithmic: the gap of gradient descent falls in a straight line, "
        "that of Nesterov's method about twice as steeply, each below its dotted bound. Right, "
        "gap logarithmic: gradient descent is the flattest line; heavy ball and Nesterov with "
        "constant momentum fall steeply; Nesterov with growing momentum falls in waves.",
    )


def breaks(circle: Descent, noisy: NoisyRuns) -> Figure:
    """Left: heavy ball in a circle. Right: mean squared distances with noise, and the floors."""
    fig, (left, right) = canvas(n_columns=2, height=3.8)
    x = circle.points[:, 0]
    left.plot(x, "-", color=PALETTE[0], linewidth=0.8)
    left.plot(x, "o", color=PALETTE[0], markersize=3)
    left.axhline(0, color=INK, linewidth=0.6)
    left.set(xlabel="steps k", ylabel="x, whose minimizer is 0", title="three quadratic pieces")
    n_steps = noisy.squares.shape[1] - 1
    k = np.unique(np.geomspace(1, n_steps, 100).round().astype(int))
    drawn = {"x": x, "k": k, "floors": noisy.floors}
    for i, (squares, floor) in enumerate(zip(noisy.squares, noisy.floors, strict=True)):
        name = f"α = {noisy.rates[i]:g}, β = {noisy.betas[i]:g}"
        right.plot(k, squares[k], color=PALETTE[i], linestyle=DASHES[i], label=name)
        right.axhline(floor, color=PALETTE[i], linestyle=":", linewidth=1.2)
        drawn[name] = squares[k]
    right.set(xscale="log", yscale="log", xlabel="steps k", title="noisy gradients")
    right.set_ylabel("mean squared distance")
    fig.legend(loc="outside upper center", ncols=2)
    cycle = ", ".join(f"{value:.2f}" for value in x[-3:]).replace("-", "−")
    return Figure(
        fig,
        data=drawn,
        caption="Left: with the parameters that are best for quadratics with these curvatures, "
        f"heavy ball ends in a circle through {cycle}. Right: from one start, with the same noise. "
        f"Momentum {noisy.betas[1]:g} with a tenth of the step arrives at the floor of the plain "
        f"method ({noisy.floors[1]:.2f} and {noisy.floors[0]:.2f}); with the same step its floor "
        f"is {noisy.floors[2]:.1f}.",
        alt="Left: the position against the number of steps jumps between three values for ever, "
        "none of them zero. Right: mean squared distance against steps, both axes logarithmic. "
        "Two lines fall together and level off on one floor; the third falls earlier and levels "
        f"off about {noisy.floors[2] / noisy.floors[0]:.0f} times higher.",
    )
