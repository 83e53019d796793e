"""Dividing a model's memory among devices: ZeRO and tensor parallelism.

N  devices that see different data     t  devices that divide each matrix
s  tokens a sequence    b  sequences   h  width    a  heads
"""

from math import ceil
from typing import NamedTuple

from dlcourse.compute.memory.states import States

STAGES = {
    0: "every device holds everything",
    1: "optimizer states and master weights are divided",
    2: "gradients too",
    3: "weights too: each layer is fetched when it is needed",
}
RECOMPUTED = ("nothing", "attention", "layers")


def zero(states: States, stage: int, n_devices: int) -> States:
    """Bytes of the model's states on each of `n_devices` under a ZeRO stage, 0 to 3.

    Each stage divides one role more among the devices; what does not divide is rounded up. Raises
    `ValueError` for another stage or a number of devices below 1.
    Reference: Rajbhandari, Rasley, Ruwase and He (2020), figure 1. Book: eq. `eq-parallel-zero`.

    >>> from dlcourse.compute.memory.states import model_states
    >>> [round(zero(model_states(7_500_000_000), stage, 64).total / 1e9, 1) for stage in STAGES]
    [120.0, 31.4, 16.6, 1.9]
    """
    if stage not in STAGES:
        raise ValueError(f"`stage` must be 0, 1, 2 or 3, got {stage!r}: {STAGES}.")
    _positive_int(n_devices, "n_devices")
    first_stage = States(weights=3, gradients=2, master=1, optimizer=1)
    return States(
        *(
            -(-n_bytes // n_devices) if stage >= first else n_bytes
            for n_bytes, first in zip(states, first_stage, strict=True)
        )
    )


def zero_traffic(n_params: int, stage: int) -> int:
    """Numbers that each device sends in a step, for many devices: 2 a weight, at stage 3 three.

    Gradients are summed in pieces (one a weight) and the updated weights gathered (one more). Stage
    3 gathers the weights twice, before the forward and before the backward pass. Raises
    `ValueError` for another stage.
    Reference: Rajbhandari, Rasley, Ruwase and He (2020), section 7.
    """
    if stage not in STAGES:
        raise ValueError(f"`stage` must be 0, 1, 2 or 3, got {stage!r}: {STAGES}.")
    return (3 if stage == 3 else 2) * n_params


def devices_needed(states: States, memory_bytes: float, stage: int = 3) -> int:
    """The least number of devices of `memory_bytes` that hold the states under a ZeRO stage.

    `memory_bytes` are what the examples of one device leave; no stage divides these. Raises
    ValueError where no number is enough, because a role that is not divided is too large.
    """
    whole = zero(states, stage, 10**15).total
    if whole > memory_bytes:
        raise ValueError(
            f"No number of devices is enough: at stage {stage} each holds "
            f"{whole / 1e9:.4g} GB of states and has room for "
            f"{max(memory_bytes, 0) / 1e9:.4g}. Use a higher stage, fewer "
            "examples at a time, or devices with more memory."
        )
    divided = states.total - whole
    n_devices = max(1, ceil(divided / max(memory_bytes - whole, 1)))
    while zero(states, stage, n_devices).total > memory_bytes:  # what does not divide is rounded up
        n_devices += 1
    return n_devices


class Layer(NamedTuple):
    """Sizes of a transformer layer whose inner width is 4 h, with the letters of the paper."""

    s: int
    b: int
    h: int
    a: int


def layer_activations(
    layer: Layer, t: int = 1, *, sequence_parallel: bool = False, recomputed: str = "nothing"
) -> float:
    """Bytes that one transformer layer keeps on each of `t` devices, in 16 bits with dropout.

    .. displayed:: eq-memory-layer-16

    Tensor parallelism divides what is inside attention and the inner layer, 24 of the 34 and the
    weights of attention; sequence parallelism divides the rest too. `recomputed` "attention" gives
    up the second term, "layers" keeps only each layer's input and runs it again. Raises
    `ValueError` for another word, and for sizes below 1.
    Reference: Korthikanti et al. (2023), table 2.

    >>> layer_activations(Layer(s=2048, b=1, h=12288, a=96)) / (2048 * 12288)
    114.0
    """
    for name, value in {**layer._asdict(), "t": t}.items():
        _positive_int(value, name)
    if recomputed not in RECOMPUTED:
        raise ValueError(f"`recomputed` must be one of {RECOMPUTED}, got {recomputed!r}.")
    s, b, h, a = layer
    if recomputed == "layers":
        return 2 * s * b * h
    around, inside = 10, 24 + (5 * a * s / h if recomputed == "nothing" else 0)
    return s * b * h * (around / (t if sequence_parallel else 1) + inside / t)


def _positive_int(value, name: str):
    if value != int(value) or value < 1:
        raise ValueError(f"`{name}` must be a whole number of at least 1, got {value!r}.")
