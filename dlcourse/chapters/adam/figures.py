"""Figures of the chapter book/adam.ipynb: each draws records made by the package."""

import numpy as np

from dlcourse.chapters.adam import lengths
from dlcourse.chapters.adam.ablation import CONSTANT_AND_SCALED, WARM_RATE, Ablation
from dlcourse.chapters.adam.counterexample import Counterexample
from dlcourse.chapters.adam.on_data import OPTIMIZERS, UNITS, Comparison
from dlcourse.chapters.adam.weight_decay import Shrinkage
from dlcourse.drawing.style import DASHES, INK, PALETTE, Figure, canvas
from dlcourse.tables import rounded

N_POINTS = 250  # at most, on a line: the page need not carry more


def starts(beta1: float = 0.9, beta2: float = 0.999) -> Figure:
    """Lengths of the steps under a constant gradient, with the corrections and without them."""
    k = _thin(np.arange(1, 10_001))
    data = {
        "both corrected": np.ones(len(k)),
        "neither corrected": lengths.uncorrected(k, beta1, beta2),
        "no averaging, divisor not corrected": lengths.uncorrected(k, 0.0, beta2),
        "divisor corrected, average not": lengths.uncorrected(k, beta1, 0.0),
    }
    fig, ax = canvas(height=3.4)
    for name, length in data.items():
        ax.plot(k, length, label=name)
    ax.set(xscale="log", yscale="log", xlabel="steps k", ylabel="length of the step / α")
    ax.legend(fontsize="small")
    longest = data["neither corrected"].max()
    return Figure(
        fig,
        data={"k": k} | data,
        caption="Steps under a constant gradient, both axes logarithmic. With both corrections "
        f"every step is α long. Without them the first steps are up to {longest:.1f} times as "
        f"long, and without averaging the very first one "
        f"{data['no averaging, divisor not corrected'][0]:.0f} times.",
        alt="Length of a step in units of the step size, against the number of steps. A flat line "
        "at one; a line that falls from far above one to one; a line that rises, peaks after about "
        "ten steps and falls to one; a line that rises from below to one.",
    )


def parts(ablation: Ablation) -> Figure:
    """Left: gaps by epoch from a cold start. Right: gaps by step after a start at the minimizer."""
    shown = ("gradient", "averaged", "scaled", "Adam", "Adam, falling step")
    fig, (left, right) = canvas(n_columns=2, height=4.6)
    cold = {name: np.median(ablation.gaps[name], axis=0) for name in shown}
    look = dict(zip(shown, zip(PALETTE, DASHES, strict=True), strict=True))
    for name, gap in cold.items():
        color, dash = look[name]
        left.plot(gap, color=color, linestyle=dash, label=name)
        low, high = ablation.gaps[name].min(axis=0), ablation.gaps[name].max(axis=0)
        left.fill_between(np.arange(len(gap)), low, high, color=color, alpha=0.15, linewidth=0)
    estimation = np.median(ablation.estimation)
    left.axhline(estimation, color=INK, linewidth=0.8)
    left.text(0.2, estimation * 0.85, "estimation error", fontsize="small", va="top")
    left.set(yscale="log", xlabel="epochs", ylabel="gap", title="From zero")
    warm = {name: np.median(ablation.warm[name], axis=0)[1:] for name in CONSTANT_AND_SCALED}
    free = iter((look["gradient"], look["averaged"]))  # scaled and Adam look as on the left
    for name, gap in warm.items():
        color, dash = look[name] if name in look else next(free)
        right.plot(np.arange(1, len(gap) + 1), gap, color=color, linestyle=dash, label=name)
    right.set(xscale="log", yscale="log", xlabel="steps k", title="From the minimizer")
    for ax in (left, right):
        ax.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.2))
    return Figure(
        fig,
        data={f"cold, {name}": gap for name, gap in cold.items()}
        | {f"warm, {name}": gap for name, gap in warm.items()}
        | {"estimation": ablation.estimation},
        caption="Medians over the samples that chose no step size; the shades are ranges. Left: "
        "each variant with its own step size. Scaling takes the gap after the last epoch from "
        f"{cold['averaged'][-1]:.2g} to {cold['Adam'][-1]:.2g}; only a falling step takes it below "
        f"the estimation error. Right: a start at the minimizer with α = {WARM_RATE:g}. Without "
        "the corrections the first step of the scaled gradient costs "
        f"{warm['scaled, uncorrected'][0]:.2g}.",
        alt="Two panels of the gap on a logarithmic axis. Left, against epochs: the gradient and "
        "the averaged gradient stay high, the scaled gradient and Adam fall steadily, Adam "
        "with a falling step falls below a horizontal line for the estimation error. Right, "
        "against steps: the two corrected variants stay low, the two uncorrected ones start high.",
    )


