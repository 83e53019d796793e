"""Figures of the chapter book/stochastic_gradients.ipynb: each draws the package's records."""

from collections.abc import Mapping

import numpy as np

from dlcourse.chapters.stochastic_gradients.descent import BatchSizes, StepSizes
from dlcourse.chapters.stochastic_gradients.noise import BatchNoise
from dlcourse.drawing.style import DASHES, INK, PALETTE, Figure, canvas


def batch_noise(noise: BatchNoise) -> Figure:
    """Mean squared error of the mini-batch gradient against the batch size, both ways to draw."""
    fig, ax = canvas(height=3.4)
    markers = {"with replacement": "o", "without": "s"}
    drawn = {}
    for (how, measured), color, dash in zip(noise.measured.items(), PALETTE, DASHES, strict=False):
        inside = noise.expected[how] > 0  # the whole data set without replacement: no noise at all
        sizes = noise.batch_sizes[inside]
        ax.plot(sizes, noise.expected[how][inside], color=color, linestyle=dash)
        ax.plot(sizes, measured[inside], markers[how], color=color, label=how, linestyle="none")
        drawn |= {f"{how}, sizes": sizes, f"{how}, measured": measured[inside]}
        drawn[f"{how}, expected"] = noise.expected[how][inside]
    ax.set(xscale="log", yscale="log", xlabel="batch size")
    ax.set_ylabel("mean square of the gradient's error")
    ax.legend(loc="lower left")
    return Figure(
        fig,
        data=drawn,
        caption="Points are measured over many draws, lines are the formulas. With replacement the "
        f"points lie on a line of slope {noise.slope:.3f}: the error falls as the batch "
        "grows. Without replacement it falls faster, and is gone when the batch is the whole data "
        "set.",
        alt="The mean squared error of a mini-batch gradient against the batch size, both axes "
        "logarithmic. Round points lie on a straight falling line. Square points follow it for "
        "small batches and bend down below it as the batch approaches the size of the data.",
    )


def step_sizes(runs: StepSizes) -> Figure:
    """Mean squared distance over the steps for constant and decaying steps, with their bounds."""
    fig, ax = canvas(height=3.6)
    n_steps = len(runs.squares["decaying"]) - 1
    k = np.unique(np.geomspace(1, n_steps, 120).round().astype(int))
    drawn = {"k": k}
    dashes = [dash for dash in DASHES if dash != DASHES[3]]  # dots are for the bounds
    for (name, squares), color, dash in zip(runs.squares.items(), PALETTE, dashes, strict=False):
        ax.plot(k, squares[k], color=color, linestyle=dash, label=name)
        ax.plot(k, runs.bounds[name][k], color=color, linestyle=":", linewidth=1.2)
        drawn |= {name: squares[k], f"{name}, bound": runs.bounds[name][k]}
    ax.plot([], [], color=INK, linestyle=":", label="bounds")
    ax.set(xscale="log", yscale="log", xlabel="steps k", ylabel="mean squared distance")
    ax.legend(loc="lower left")
    *constant, decaying = (squares[-1] for squares in runs.squares.values())
    return Figure(
        fig,
        data=drawn,
        caption="Thick lines are means over many runs, dotted ones the bounds of the theorems. "
        "Each constant step falls fast and then stays on its floor; a shorter step takes longer "
        f"to a lower floor. The lowest floor here is {min(constant):.3f}; decaying steps are at "
        f"{decaying:.3f} and still falling.",
        alt="Mean squared distance to the minimizer against the number of steps, both axes "
        "logarithmic. Three lines for constant steps fall and level off, each below its dotted "
        "bound, the shortest step latest and lowest. The line of the decaying step goes on "
        "falling in a straight line.",
    )


def orders(excess: Mapping[str, np.ndarray]) -> Figure:
    """Excess loss after each epoch, mean and range over runs, for each order of drawing."""
    fig, ax = canvas(height=3.4)
    drawn = {}
    for (name, runs), color, dash in zip(excess.items(), PALETTE, DASHES, strict=False):
        low, middle, high = np.quantile(runs, [0.1, 0.5, 0.9], axis=1)
        epochs = np.arange(len(runs))
        ax.fill_between(epochs, low, high, color=color, alpha=0.2, linewidth=0)
        ax.plot(epochs, middle, color=color, linestyle=dash, label=name)
        drawn[name] = np.stack([low, middle, high])
    ax.set(yscale="log", xlabel="epochs", ylabel="excess loss")
    ax.legend(loc="upper right")
    ends = {name: runs[-1].mean() for name, runs in excess.items()}
    best, worst = min(ends, key=ends.get), max(ends, key=ends.get)
    n_runs = excess[best].shape[1]
    return Figure(
        fig,
        data=drawn,
        caption=f"The same step and the same number of gradients; {n_runs} runs each, their median "
        f"and the range from one tenth to nine tenths. After the last epoch the mean excess is "
        f"{ends[best]:.1e} {best} and {ends[worst]:.1e} {worst}.",
        alt="Excess loss on a logarithmic axis against epochs. Both bands fall together in the "
        "first epochs. Then the band of drawing with replacement levels off, and the band of "
        f"shuffling levels off {ends[worst] / ends[best]:.0f} times lower.",
    )


def batch_sizes(trained: BatchSizes) -> Figure:
    """Training loss over the epochs for each batch size at its best step."""
    fig, ax = canvas(height=3.4)
    drawn = {}
    for (size, losses), color, dash in zip(trained.losses.items(), PALETTE, DASHES, strict=False):
        epochs = np.arange(losses.shape[1])
        ax.fill_between(epochs, losses.min(0), losses.max(0), color=color, alpha=0.2, linewidth=0)
        ax.plot(epochs, losses.mean(0), color=color, linestyle=dash, label=f"batch size {size:,}")
        drawn[f"batch size {size}"] = losses
    ax.set(yscale="log", xlabel="epochs", ylabel="loss on all rows")
    ax.legend(loc="lower left")
    sizes, ends = list(trained.losses), [x[:, -1].mean() for x in trained.losses.values()]
    return Figure(
        fig,
        data=drawn,
        caption="Handwritten digits, every batch size with the step of its grid that was best "
        "on other seeds; mean and range over seeds. An epoch costs the same arithmetic for all. At "
        f"the end the loss is {ends[0]:.3f} with batches of {sizes[0]:,}, and {ends[-1]:.3f} with "
        f"all {sizes[-1]:,} rows in each step.",
        alt="Training loss on a logarithmic axis against epochs, one line a batch size with a band "
        "for the range of the seeds. The smaller the batch, the lower the line ends. That of all "
        "rows comes down least and has no band; the bands of the others are wide and overlap.",
    )
