"""Figures of the chapter book/gradient_descent.ipynb: each draws records made by the package."""

from collections.abc import Mapping

import numpy as np

from dlcourse import convergence
from dlcourse.chapters.gradient_descent.race import Race
from dlcourse.convergence import Bench
from dlcourse.drawing.style import DASHES, INK, PALETTE, Figure, canvas
from dlcourse.functions import DoubleWell
from dlcourse.optim import Descent, GradientDescent, minimize

FLOOR = 1e-10  # of a relative gap: below it a line would show rounding, so it ends


def descent_lemma(bench: Bench) -> Figure:
    """The change of f in one step of every size, under the bound of the descent lemma."""
    best = bench.at[bench.bound.argmin()]
    fig, ax = canvas(height=3.4)
    ax.plot(bench.at, bench.values.T, color=PALETTE[0], linestyle="-", linewidth=0.8, alpha=0.6)
    ax.plot(bench.at, bench.bound, color=PALETTE[3], linestyle="--", linewidth=2.4)
    ax.axhline(0, color=INK, linewidth=0.8)
    ax.plot([], [], color=PALETTE[0], linestyle="-", label="random functions")
    ax.plot([], [], color=PALETTE[3], linestyle="--", label="bound of the lemma")
    ax.set(xlabel="step size × L", ylabel="change of f × L / |gradient|²", ylim=(-2.5, 0.6))
    ax.legend(loc="lower left")
    return Figure(
        fig,
        data={"step": bench.at, "change": bench.values, "bound": bench.bound},
        caption=f"One step from a random point of {len(bench.values)} random convex functions. No "
        f"line crosses the bound. The bound is lowest at t = {best:.2g}/L, and from t = 2/L on it "
        "promises no fall, although functions that are flat along the gradient still fall.",
        alt="The change of f after one step, against the step size times L. One thin line for each "
        "random function slopes down from zero. All lie below a dashed parabola, the bound, which "
        "falls to minus one half and comes back to zero where the step size is 2/L.",
    )


def rates(convex: Bench, strong: Bench) -> Figure:
    """Gaps against the bounds of both theorems, with the worst function known for each."""
    fig, (left, right) = canvas(n_columns=2, height=3.6)
    worst_k = np.array([k for k in (1, 3, 10, 30, 100) if k <= convex.at[-1]])
    worst_gaps = np.array([worst_gap(k) for k in worst_k])
    exact = convergence.convex_worst_case(1.0, 1.0, convex.at, L=1.0)
    _bench_lines(left, convex)
    left.plot(convex.at, exact, color=PALETTE[2], linestyle="-.", label="exact worst case")
    left.plot(worst_k, worst_gaps, "o", color=PALETTE[2], markersize=5, label="its Huber function")
    left.set(xscale="log", yscale="log", ylim=(1e-8, 1), xlabel="steps k", title="Convex")
    left.set_ylabel("gap / (L × distance²)")
    _bench_lines(right, strong)
    squared = strong.bound**2
    right.plot(strong.at, squared, color=PALETTE[2], linestyle="-.", label="exact worst case")
    right.set(yscale="log", ylim=(FLOOR, 2), xlabel="steps k", title="Strongly convex")
    right.set_ylabel("gap / first gap")
    left.legend(loc="lower left", fontsize="small")
    loose = convex.bound[-1] / exact[-1]
    return Figure(
        fig,
        data={"convex": convex.values, "convex bound": convex.bound, "convex worst case": exact}
        | {"worst k": worst_k, "worst gaps": worst_gaps}
        | {"strong": strong.values, "strong bound": strong.bound, "strong worst case": squared},
        caption=f"Thin lines: random problems, {len(convex.values)} on the left and "
        f"{len(strong.values)} on the right. Left, both axes logarithmic: every gap stays under "
        f"1/(2k), and even the worst function stays {loose:.2f} times below it. Right: a straight "
        "line is a constant factor a step; the worst function falls twice as fast as the bound.",
        alt="Two panels of the gap against the number of steps. Left, logarithmic axes: thin lines "
        "of random problems lie far below a dashed line of slope minus one; dots of the Huber "
        "functions lie on a parallel line at half its height. Right, logarithmic gap: thin lines "
        "fall below a straight dashed bound; a second straight line has twice its slope.",
    )


def worst_gap(k) -> float:
    """Gap after k steps of size 1/L on the function that is worst for this k (L = distance = 1)."""
    f = convergence.worst_function(1.0, 1.0, int(k), L=1.0)
    return float(minimize(f, np.array([1.0]), GradientDescent(1.0), max_steps=int(k)).value)


