"""Figures of the chapter book/hardware.ipynb: each draws the package's records."""

from collections.abc import Sequence

import numpy as np

from dlcourse.compute.machines import hardware
from dlcourse.compute.machines.export_rules import (
    PERFORMANCE,
    performance_density,
    total_processing_performance,
)
from dlcourse.compute.machines.hardware import GB, TERA
from dlcourse.compute.machines.roofline import Machine, Operation, attainable
from dlcourse.compute.machines.throughput import Submissions
from dlcourse.compute.memory import activations, states
from dlcourse.drawing.style import DASHES, INK, PALETTE, Figure, canvas

ON_THE_LEFT = (" D", "H20", "L4", "V100")  # ends of labels that would cover another on the right


def roofline(names: Sequence[str], operations: Sequence[Operation], machine: Machine) -> Figure:
    """Roofs of devices in 16-bit numbers and of a machine, with the intensity of operations."""
    fig, ax = canvas(height=4.2)
    x = np.geomspace(0.05, 5_000, 81)
    roofs = {
        name: (device.peak("fp16"), device.bandwidth_bytes_per_second)
        for name, device in ((name, hardware.device(name)) for name in names)
    } | {machine.name: (machine.peak_flops, machine.bandwidth)}
    drawn = {"intensity": x, "ridges": np.array([peak / width for peak, width in roofs.values()])}
    for (name, (peak, width)), color, dash in zip(roofs.items(), PALETTE, DASHES, strict=False):
        drawn[name] = attainable(x, peak, width) / TERA
        ax.plot(x, drawn[name], color=color, linestyle=dash, label=name)
    low, high = min(d[0] for name, d in drawn.items() if name in roofs), 4_000
    for operation in operations:
        ax.axvline(operation.intensity, color=INK, linewidth=0.8, alpha=0.5)
        ax.text(operation.intensity * 1.08, low, operation.name, rotation=90, va="bottom")
    drawn["operations"] = np.array([operation.intensity for operation in operations])
    ax.set(xscale="log", yscale="log", ylim=(low * 0.7, high))
    ax.set(xlabel="operations a byte", ylabel="TFLOP/s that can be reached")
    ax.legend(loc="upper left", fontsize=9)
    ridge = drawn["ridges"][:-1]
    return Figure(
        fig,
        data=drawn,
        caption="Left of its corner a device waits for its memory, right of it the memory waits. "
        f"The corners of the accelerators lie between {ridge.min():.0f} and {ridge.max():.0f} "
        f"operations a byte, that of {machine.name} (double precision) at "
        f"{machine.ridge:.1f}. Each vertical line is an operation: only the product of two large "
        "matrices is right of every corner.",
        alt="Attainable operations a second against operations a byte, both axes logarithmic. "
        "Each device is a line that rises with slope one and then is flat. Vertical lines mark "
        "the sum of two vectors and a matrix times a vector far on the left, where all lines "
        "rise, and matrix products of growing size further right.",
    )


def resnet50(submissions: Submissions) -> Figure:
    """Images a second of each device beside those that its peak and its memory would suggest."""
    fig, ax = canvas(height=3.4)
    base = submissions.of("A100", 64)
    rows = [row for row in submissions.rows if row is not base] + [base]
    rows.sort(key=lambda row: row.images_per_second)
    y = np.arange(len(rows))
    rates = np.array([row.images_per_second for row in rows])
    devices = [hardware.device(row.device) for row in rows]
    scale = base.images_per_second
    peaks = np.array([d.peak(row.dtype) for d, row in zip(devices, rows, strict=True)])
    widths = np.array([d.bandwidth_bytes_per_second for d in devices])
    by_peak = scale * peaks / hardware.device(base.device).peak(base.dtype)
    by_width = scale * widths / hardware.device(base.device).bandwidth_bytes_per_second
    ax.barh(y, rates, color=PALETTE[0], alpha=0.5, label="measured")
    ax.plot(by_peak, y, "D", color=PALETTE[3], linestyle="none", label="in proportion to the peak")
    ax.plot(by_width, y, "o", color=PALETTE[1], linestyle="none", label="to the bandwidth")
    ax.set_yticks(y, [f"{row.n_devices} {row.device}" for row in rows])
    ax.set(xlabel="images a second on each device")
    ax.legend(loc="lower right", fontsize=9)
    new = submissions.of("H100", 64)
    gain = new.images_per_second / base.images_per_second
    last = rows.index(new)
    return Figure(
        fig,
        data={
            "names": [f"{row.n_devices} {row.device}" for row in rows],
            "measured": rates,
            "by peak": by_peak,
            "by bandwidth": by_width,
        },
        caption="ResNet-50 in MLPerf Training, from the first image to the accuracy asked for. On "
        f"64 devices the H100 is {gain:.2f} times as fast as the A100. Its bandwidth promises "
        f"{by_width[last] / scale:.2f} times, its peak {by_peak[last] / scale:.2f} times.",
        alt="Bars of images a second for seven submissions, from the V100 to the H100, each with "
        "a diamond where its peak would put it and a dot where its memory bandwidth would, both "
        "scaled from 64 A100. For the H100 the dot is close to the end of the bar and the diamond "
        "far beyond it.",
    )


