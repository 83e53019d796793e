"""Figures of the page book/theorems.ipynb: each draws what an examination of the theorems found."""

from collections.abc import Mapping

import numpy as np

from dlcourse.convergence import heavy_ball
from dlcourse.convergence.statements import STATEMENTS, Refutations, Report
from dlcourse.drawing.style import DASHES, INK, PALETTE, Figure, canvas
from dlcourse.optim import Descent

CONVEX = ("thm-gd-stationary", "thm-gd-convex", "thm-nesterov-convex")
STRONG = ("thm-gd-linear", "thm-nesterov-strong")
CEILING = 1e6  # of a value over its bound: above it a line leaves the figure


def shares(report: Report) -> Figure:
    """How much of each bound random problems, the worst function and PEPit reach."""
    examined = list(report.examined.values())[::-1]
    rows = np.arange(len(examined))
    fig, ax = canvas(height=0.36 * len(examined) + 1.0)
    random = [one.bench.shares[:, one.nearest[-1]] for one in examined]
    for row, drawn in zip(rows, random, strict=True):
        ax.plot(drawn, np.full(len(drawn), row), "|", color=PALETTE[0], markersize=9)
    worst = np.array([one.worst_shares[-1] for one in examined])
    by_pep = np.array([one.pep_shares[-1] for one in examined])
    ax.plot(worst, rows, "s", color=PALETTE[3], markersize=5)
    ax.plot(by_pep, rows, "o", color=INK, markersize=10, fillstyle="none")
    ax.plot([], [], "|", color=PALETTE[0], label="random problems")
    ax.plot([], [], "s", color=PALETTE[3], markersize=5, label="worst function")
    ax.plot([], [], "o", color=INK, fillstyle="none", label="PEPit")
    ax.axvline(1, color=INK, linewidth=0.8)
    ax.set(xlabel="share of the bound", xlim=(-0.03, 1.06), ylim=(-0.7, len(rows) - 0.3))
    ax.set_yticks(rows, [f"{one.statement.name}, {one.statement.at_last}" for one in examined])
    ax.legend(loc="upper center", bbox_to_anchor=(0.3, -0.1), ncols=3, frameon=False)
    n_exact = int((worst > 1 - 1e-6).sum())
    return Figure(
        fig,
        data={"random": np.stack(random), "worst": worst, "pep": by_pep},
        caption=f"One row a statement. Bars: {len(random[0])} random problems. The ring, PEPit's "
        "largest value over all functions, lies around the square of our worst function in every "
        f"row. In {n_exact} of {len(rows)} rows both stand at 1: that bound cannot be improved.",
        alt="A dot plot with one row for each convergence statement and the share of the bound, "
        "from zero to one, across. Short bars of random problems spread below one. A square with "
        "a ring around it marks the worst case, in most rows at one, in the others to the left.",
    )


def slack(report: Report) -> Figure:
    """The share of its bound that the worst function reaches, step by step, with PEPit's dots."""
    n_steps = 16
    k = np.arange(1, n_steps + 1)
    fig, panels = canvas(n_columns=2, height=3.4)
    data = {}
    for ax, labels in zip(panels, (CONVEX, STRONG), strict=True):
        for label, color, dash in zip(labels, PALETTE, DASHES, strict=False):
            statement, examined = STATEMENTS[label], report[label]
            data[label] = statement.worst_case(k).shares[0]
            data[f"{label} by PEPit"] = examined.pep_shares
            ax.plot(k, data[label], color=color, linestyle=dash, label=statement.name)
            ax.plot(statement.places, examined.pep_shares, "o", color=color, markersize=6)
        ax.set(xlabel="steps k", ylim=(0, 1.25 if labels is STRONG else 1.05))
        ax.legend(fontsize="small", loc="upper right" if labels is STRONG else "lower right")
    panels[0].set(ylabel="worst case / bound", title="Convex or not")
    panels[1].set(title="Strongly convex")
    norms, half, towards_one = (data[label][-1] for label in CONVEX)
    return Figure(
        fig,
        data=data | {"k": k},
        caption="Lines: the worst function run for k steps. Dots: PEPit. After "
        f"{n_steps} steps the worst convex function leaves {half:.2f} of what the bound of "
        f"gradient descent allows and {towards_one:.2f} of what Nesterov's allows. Under strong "
        "convexity both bounds have too slow a rate, so the share falls and falls.",
        alt="Two panels of the worst case over the bound against the number of steps. Left: the "
        "line for gradient descent rises from a third towards a half, the one for Nesterov rises "
        f"from a third towards one, the one for gradient norms falls from one to {norms:.1f}. "
        "Right: two lines fall towards zero. Dots by PEPit lie on all lines.",
    )