def units(comparison: Comparison) -> Figure:
    """Training loss at the end against the step size, by optimizer and units of the features."""
    fig, panels = canvas(n_columns=2, height=4.1)
    data = {}
    for ax, unit in zip(panels, UNITS, strict=True):
        for name, color, dash in zip(OPTIMIZERS, PALETTE, DASHES, strict=False):
            tuned = comparison.contests[unit].tuning[name]
            # A run that ends above its start has lost its way: where it ends says nothing.
            shown = tuned.scores.max(axis=1) < np.log(2)
            rates, last = tuned.rates[shown], tuned.scores[shown]
            data[f"{unit}, {name}"] = mean = last.mean(axis=1)
            ax.plot(rates, mean, color=color, linestyle=dash, label=name)
            ax.plot(tuned.rate, tuned.scores[tuned.chosen].mean(), "o", color=color, markersize=5)
            ax.fill_between(rates, last.min(1), last.max(1), color=color, alpha=0.12, linewidth=0)
        ax.set(xscale="log", yscale="log", ylim=(0.005, 1), xlabel="step size α", title=unit)
        ax.legend(fontsize="small", ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.2))
    panels[0].set_ylabel("training loss at the end")
    growth = {name: comparison.growth(name) for name in OPTIMIZERS}
    return Figure(
        fig,
        data=data | {"rates": tuned.rates},
        caption="Means over the splits that choose, ranges shaded, a dot at the chosen step size. "
        "A line ends where a split ends above its start. "
        "Left: with the features in their own units Adam goes lowest. Right: standardized, all "
        "go lower than that. From left to right the best step size of SGD grows by a factor of "
        f"{rounded(growth['SGD'])}, that of Adam by {rounded(growth['Adam'])}.",
        alt="Two panels of the training loss against the step size, both axes logarithmic, each "
        "with one valley-shaped line for SGD, momentum and Adam. Left, the valley of Adam lies far "
        "to the right of the others and is the deepest. Right, all valleys are deeper, equally "
        "deep and closer to each other.",
    )


def shrinkage(result: Shrinkage) -> Figure:
    """Mean weights left by a penalty inside Adam and beside it, by size of the gradients."""
    fig, (left, right) = canvas(n_columns=2, height=4.0)
    k = _thin(np.arange(len(result.inside)))
    for ax, weights, title in (
        (left, result.inside, "Penalty inside Adam"),
        (right, result.beside, "AdamW"),
    ):
        for size, weight in zip(result.sizes, weights.T, strict=True):
            ax.plot(k, weight[k], label=f"gradients of size {size:g}")
        ax.set(ylim=(0, 1.02), xlabel="steps k", title=title)
        ax.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.2))
    left.set_ylabel("mean weight left")
    ends = result.inside[-1]
    return Figure(
        fig,
        data={"sizes": result.sizes, "inside": result.inside[k], "beside": result.beside[k]},
        caption="Weights that start at 1 and whose true value is 0. Left: inside Adam the penalty "
        f"leaves {ends[0]:.2g} of a weight with small gradients and {ends[-1]:.2g} of one with "
        f"large gradients. Right: AdamW leaves {result.beside[-1, 0]:.2g} of each; the lines lie "
        "on each other.",
        alt="Two panels of the mean weight left against the number of steps. Left: one falling "
        "line for each size of the gradients; the larger the gradients, the slower the fall. "
        "Right: the lines fall together.",
    )


