"""Figures of the chapter book/training_cost.ipynb: each draws records made by the package."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.ticker import NullLocator
from scipy.special import ndtri

from dlcourse.compute.runs import budget, cost
from dlcourse.compute.runs.calibration import Z90, Errors
from dlcourse.compute.runs.run_flops import attention_share
from dlcourse.drawing.style import INK, PALETTE, Figure, canvas

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
SIZES = (1e8, 7e9, 4e11)  # parameters of a small, a usual and a very large decoder
FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)


def attention() -> Figure:
    """Share of a causal mask's attention in the FLOPs of the weights, over the context."""
    fig, ax = canvas(height=3.2)
    context = np.geomspace(256, 131_072, 120)
    data = {"context": context}
    for size in SIZES:
        data[f"{size:g}"] = 100 * attention_share(size, context)
        ax.plot(context, data[f"{size:g}"], label=f"{size:.0e} parameters".replace("e+", "e"))
    ax.axhline(100, color=INK, linewidth=0.8, linestyle=":")
    ax.set(xscale="log", yscale="log", xlabel="context, tokens", ylabel="attention, % of 6 N D")
    ax.legend(fontsize="small")
    equal = int(np.interp(100, data[f"{SIZES[0]:g}"], context))
    return Figure(
        fig,
        data=data,
        caption="What attention's own products add to the rule of six, for decoders of the usual "
        f"shape under a causal mask. It equals the rest (dotted) at a context of {equal:,} "
        f"tokens for the smallest model; the largest reaches "
        f"{data[f'{SIZES[-1]:g}'][-1]:.0f}% at the right end.",
        alt="Straight rising lines on two logarithmic axes, one a size of model, the smallest "
        "model's on top; a dotted horizontal line marks where they equal the rest.",
    )


def calibration(errors: Errors) -> Figure:
    """Actual over predicted hours of each run, its family left out, with the 90 % interval."""
    fig, (left, right) = canvas(n_columns=2, height=4.6)
    parts = errors.by_kind()
    low, row = [], 0
    for i, part in enumerate(parts):
        order = np.argsort(part.log_errors)
        actual, sd = -part.log_errors[order], part.log_sds[order]
        rows = row + np.arange(len(order))
        row += max(len(order), 3) + 1
        color, inside = PALETTE[i % len(PALETTE)], np.abs(actual) <= Z90 * sd
        left.hlines(rows, np.exp(-Z90 * sd), np.exp(Z90 * sd), color=color, alpha=0.5, linewidth=1)
        for mask, face in ((inside, color), (~inside, "none")):
            left.plot(
                np.exp(actual[mask]),
                rows[mask],
                MARKERS[i % len(MARKERS)],
                color=color,
                markerfacecolor=face,
                markersize=3.5,
            )
        low.append(float(np.mean(rows)))
    left.axvline(1, color=INK, linewidth=0.8)
    left.set(xscale="log", xlabel="actual / predicted hours", xlim=(0.2, 5), ylim=(row, -1))
    left.set_xticks(FACTORS, [f"{factor:g}" for factor in FACTORS])
    left.xaxis.set_minor_locator(NullLocator())
    left.set_yticks(low, [part.label for part in parts], fontsize="small")
    left.grid(axis="y", visible=False)
    nominal = np.linspace(0.05, 0.99, 48)
    observed = np.array([errors.coverage(_two_sided(level)) for level in nominal])
    right.plot(100 * nominal, 100 * observed, label="observed")
    right.plot([0, 100], [0, 100], color=INK, linewidth=0.8, linestyle=":", label="as promised")
    right.set(xlabel="promised, %", ylabel="runs inside, %", xlim=(0, 100), ylim=(0, 102))
    right.legend(loc="lower right", fontsize="small")
    outside = len(errors.names) - round(errors.coverage() * len(errors.names))
    return Figure(
        fig,
        data={
            "ratios": np.exp(-errors.log_errors),
            "sds": errors.log_sds,
            "nominal": nominal,
            "observed": observed,
        },
        caption=f"Left: the {len(errors.names)} runs, each predicted from all other families, with "
        f"its 90% interval; {outside} lie outside (hollow). Half of the predictions are within a "
        f"factor of {errors.factor():.2f}, nine in ten within {errors.factor(0.9):.2f}. Right: how "
        f"many runs the intervals hold, against how many they promise; of the 90% intervals "
        f"{100 * errors.coverage():.0f}% hold.",
        alt="Left: horizontal bars around one, grouped by kind of model, each with a marker for "
        "the actual hours; most markers lie on their bar. Right: a line that runs close to the "
        "diagonal from the lower left to the upper right corner.",
    )


