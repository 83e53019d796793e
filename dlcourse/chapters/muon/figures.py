"""Figures of the chapter book/muon.ipynb: each draws records made by the package."""

from collections.abc import Mapping

import numpy as np

from dlcourse.chapters.muon import orthogonalization as o
from dlcourse.chapters.muon.matrix_regression import Comparison
from dlcourse.contest import Contest
from dlcourse.drawing.style import INK, PALETTE, Figure, canvas

FLOOR = 1e-4  # of a share of the norm: what lies below is drawn on it
MARKERS = ("o", "s", "^", "D")


def newton_schulz() -> Figure:
    """Left: what one iteration does to a singular value. Right: what all of them do."""
    fig, (left, right) = canvas(n_columns=2, height=3.5)
    n_iterations, (low, high) = o.N_ITERATIONS, o.invariant_band()
    s = np.linspace(0, 1.25, 251)
    small = np.geomspace(1e-4, 1.0, 400)
    one = o.polynomial(s)
    curves = {
        "Muon": o.composite(small, n_iterations),
        "classical": o.composite(small, n_iterations, o.CLASSICAL),
    }
    for ax in (left, right):
        ax.axhspan(low, high, color=PALETTE[4], alpha=0.25, linewidth=0)
        ax.set_ylim(0, 1.35)
    left.plot(s, one, label="Muon's polynomial")
    left.plot(s, s, color=INK, linewidth=0.8, linestyle=":", label="no change")
    left.plot([low, low, high, high, low], [low, high, high, low, low], color=INK, linewidth=0.8)
    left.set(xlabel="singular value before", ylabel="after", title="One iteration")
    for name, curve in curves.items():
        right.plot(small, curve, label=name)
    right.set(xscale="log", xlabel="singular value / norm", title=f"{n_iterations} iterations")
    left.legend(loc="lower right", fontsize="small")
    right.legend(loc="lower right", fontsize="small")
    reach = o.safe_from(n_iterations)
    slower = o.safe_from(n_iterations, o.CLASSICAL) / reach
    return Figure(
        fig,
        data={"s": s, "one": one, "small": small, "low": low, "high": high} | curves,
        caption=f"Shaded: the band from {low:.2f} to {high:.2f}. Left: within the dashed box the "
        "polynomial maps the band into itself, so a value that has entered never leaves. Right: "
        f"{n_iterations} iterations bring every singular value above {reach:.4f} of the norm into "
        f"the band. The classical coefficients settle at 1 and need values {slower:.0f} times "
        "as large.",
        alt="Left: a polynomial rises steeply from zero to a peak, falls below one and turns up "
        "again; a dashed box marks the part of it that stays in a shaded band. Right, against the "
        "singular value on a logarithmic axis: Muon's curve rises early and then waves inside the "
        "band; the classical curve rises later and flattens at one.",
    )


def singular_values(landings: Mapping[str, o.Landing]) -> Figure:
    """Singular values of gradients before and after Newton-Schulz, one panel a gradient."""
    fig, axes = canvas(n_columns=len(landings), height=3.4)
    low, high = o.invariant_band()
    for ax, (title, landing) in zip(np.atleast_1d(axes), landings.items(), strict=True):
        rank = np.arange(1, len(landing.before) + 1)
        ax.axhspan(low, high, color=PALETTE[4], alpha=0.25, linewidth=0)
        ax.plot(rank, np.maximum(landing.before, FLOOR), "o-", markersize=3, label="gradient")
        ax.plot(
            rank, np.maximum(landing.after, FLOOR), "s--", markersize=3, label="after Newton-Schulz"
        )
        ax.set(yscale="log", ylim=(FLOOR / 1.5, 3), xlabel="singular value, by size", title=title)
    first = np.atleast_1d(axes)[0]
    first.set_ylabel("singular value (gradient: / norm)")
    first.legend(loc="lower left", fontsize="small")
    tops = [f"{landing.before[0]:.2f} ({title})" for title, landing in landings.items()]
    return Figure(
        fig,
        data=dict(landings),
        caption="Singular values of the gradient of a hidden matrix, as shares of its norm, and "
        f"after five iterations. The largest is {' and '.join(tops)} of the norm. Newton-Schulz "
        f"lifts what lies above {o.safe_from(5):.4f} into the shaded band; what lies far below "
        f"stays small. Values below {FLOOR:g} are drawn there.",
        alt="Two panels of singular values in falling order on a logarithmic axis. Those of the "
        "gradient fall by orders of magnitude, faster in the left panel. After Newton-Schulz "
        "they run along a shaded band around one and then drop, in the left panel earlier.",
    )