def activation_memory(lengths: Sequence[int], n_params: int) -> Figure:
    """Bytes that training GPT-2 on one sequence holds, against the length of the sequence."""
    fig, ax = canvas(height=3.6)
    written_out = np.array([activations.gpt2(1, n, is_fused=False).n_bytes for n in lengths])
    fused = np.array([activations.gpt2(1, n).n_bytes for n in lengths])
    held = states.model_states(n_params, "adamw", "fp32").total
    lines = {"attention written out": written_out, "attention fused": fused}
    for (name, n_bytes), color, dash in zip(lines.items(), PALETTE, DASHES, strict=False):
        ax.plot(lengths, n_bytes / GB, color=color, linestyle=dash, label=f"activations, {name}")
    ax.axhline(held / GB, color=PALETTE[2], linestyle=":", label="weights, gradients, AdamW")
    ax.set(xscale="log", yscale="log", xlabel="tokens of the sequence", ylabel="GB")
    ax.set_xticks(lengths, [f"{n:,}" for n in lengths])
    ax.minorticks_off()
    ax.legend(loc="upper left", fontsize=9)
    growth = [np.log2(line[-1] / line[-2]) for line in lines.values()]
    return Figure(
        fig,
        data={"lengths": np.array(lengths), **lines, "states": held},
        caption=f"GPT-2 with {n_params / 1e6:.0f} million weights, one sequence, float32. When it "
        f"doubles for the last time, activations grow by {2 ** growth[0]:.1f} with attention "
        f"written out and by {2 ** growth[1]:.1f} with attention in one kernel. What does not "
        "depend on the data is the dotted line.",
        alt="Memory against sequence length, both axes logarithmic. A dotted horizontal line is "
        "the memory of weights, gradients and optimizer. A dashed line of activations rises with "
        "slope one and a solid one bends upward to slope two; both cross the dotted line.",
    )


def export_rules(names: Sequence[str]) -> Figure:
    """Where devices lie under the rule of 2022 (link) and under that of 2023 (density)."""
    fig, (left, right) = canvas(n_columns=2, height=4.0)
    devices = [hardware.device(name) for name in names]
    tpp = np.array([total_processing_performance(d) for d in devices])
    io = np.array([d.io_bytes_per_second / GB for d in devices])
    density = np.array([performance_density(d) for d in devices], dtype=float)
    _region(left, [PERFORMANCE, 60_000, 60_000, PERFORMANCE], [600, 600, 3_000, 3_000])
    _region(right, [4_800, 4_800, 1_600, 1_600, 60_000, 60_000], [1, 5.92, 5.92, 40, 40, 1])
    lighter = [2_400, 2_400, 1_600, 1_600, 4_800, 4_800], [1.6, 3.2, 3.2, 5.92, 5.92, 1.6]
    _region(right, *lighter, alpha=0.1)
    for ax, y, label in ((left, io, "GB/s in and out"), (right, density, "density")):
        for is_for_all, marker in ((True, "o"), (False, "s")):
            kept = np.array([(d.kind == "data center") == is_for_all for d in devices])
            ax.plot(tpp[kept], y[kept], marker, color=PALETTE[0], linestyle="none", markersize=4)
        for point, shared in _points(devices, tpp, y).items():
            is_left = shared[0].endswith(ON_THE_LEFT)
            place = {
                "xytext": (-5, -3) if is_left else (4, 4),
                "ha": "right" if is_left else "left",
            }
            at = {"textcoords": "offset points", "fontsize": 8, **place}
            ax.annotate(", ".join(shared), point, **at)
        ax.set(xscale="log", yscale="log", ylabel=label, xlim=(800, 60_000))
        ax.set(xlabel="total processing performance")
    left.set(title="October 2022", ylim=(20, 3_000))
    right.set(title="October 2023", ylim=(1, 40))
    return Figure(
        fig,
        data={"names": [d.name for d in devices], "tpp": tpp, "io": io, "density": density},
        caption="Shaded: a license is needed for China. In 2022 a chip stayed outside with a "
        "slower link, as A800 and H800 do; the rule of 2023 looks at the arithmetic itself and at "
        "how densely it is packed. The lighter region can be served after notice. Squares are not "
        f"made for data centers: the rule of 2023 means only those from {PERFORMANCE:,} on.",
        alt="Two plots of devices by total processing performance. Left against their link: the "
        "A100 and H100 lie in the shaded corner, A800 and H800 to its lower right outside of it. "
        "Right against performance density: A800, H800 and a card for games lie in the shaded "
        "region, the H20 just outside of it.",
    )


def _points(devices, x, y) -> dict[tuple[float, float], list[str]]:
    """Families of devices, such as "A100", at each point, in the order of x."""
    points = {}
    for device, px, py in sorted(zip(devices, x, y, strict=True), key=lambda row: row[1]):
        family = device.name.removeprefix("RTX ").split(" SXM")[0].split(" 80GB")[0]
        points.setdefault((px, py), []).append(family.removesuffix(" 16GB"))
    return points


def _region(ax, x, y, alpha=0.22):
    ax.fill(x, y, color=PALETTE[3], alpha=alpha, linewidth=0)
