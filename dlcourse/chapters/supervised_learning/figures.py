"""Figures of the chapter book/supervised_learning.ipynb: each draws records made by the package."""

from dlcourse.chapters.supervised_learning.families import Fits
from dlcourse.chapters.supervised_learning.newsvendor import Orders
from dlcourse.chapters.supervised_learning.optimism import NoiseFeatures
from dlcourse.datasets import DemandData
from dlcourse.drawing.style import DASHES, INK, PALETTE, Figure, canvas

N_POINTS = 120  # of the data that a panel shows: enough to see the noise


def families(fits: Fits) -> Figure:
    """The fitted curves of each family, at the smallest and at the largest sample size."""
    fig, axes = canvas(n_columns=2, height=3.6)
    x, data = fits.x, fits.data
    shown = {name: curves for name, curves in fits.curves.items() if name != "constant"}
    for ax, at in zip(axes, (0, -1), strict=True):
        n = fits.sizes[at]
        ax.plot(data.x[:n][:N_POINTS], data.y[:n][:N_POINTS], ".", color=INK, alpha=0.35)
        ax.plot(x, fits.truth, color=INK, linewidth=0.9, label="truth")
        for (name, curves), color, dash in zip(shown.items(), PALETTE, DASHES[1:], strict=False):
            ax.plot(x, curves[at], color=color, linestyle=dash, linewidth=1.8, label=name)
        ax.set(title=f"n = {n:,}", xlabel="advertising", ylim=(-0.8, 1.9))
    axes[0].set_ylabel("sales")
    axes[1].tick_params(labelleft=False)
    axes[1].legend(loc="upper left", fontsize="small")
    few, many = (fits.best(size) for size in (fits.sizes[0], fits.sizes[-1]))
    return Figure(
        fig,
        data={"x": x, "truth": fits.truth} | shown,
        caption=f"One loss and one data set; only the family changes. With {fits.sizes[0]:,} "
        f"observations the smallest risk is that of the {few}, with {fits.sizes[-1]:,} it is that "
        f"of the {many}. Flexible families bend to the points they were given, which is worth "
        "little until there are many.",
        alt="Two panels of sales against advertising with points, the true S-shaped curve and the "
        "curves of three families. Left, few points: the line is crude, the polynomial leaves the "
        "panel between the points, the network bends toward single points. Right, many points: "
        "polynomial and network lie on the true curve, the line cuts through it.",
    )


def optimism(fits: NoiseFeatures) -> Figure:
    """Training, corrected and held-out error while features without meaning are added."""
    fig, ax = canvas(height=3.4)
    lines = {
        "held out": fits.held_out,
        "training, corrected": fits.corrected,
        "training": fits.training,
    }
    for (name, errors), dash in zip(lines.items(), DASHES, strict=False):
        ax.plot(fits.p, errors, linestyle=dash, linewidth=1.8, label=name)
    ax.axhline(1, color=INK, linewidth=0.8)
    ax.annotate("predicting the mean", (fits.p[0], 1), (0, 4), textcoords="offset points")
    ax.set(xlabel="features, all but the first few pure noise", ylim=(0, 2))
    ax.set_ylabel("mean squared error / variance of y")
    ax.legend(loc="upper center")
    return Figure(
        fig,
        data={"features": fits.p} | lines,
        caption=f"Least squares on {fits.n} rows. From {fits.p[0]} features to {fits.p[-1]} the "
        f"training error falls from {fits.training[0]:.2f} to {fits.training[-1]:.2f}, although "
        f"every added feature is a column of random numbers. The held-out error rises from "
        f"{fits.held_out[0]:.2f} to {fits.held_out[-1]:.2f}: in the end worse than predicting the "
        "mean.",
        alt="Mean squared error against the number of features. The training error falls in a "
        "straight line. The corrected training error rises gently. The held-out error starts with "
        "them and climbs ever more steeply, past the level of predicting the mean.",
    )


def orders(data: DemandData, rules: Orders) -> Figure:
    """Demand against its feature, and the orders of three rules."""
    fig, ax = canvas(height=3.4)
    ax.plot(data.x[:N_POINTS], data.y[:N_POINTS], ".", color=INK, alpha=0.35)
    shown = {name: order for name, order in rules.orders.items() if "days" not in name}
    for (name, order), dash in zip(shown.items(), DASHES, strict=False):
        ax.plot(rules.x, order, linestyle=dash, linewidth=1.8, label=name)
    tallest = max(order.max() for order in shown.values())
    ax.set(xlabel="what is known the day before", ylabel="units", ylim=(0, 1.15 * tallest))
    ax.legend(loc="upper left")
    excess = rules.excess_usd
    return Figure(
        fig,
        data={"x": rules.x} | shown,
        caption="Demand, and what each rule orders. The predicted mean runs out too often; a "
        "constant safety stock is too large on quiet days and too small on busy ones. Against the "
        f"best rule they lose {excess['predicted mean']:.2f} and "
        f"{excess['predicted mean + safety stock']:.2f} dollars a day, the smallest empirical "
        f"risk {excess['smallest empirical risk']:.2f}.",
        alt="Scattered daily demand that grows and spreads with the feature. Four rising curves: "
        "the predicted mean lies lowest, the mean plus safety stock runs parallel above it, the "
        "rule of smallest empirical risk fans out and stays close to the true quantile.",
    )