def epsilons() -> Figure:
    """Length of a step under a constant gradient of any size, epsilon outside or inside."""
    sizes, epsilon = np.geomspace(1e-11, 1, 200), 1e-8  # what most implementations take
    outside = lengths.with_epsilon(sizes, epsilon)
    inside = lengths.with_epsilon_inside(sizes, epsilon)
    half = [np.interp(0.5, length, sizes) for length in (outside, inside)]
    fig, ax = canvas(height=3.2)
    ax.plot(sizes, outside, label="ε outside the root: paper, PyTorch")
    ax.plot(sizes, inside, label="ε inside the root: slide 12")
    ax.set(xscale="log", yscale="log", ylim=(1e-5, 2))
    ax.set(xlabel="size of the gradient |g|", ylabel="length of the step / α")
    ax.legend(loc="lower right")
    return Figure(
        fig,
        data={"sizes": sizes, "outside": outside, "inside": inside, "half": np.array(half)},
        caption=f"One ε, {epsilon:g}, in two places. Outside the root a step is half of α where "
        f"the gradient is {half[0]:.1g}; inside, already where it is {half[1]:.1g}. To the left of "
        "that, steps shrink in proportion to the gradient.",
        alt="Length of a step against the size of the gradient, both axes logarithmic. Two lines "
        "rise with slope one and bend to a plateau at one; the line for epsilon inside the root "
        "bends at a gradient thousands of times larger.",
    )


def worst_point(example: Counterexample) -> Figure:
    """Left: paths on the repeating losses. Right: moves added up over one settled cycle."""
    fig, (left, right) = canvas(n_columns=2, height=3.6)
    k = _thin(np.arange(len(example.points["Adam"])))
    for name, points in example.points.items():
        left.plot(k, points[k], label=name)
    left.set(xlabel="steps k", ylabel="x", ylim=(-1.1, 1.1), title="Paths")
    left.text(k[-1], -1.01, "best point", ha="right", va="top", fontsize="small")
    left.text(k[-1], 1.01, "worst point", ha="right", va="bottom", fontsize="small")
    left.legend(loc="center right")
    left.locator_params("x", nbins=3)
    added = {name: np.cumsum(np.r_[0.0, moves]) for name, moves in example.moves.items()}
    for total in added.values():
        right.plot(total)
    right.axhline(0, color=INK, linewidth=0.8)
    right.set(xlabel="steps since the spike", ylabel="moved / α", title="One cycle")
    net = {name: total[-1] for name, total in added.items()}
    return Figure(
        fig,
        data={name: points[k] for name, points in example.points.items()}
        | {f"added, {name}": total for name, total in added.items()},
        caption=f"Left: Adam ends at {example.points['Adam'][-1]:.2f}, the worst point, AMSGrad "
        f"at {example.points['AMSGrad'][-1]:.2f}. Right: the spike sends both down about alike. On "
        "the way back Adam's divisor forgets the spike, so its steps grow and it ends "
        f"{net['Adam']:.1f} α above its start; AMSGrad ends {-net['AMSGrad']:.2f} α below.",
        alt="Left panel: the point against the number of steps; the line of Adam climbs to one and "
        "stays, the line of AMSGrad goes down toward minus one. Right panel: the move added up "
        "over one cycle; both lines drop by about as much and climb back, that of Adam ever faster "
        "and to above zero, that of AMSGrad more slowly and to just below zero.",
    )


def _thin(k):
    """At most `N_POINTS` of the numbers, evenly on a logarithmic scale where there are many."""
    if len(k) <= N_POINTS:
        return k
    places = np.r_[0, np.geomspace(1, len(k) - 1, N_POINTS), np.linspace(0, len(k) - 1, N_POINTS)]
    return k[np.unique(places.astype(int))]