def dropped_hypotheses(found: Refutations) -> Figure:
    """Every run without a hypothesis, as its value over the bound, for bounds above 0."""
    topics = {"Gradient descent": ("gd",), "Momentum": ("hb", "nesterov"), "SGD": ("sgd",)}
    fig, panels = canvas(n_columns=len(topics), height=3.4)
    data = {}
    for ax, (title, prefixes) in zip(panels, topics.items(), strict=True):
        runs = [
            (f"{label}: {missing}", run)
            for (label, missing), (_, run) in found.runs.items()
            if label.split("-")[1] in prefixes and (run.bound > 0).all()
        ]
        for i, (name, run) in enumerate(runs):
            data[name] = run.values / run.bound
            style = {"color": PALETTE[i % len(PALETTE)], "linestyle": DASHES[i % len(DASHES)]}
            n_steps = len(run.values)
            shown = np.unique(np.linspace(1, n_steps, 40).astype(int))
            drawn = np.minimum(data[name][shown - 1], CEILING)
            ax.plot(shown / n_steps, drawn, linewidth=1.2, **style)
            ax.plot(1, drawn[-1], "o", color=style["color"], markersize=4)
        ax.axhline(1, color=INK, linewidth=1.2)
        ax.set(yscale="log", ylim=(1e-2, 2 * CEILING), xlabel="part of the run", title=title)
    panels[0].set_ylabel("value / bound")
    return Figure(
        fig,
        data=data,
        caption=f"{len(data)} runs, each without one hypothesis of one statement. A line that ends "
        "above the horizontal line at 1 has broken its bound: all of them do.",
        alt="Three panels, gradient descent, momentum and SGD, of the value divided by the bound "
        "on a logarithmic axis over the length of the run. Many lines start near or below one "
        "and all end above the horizontal line at one, several by a factor of a million.",
    )


def beyond_quadratics(path: Descent, worst: Mapping[int, float]) -> Figure:
    """Left: heavy ball in a circle. Right: PEPit's worst distances against those of quadratics."""
    fig, (left, right) = canvas(n_columns=2, height=3.4)
    shown = np.arange(min(len(path.points), 31))
    x = path.points[shown, 0]
    left.plot(shown, x, "-", color=PALETTE[0], linewidth=0.8)
    left.plot(shown, x, "o", color=PALETTE[0], markersize=4)
    left.axhline(0, color=INK, linewidth=0.8)
    left.set(xlabel="steps k", ylabel="x, whose minimizer is 0", title="Three quadratic pieces")
    k = np.arange(1, max(worst) + 1)
    bound = heavy_ball.distance_bound(1.0, heavy_ball.optimal_rate(1.0, 25.0), k)
    right.plot(k, bound, color=PALETTE[3], linestyle="--", label="all quadratics")
    right.plot(list(worst), list(worst.values()), "o-", color=PALETTE[0], label="all functions")
    right.set(xlabel="steps k", ylabel="worst distance / first", ylim=(0, None), title="κ = 25")
    right.legend()
    last, cycle = max(worst), sorted(x[-3:])
    return Figure(
        fig,
        data={"x": path.points[:, 0], "k": k, "quadratics": bound}
        | {"functions": np.array(list(worst.values()))},
        caption="Heavy ball with the step and the momentum that are best for quadratics with "
        "curvatures from 1 to 25. Left: on a function made of three such quadratics it goes round "
        f"through three points. Right: after {last} steps the worst quadratic leaves "
        f"{bound[-1]:.2g} times the first distance, the worst function {worst[last]:.2g} times.",
        alt="Left: the position against the number of steps soon repeats itself every three steps, "
        f"at {cycle[0]:.1f}, {cycle[1]:.1f} and {cycle[2]:.1f}, and never comes to the minimizer "
        "at zero. Right: the "
        "worst distance over all quadratics rises a little and falls; over all smooth strongly "
        "convex functions it keeps rising.",
    )