def bases(
    chip_hours: Mapping[str, float], offers: Sequence[cost.Basis], printed: Mapping[str, tuple]
) -> Figure:
    """Money of two models' chip-hours on each basis, beside what was printed."""
    fig, ax = canvas(height=3.4)
    data, rows = {}, np.arange(len(offers))
    for i, (name, hours) in enumerate(chip_hours.items()):
        data[name] = np.array([cost.usd(hours, basis.usd_per_chip_hour) for basis in offers])
        ax.plot(data[name] / 1e6, rows, MARKERS[i], color=PALETTE[i], linestyle="none", label=name)
        low, high = (usd / 1e6 for usd in printed[name])
        ax.axvspan(low, max(high, 1.02 * low), color=PALETTE[i], alpha=0.25, linewidth=0)
    ax.set(xscale="log", xlabel="million dollars", ylim=(len(offers) - 0.5, -0.5))
    ax.set_yticks(rows, [_label(basis.price) for basis in offers], fontsize="small")
    ax.legend(fontsize="small", loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    first, second = data
    ratio = data[second] / data[first]
    return Figure(
        fig,
        data=data | {"usd_per_chip_hour": np.array([b.usd_per_chip_hour for b in offers])},
        caption=f"The hours of two models, all at one price an hour, for {len(offers)} prices. "
        f"On any one basis {second} costs {ratio[0]:.1f} times as much as {first}; from basis to "
        f"basis each of them moves by a factor of {data[first].max() / data[first].min():.1f}. "
        "Shaded: what the slide prints.",
        alt="Pairs of markers on a logarithmic axis of dollars, one pair for each offer of a "
        "cloud provider, always equally far apart; two shaded vertical bands mark the printed "
        "costs, and no pair lies in both.",
    )


def budgets(devices: Sequence[str]) -> Figure:
    """Parameters of the compute-optimal model that a budget trains, by device."""
    fig, ax = canvas(height=3.4)
    dollars = np.geomspace(100, 1e7, 11)
    data = {"dollars": dollars}
    for name in devices:
        data[name] = np.array([budget.plan(usd, name).params for usd in dollars])
        ax.plot(dollars, data[name], label=name)
    first = devices[0]
    for q, label in ((0.95, "low"), (0.05, "high")):
        data[label] = np.array([budget.plan(usd, first, q=q).params for usd in dollars])
    ax.fill_between(dollars, data["low"], data["high"], color=PALETTE[0], alpha=0.15, linewidth=0)
    ax.set(xscale="log", yscale="log", xlabel="dollars", ylabel="parameters")
    ax.legend(fontsize="small")
    times = data[first][-1] / data[first][0]
    return Figure(
        fig,
        data=data,
        caption="The largest model that a budget trains on twenty tokens a parameter, by device. "
        f"Shaded: 90% interval for {first}. A hundred thousand times the money buys "
        f"{times:,.0f} times the parameters: more than the root, because larger models use the "
        "chips better.",
        alt="Nearly parallel rising lines on two logarithmic axes, one a device, with a shaded "
        "band around the first.",
    )


def _label(price):
    seller = "" if price.provider == "none" else f"{price.provider}, "
    return f"{seller}{price.term}\n{price.as_of}"


def _two_sided(level):
    return float(ndtri(0.5 + level / 2))
