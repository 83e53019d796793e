"""How people write numbers, kinds of models, precisions and devices. Chapter: training_cost.

Each function returns the value that is meant, or raises ValueError with a cure.
"""

import re
from numbers import Real

from dlcourse.compute import hardware

SUFFIXES = {"": 1, "k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12}
KINDS = {  # what a kind may be called
    "dense-decoder": ("decoder", "llm", "gpt", "language model", "causal-lm"),
    "moe-decoder": ("moe", "mixture of experts", "sparse-decoder"),
    "enc-dec": ("encoder-decoder", "seq2seq", "t5"),
    "encoder": ("bert", "masked-lm"),
    "vit": ("vision transformer",),
    "vit+text": ("clip", "image-text"),
    "cnn": ("convnet", "resnet", "convolutional"),
}
PRECISIONS = {
    "bf16": ("bfloat16",),
    "fp16": ("float16", "half", "amp", "mixed", "16-mixed"),
    "tf32": ("tensorfloat32",),
    "fp32": ("float32", "single", "float"),
    "fp8": ("float8", "e4m3", "fp8-mixed"),
}


def number(value, name):
    """Return `value` as a positive float, or raise. Strings such as "7B" or "1.4e12" are read."""
    if isinstance(value, str):
        match = re.fullmatch(
            r"\s*([-+]?[\d,_]*\.?\d+(?:e[-+]?\d+)?)\s*([kmbgt]?)\s*", value.lower()
        )
        if match is None:
            raise ValueError(f'`{name}` must be a number, got "{value}". Write 7e9 or "7B".')
        value = float(re.sub("[,_]", "", match[1])) * SUFFIXES[match[2]]
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueError(f'`{name}` must be a number, got {value!r}. Write 7e9 or "7B".')
    if not 0 < value < 1e40:
        shown = str(value)[:20]  # a whole number may have any length
        raise ValueError(
            f"`{name}` must be above zero and finite, got {shown}. Leave it out if it is unknown."
        )
    return float(value)


def kind(value) -> str:
    """The key of KINDS that `value` is or is called."""
    return _named(value, KINDS, "kind")


def precision(value) -> str:
    """The key of PRECISIONS that `value` is or is called; rates with sparsity are refused."""
    text = str(value).lower()
    if "spars" in text:
        hardware.dense_dtype(text)
    return _named(text, PRECISIONS, "precision")


def device(name: str) -> hardware.Device:
    """The device of that name, of a name in it ("8x NVIDIA A100-SXM4"), or around it ("MI250").

    Raises ValueError if there is none.
    """
    try:
        return hardware.device(name)
    except ValueError:
        words = _plain(name)
        inside = [alias for alias in _aliases() if _plain(alias) in words]
        around = [alias for alias in _aliases() if len(words) > 3 and words in _plain(alias)]
        if not inside + around:
            raise
        return hardware.device(max(inside, key=len) if inside else min(around, key=len))


def _aliases():
    """Names of devices that cannot be mistaken when they stand among other words."""
    names = [name for d in hardware.CATALOGUE.values() for name in (d.name, *d.aliases)]
    return [name for name in names if re.search("[a-zA-Z]", name)]


def _plain(name):
    return re.sub("[^a-z0-9]", "", name.lower())


def _named(value, names, what):
    wanted = str(value).lower().strip()
    for name, others in names.items():
        if wanted == name or wanted in others:
            return name
    raise ValueError(f"`{what}` {value!r} is not known. Known are {', '.join(names)}.")