def worlds(comparison: Comparison, left_world: str, right_world: str) -> Figure:
    """Distance from the truth at the tuned step sizes: mean over the seeds, and their range."""
    fig, axes = canvas(n_columns=2, height=3.5)
    shown = {
        title: {name: paths.T for name, paths in comparison.contests[title].scores["path"].items()}
        for title in (left_world, right_world)
    }
    for ax, (title, paths) in zip(axes, shown.items(), strict=True):
        for name, path in paths.items():
            k = np.unique(np.linspace(0, len(path) - 1, 101).astype(int))
            (line,) = ax.plot(k, _floored(path[k].mean(1)), label=name)
            lo, hi = _floored(path[k].min(1)), _floored(path[k].max(1))
            ax.fill_between(k, lo, hi, color=line.get_color(), alpha=0.2, linewidth=0)
        ax.set(yscale="log", xlabel="steps k", title=title)
    axes[0].set_ylabel("distance from the truth")
    axes[0].legend(loc="lower left", fontsize="small")
    ends = {title: {n: p[-1].mean() for n, p in paths.items()} for title, paths in shown.items()}
    best = {title: min(end, key=end.get) for title, end in ends.items()}
    n_seeds = next(iter(shown[left_world].values())).shape[1]
    return Figure(
        fig,
        data=shown,
        caption=f"Share of the first distance from the true matrix, mean of {n_seeds} seeds, and "
        "their range as a shade. Every optimizer has the one of twelve step sizes that ended "
        f"nearest on other seeds. Left, {best[left_world]} ends nearest; right, "
        f"{best[right_world]} does, and Muon ends at "
        f"{ends[right_world]['Muon'] / min(ends[right_world].values()):.1f} times its distance.",
        alt="Two panels with four lines each: the distance from the truth, on a logarithmic axis, "
        "against the number of steps. Left, Muon's line falls far below the others at the end. "
        "Right, all fall and level off, and Muon's line ends highest.",
    )


def tuning(contests: Mapping[str, Contest]) -> Figure:
    """The measure that chose, by step size, on the seeds that chose; one panel a contest."""
    fig, axes = canvas(n_columns=len(contests), height=3.6)
    data = {}
    for ax, (title, held) in zip(np.atleast_1d(axes), contests.items(), strict=True):
        for (name, tuned), marker in zip(held.tuning.items(), MARKERS, strict=False):
            scores = np.where(np.isfinite(tuned.scores), tuned.scores, np.nan)  # not drawn
            mean, ends = scores.mean(1), (scores.min(1), scores.max(1))
            (line,) = ax.plot(tuned.rates, mean, marker=marker, markersize=4, label=name)
            ax.vlines(tuned.rates, *ends, color=line.get_color(), alpha=0.5)
            ax.plot(tuned.rate, mean[tuned.chosen], marker, color=line.get_color(), markersize=9)
            data[title, name] = mean
        ax.set(xscale="log", yscale="log", xlabel="step size", title=title)
    lows = [np.nanmin(mean) for mean in data.values()]
    for ax in np.atleast_1d(axes):
        ax.set_ylim(min(lows) / 6, 3)
    first = np.atleast_1d(axes)[0]
    first.set_ylabel(next(iter(contests.values())).by)
    first.legend(loc="lower left", fontsize="small")
    return Figure(
        fig,
        data=data
        | {
            (title, "chosen"): {name: tuned.chosen for name, tuned in held.tuning.items()}
            for title, held in contests.items()
        },
        caption="Mean over the tuning seeds at every step size of the grid, with their range as a "
        "bar; the large marker is the step size chosen. Each optimizer has its own scale, "
        f"and on its own grid its loss varies by a factor of up to {_worst_to_best(data):.0f}: a "
        "comparison at one common step size would say nothing.",
        alt="Validation loss against step size, both axes logarithmic, four lines in each panel. "
        "Every line is a valley with a flat bottom. The valleys of SGD and momentum lie at larger "
        "step sizes than those of Adam and Muon, and their bottoms are of similar height.",
    )


def _worst_to_best(data):
    return max(np.nanmax(mean) / np.nanmin(mean) for mean in data.values())


def _floored(values):
    """Below a millionth a line would show rounding, so it ends."""
    return np.where(values < 1e-6, np.nan, values)