def _bench_lines(ax, bench):
    shown = np.unique(np.geomspace(1, len(bench.at), 60).astype(int) - 1)
    lines = ax.plot(
        bench.at[shown], bench.values[:, shown].T, color=PALETTE[0], linestyle="-", linewidth=0.8
    )
    for line in lines:
        line.set_alpha(0.6)
    lines[0].set_label("random problems")
    ax.plot(bench.at, bench.bound, color=PALETTE[3], linestyle="--", linewidth=2.4, label="bound")


def step_rules(races: Race) -> Figure:
    """Left: three step rules on the first problem. Right: two of them on the other problems."""
    first, *others = races.gaps
    fig, (left, right) = canvas(n_columns=2, height=3.6)
    for rule, gaps in races.gaps[first].items():
        left.plot(*_thin(gaps), label=rule)
    for name, color in zip(others, PALETTE, strict=False):
        for rule, dash in zip(("fixed 1/M", "backtracking"), DASHES, strict=False):
            label = name.split(", ")[-1] if dash == "-" else None
            right.plot(*_thin(races.gaps[name][rule]), color=color, linestyle=dash, label=label)
    n_steps = len(races.gaps[first]["exact"]) - 1
    for ax in (left, right):
        ax.set(yscale="log", xlabel="steps k")
        ax.legend(fontsize="small")
    left.set(title=first, ylim=(FLOOR, 2), ylabel="gap / first gap")
    right.set(title="Diabetes data", ylim=(1e-5, 2))
    ends = [races.gaps[name]["fixed 1/M"][-1] for name in others]
    return Figure(
        fig,
        data=races.gaps,
        caption=f"The share of the first gap left after each of {n_steps} steps. Left: on a narrow "
        "valley the exact step zigzags. Right: solid lines take the fixed step 1/M, dashed ones "
        f"backtrack. The units of the features decide: with the fixed step {100 * max(ends):.2g} % "
        f"of the gap is left as recorded and {100 * min(ends):.2g} % standardized.",
        alt="Two panels of the gap, on a logarithmic axis, against the number of steps. Left: "
        "lines for the fixed step, backtracking and the exact step; backtracking falls fastest, "
        "the fixed step slowest. Right: pairs of lines for three scalings of the features; only "
        "the standardized pair falls steadily.",
    )


def broken_hypotheses(breaks: Mapping[str, Descent], wells: Descent, well: DoubleWell) -> Figure:
    """Left: values that do not go to zero as the theorems say. Right: runs on two valleys."""
    fig, (left, right) = canvas(n_columns=2, height=3.6)
    for name, run in breaks.items():
        left.plot(run.values, label=name)
    left.set(yscale="log", ylim=(1e-6, 1e3), xlabel="steps k", ylabel="f, whose minimum is 0")
    left.legend(loc="lower left", fontsize="small")
    grid = np.stack(np.meshgrid(np.linspace(-2, 2, 81), np.linspace(-2, 2, 81)), axis=-1)
    height = well(grid)[0]
    right.contour(*np.moveaxis(grid, -1, 0), height, levels=8, colors=PALETTE[4], linewidths=0.6)
    is_right = wells.x[:, 0] > 0
    for side, color, marker in ((~is_right, PALETTE[0], "o"), (is_right, PALETTE[3], "s")):
        for i in np.flatnonzero(side)[:12]:
            right.plot(*wells.points[:25, i].T, color=color, linestyle="-", linewidth=0.8)
        right.plot(*wells.x[side][:1].T, marker, color=color, markersize=7)
    right.set(xlabel="u", ylabel="v", title="Two valleys", aspect="equal")
    return Figure(
        fig,
        data={name: run.values for name, run in breaks.items()} | {"ends": wells.x},
        caption="Left: one hypothesis dropped at a time. Right: the same step from "
        f"{len(wells.x)} random points, of which at most 24 are drawn; {is_right.sum()} runs end "
        "in the right valley (square), which is the higher one.",
        alt="Left panel: values against steps on a logarithmic axis; one line rises, one swings at "
        "a constant height, one bends and falls ever more slowly. Right panel: contours of a "
        "function with two valleys, and paths that end at the bottom of one or the other.",
    )


def _thin(gaps):
    """Numbers of steps and gaps at 250 of them at most: the page need not carry more."""
    k = np.unique(np.linspace(0, len(gaps) - 1, 250).astype(int))
    return k, np.where(gaps[k] < FLOOR, np.nan, gaps[k])
