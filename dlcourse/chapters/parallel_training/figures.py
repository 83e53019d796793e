"""Figures of the chapter book/parallel_training.ipynb: bytes are counted, times follow the laws."""

import numpy as np

from dlcourse.chapters.parallel_training.data_parallel import Comparison
from dlcourse.drawing.style import DASHES, INK, PALETTE, Figure, canvas
from dlcourse.parallel import costs, rings
from dlcourse.parallel.scaling import Scaling


def drift(runs: Comparison) -> Figure:
    """Distance of the runs that are wrong from one process, over the steps."""
    fig, ax = canvas(height=3.2)
    wrong = [name for name in runs.replicas if not runs.agrees(name)]
    drawn = {}
    for name, color, dash in zip(wrong, PALETTE, DASHES, strict=False):
        distances = runs.distances(name)[1:]
        steps = np.arange(1, len(distances) + 1)
        ax.plot(steps, distances, color=color, linestyle=dash, label=name)
        drawn |= {"steps": steps, name: distances}
    ax.set(yscale="log", xlabel="steps", ylabel="largest difference of a parameter")
    ax.legend(loc="lower right")
    n_right = len(runs.replicas) - len(wrong)
    return Figure(
        fig,
        data=drawn,
        caption="How far the parameters are from those of one process. The three mistakes are off "
        "from the first step on and none of them raises an error. The other "
        f"{n_right} runs are not drawn: they differ by rounding errors only.",
        alt="The largest difference of a parameter from the run in one process, on a logarithmic "
        "axis, against the number of steps. Three lines, one for each mistake, start far above "
        "rounding errors and stay there.",
    )


def all_reduce(link: costs.Link, n_workers: int) -> Figure:
    """Left: bytes counted at the busiest worker; right: time by size, from the laws."""
    fig, (left, right) = canvas(n_columns=2, height=3.3)
    counts, n_bytes = 2 ** np.arange(1, 6), np.geomspace(1e2, 1e8, 60)
    laws = {"ring": costs.ring_seconds, "star": costs.star_seconds}
    laws["recursive doubling"] = costs.doubling_seconds
    drawn = {"workers": counts, "bytes": n_bytes}
    styles = zip(rings.PLANS.items(), PALETTE, DASHES, "os^", strict=False)
    for (name, plan), color, dash, marker in styles:
        vectors = [np.ones((size, 32)) for size in counts]
        sent = [max(rings.simulate(v, plan).bytes_sent) / v[0].nbytes for v in vectors]
        left.plot(counts, sent, marker, color=color, linestyle=dash, label=name)
        seconds = laws[name](n_bytes, n_workers, link)
        right.plot(n_bytes, seconds, color=color, linestyle=dash, label=name)
        drawn |= {f"{name}, sent": np.array(sent), f"{name}, seconds": seconds}
    left.axhline(2, color=INK, linewidth=0.8, linestyle=":")
    left.set(xscale="log", yscale="log", xlabel="workers")
    left.set_xticks(counts, [str(size) for size in counts])
    left.set_yticks([1, 2, 4, 8, 16, 32], ["1", "2", "4", "8", "16", "32"])
    left.minorticks_off()
    left.set_ylabel("vectors sent by the busiest")
    right.set(xscale="log", yscale="log", xlabel="bytes of the vector", ylabel="seconds")
    right.legend(loc="upper left")
    crossing = costs.crossing_bytes(n_workers, link)
    return Figure(
        fig,
        data=drawn,
        caption=f"Left, counted: the ring never sends more than two vectors (dotted), whatever the "
        f"number of workers; the center of the star sends one for each of the others. Right, "
        f"by the laws, for {n_workers} workers, a latency of {1e6 * link.latency_seconds:.0f} µs "
        f"and {1e-9 / link.seconds_per_byte:.0f} GB a second: below {crossing / 1e6:.1f} MB few "
        "messages win, above it few bytes do.",
        alt="Two panels with logarithmic axes. Left, vectors sent by the busiest worker against "
        "the number of workers: the line of the ring levels off below two, recursive doubling "
        "rises slowly, the star in proportion. Right, seconds against bytes: all lines are flat "
        "at first and then rise; recursive doubling is lowest for small vectors and the ring for "
        "large ones.",
    )


def efficiency(scaling: Scaling) -> Figure:
    """Speed-up as a share of the ideal, against the number of workers, in each setting."""
    fig, ax = canvas(height=3.4)
    counts, drawn = scaling.n_workers, {"workers": scaling.n_workers}
    styles = zip(scaling.speed_ups.items(), PALETTE, DASHES, "os^D", strict=False)
    for (name, values), color, dash, marker in styles:
        drawn[name] = values / counts
        ax.plot(counts, drawn[name], marker, markersize=4, color=color, linestyle=dash, label=name)
    ax.set(xscale="log", ylim=(0, 1.05), xlabel="workers", ylabel="share of the ideal speed-up")
    ax.set_xticks(counts, [f"{size:,}" for size in counts])
    ax.minorticks_off()
    ax.legend(loc="lower left")
    strong, most = scaling.speed_ups["strong"], counts[-1]
    ends = {name: f"{values[-1] / most:.0%}" for name, values in scaling.speed_ups.items()}
    return Figure(
        fig,
        data=drawn,
        caption="How much of a P-fold speed-up P workers give. Strong scaling, a fixed batch for "
        f"all, loses ever more; its speed-up is largest with {counts[strong.argmax()]:,} of these "
        f"numbers of workers, {strong.max():.0f}. Weak scaling, a fixed batch for each, still has "
        f"{ends['weak']} with {most:,}; with fewer exchanges it is {ends['weak, 4 accumulated']}, "
        f"with hidden ones {ends['weak, overlapped']}.",
        alt="Share of the ideal speed-up against the number of workers on a logarithmic axis. The "
        "line of strong scaling starts at one and falls to nearly zero. The three lines of weak "
        "scaling start lower or equal, stay level for long and fall late; the one with exchanges "
        "hidden stays at one longest.",
    )
