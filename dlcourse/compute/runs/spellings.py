"""How people write numbers, kinds of models, precisions and devices.

Each function returns the value that is meant, or raises ValueError with a cure.
"""

import re
from numbers import Real

from dlcourse.compute.machines import hardware

SUFFIXES = {"": 1, "k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12}
SUFFIXES |= {"thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12}
BRANDS = "nvidia|amd|google|cloud|instinct"
OTHER_CHIP = "ti|super|laptop|mobile|max-?q|ada"  # after the name of a chip it means another one
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
    """Return `value` as a positive float, or raise `ValueError`. Strings such as "7B" are read."""
    if isinstance(value, str):
        match = re.fullmatch(
            rf"\s*([-+]?[\d,_]*\.?\d+(?:e[-+]?\d+)?)\s*({'|'.join(SUFFIXES)})"
            r"\s*(?:tokens?|params?|parameters?)?\s*",
            value.lower(),
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
    """The device of that name, of a name among other words, or one letter short of it ("MI250").

    Names count between borders of words only: "RTX A4000" is no A40. Raises ValueError for none.
    """
    if re.search("spars|2:4", name.lower()):
        raise ValueError(
            f"The accelerator {name!r} asks for rates that count zeros as work. "
            "Training has dense rates: name the chip alone."
        )
    if is_device(name):
        return hardware.device(name)
    text = re.sub(r"\b\d+\s*[x×]\s*|(?<=\d)[x×]\d+\b|\b(?i:[dh]gx)", " ", name)
    inside = [alias for alias in _aliases() if _stands_in(alias, text)]
    if inside:
        return hardware.device(max(inside, key=lambda alias: len(_plain(alias))))
    return hardware.device(_one_letter_short(text) or name)


def is_device(name: str) -> bool:
    """Whether the catalogue has this very name or alias."""
    try:
        hardware.device(name)
    except ValueError:
        return False
    return True


def _aliases():
    """Names of devices that cannot be mistaken when they stand among other words."""
    names = [name for d in hardware.CATALOGUE.values() for name in (d.name, *d.aliases)]
    return [name for name in names if re.search("[a-zA-Z]", name)]


def _stands_in(alias, text):
    """Whether the words of a name, perhaps in the plural, stand in a text apart from others."""
    words = "[^a-zA-Z0-9]*".join(re.findall("[a-z]+|[0-9]+", alias.lower()))
    border = rf"(?![a-zA-Z0-9])(?!\W*(?i:{OTHER_CHIP})\b)"
    return re.search(rf"(?<![a-zA-Z0-9])(?i:{words})s?{border}", text) is not None


def _one_letter_short(text):
    """The one alias that a text is when a letter is added to its last digit, or None."""
    bare = re.sub(rf"\b(?i:{BRANDS})\b", " ", text)
    short = re.fullmatch(r".*[a-z].*\d", _plain(bare))
    found = [a for a in _aliases() if short and re.fullmatch(short[0] + "[a-z]", _plain(a))]
    return found[0] if len({hardware.device(alias).name for alias in found}) == 1 else None


def _plain(name):
    return re.sub("[^a-z0-9]", "", name.lower())


def _named(value, names, what):
    wanted = str(value).lower().strip()
    for name, others in names.items():
        if wanted == name or wanted in others:
            return name
    raise ValueError(f"`{what}` {value!r} is not known. Known are {', '.join(names)}.")
