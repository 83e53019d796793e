"""Records of training runs as people write them, read into one form.

A record is a dict with the fields of data/training_runs.json. Any of them may be missing, null, or
a string such as "7B". What had to be assumed is said in `assumptions`, what looks wrong in
`warnings`.
"""

import json
import math
import re
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

from dlcourse.compute.machines import hardware
from dlcourse.compute.models.conventions import MULTIPLY_ADDS, as_flops
from dlcourse.compute.runs import spellings
from dlcourse.compute.runs.spellings import number

DEFAULT_DEVICE = "H100 SXM"  # what a record without a known accelerator is taken to run on
IMAGENET = 1_281_167  # images of one epoch
UNITS = "tokens, words, bytes, characters, sequences, images, pairs or epochs"
_STEMS = "token|word|byte|char|sequence|sentence|sample|example|image|pair"
KNOWN_UNIT = rf"(?!.*illion).*\b(?:sub-?)?(?:{_STEMS})"
HINTS = (  # what the name of a model, between borders of words, says of its kind
    (r"(?<![a-z])(?:open|meta|eva)?clip(?![a-z])", "vit+text"),
    (r"(?<![a-z])vit(?![a-z])", "vit"),
    (r"berta?(?![a-z])", "encoder"),
    (r"(?<![a-z0-9])(?:flan|by|code|long|m|u)?t5(?![0-9])", "enc-dec"),
    (r"(?<![a-z])moe(?![a-z])|(?<![a-z0-9])(?:\d+x|a)\d+(?:\.\d+)?b(?![a-z0-9])", "moe-decoder"),
)
SIZE = r"(\d+(?:\.\d+)?)\s*([bm])\b"
NARROWER = {"fp8": "bf16", "bf16": "fp16", "fp16": "fp32", "tf32": "fp32"}  # if a chip lacks one


@dataclass(frozen=True)
class Run:
    """One training run, in the units of this room: parameters, FLOP/s, hours; None if unknown."""

    id: str
    model: str
    family: str
    kind: str
    params: float | None  # active ones: what a token passes
    params_total: float | None
    data_unit: str
    data_count: float | None
    sequence_length: float | None
    published_flops: float | None
    published_basis: str
    counted_flops: float | None  # by someone who counted operations, if the record says so
    precision: str
    device: hardware.Device
    peak_flops: float  # of one chip in `precision`, dense
    n_chips: float | None
    chip_hours: float | None
    batch_tokens: float | None
    is_independent: bool
    is_doubtful: bool
    guesses: tuple[str, ...]  # fields without which a claim cannot be judged
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass
class _Notes:
    """Where reading leaves its remarks. A strict reader raises instead of warning."""

    is_strict: bool
    guesses: list = field(default_factory=list)
    assumptions: list = field(default_factory=list)
    warnings: list = field(default_factory=list)

    def assume(self, text):
        self.assumptions.append(text)

    def guess(self, name, text):
        self.guesses.append(name)
        self.assume(text)

    def warn(self, text):
        if self.is_strict:
            raise ValueError(text)
        self.warnings.append(text)


def read(record, is_strict=False):
    """The `Run` of a record. A strict reading raises on a wrong value; else it becomes a warning.

    Raises `ValueError` for such a value, and for a record that is no JSON object.

    >>> run = read({"model": "LLaMA-7B", "params_total": "6.7B", "data_count": 1e12})
    >>> run.kind, run.device.name, run.params
    ('dense-decoder', 'H100 SXM', 6700000000.0)
    """
    if not isinstance(record, dict):
        raise ValueError(f"A record must be a JSON object, got {type(record).__name__}.")
    notes = _Notes(is_strict)
    device, is_named = _device(record, notes)
    precision = _precision(record, device, notes)
    kind = _kind(record, notes)
    params, total = _parameters(record, kind, notes)
    data_unit, data_count = _data(record, kind, notes)
    n_chips = _optional(record, "n_accel", notes)
    return Run(
        id=str(record.get("id") or record.get("model") or "run"),
        model=str(record.get("model") or ""),
        family=str(record.get("family") or ""),
        kind=kind,
        params=params,
        params_total=total,
        data_unit=data_unit,
        data_count=data_count,
        sequence_length=_optional(record, "seq_len", notes),
        published_flops=_published(record, notes),
        published_basis=str(record.get("published_flops_basis") or "").lower(),
        counted_flops=_optional(record, "flops_exact_op_count", notes),
        precision=precision,
        device=device,
        peak_flops=_peak(record, device, precision, is_named, notes),
        n_chips=n_chips,
        chip_hours=_chip_hours(record, n_chips, notes),
        batch_tokens=_optional(record, "batch_tokens", notes),
        is_independent=bool(record.get("independent", 1)),
        is_doubtful=bool(record.get("doubtful", 0)),
        guesses=tuple(notes.guesses),
        assumptions=tuple(notes.assumptions),
        warnings=tuple(notes.warnings),
    )


@cache
def published():
    """The runs of data/training_runs.json, each from the document that its row names."""
    path = resources.files("dlcourse.compute") / "data" / "training_runs.json"
    return tuple(read(row) for row in json.loads(path.read_text(encoding="utf-8")))


def independent():
    """Those published runs whose hours, operations and chips were stated apart from each other."""
    return tuple(run for run in published() if run.is_independent)


def _said(record, name, meaning, notes):
    """What the field means, or None: with a remark where it means nothing."""
    if record.get(name) in (None, ""):
        return None
    try:
        return meaning(record[name])
    except ValueError as error:
        notes.warn(str(error))
        return None


def _optional(record, name, notes):
    return _said(record, name, lambda value: number(value, name), notes)


def _kind(record, notes):
    kind = _said(record, "kind", spellings.kind, notes)
    if kind is not None:
        return kind
    text = f"{record.get('model', '')} {record.get('data_unit', '')}".lower()
    guess = next((kind for hint, kind in HINTS if re.search(hint, text)), "dense-decoder")
    if guess == "dense-decoder" and re.search("image|resnet|vgg|alexnet", text):
        guess = "cnn"
    total, active = record.get("params_total"), record.get("params_active")
    if guess == "dense-decoder" and total and active and total != active:
        guess = "moe-decoder"
    notes.assume(f"kind of model not given: {guess}")
    return guess


def _device(record, notes):
    """The device, and whether the record names it; else a stand-in with a peak like the given."""
    name = record.get("accelerator")
    if name:
        try:
            found = spellings.device(str(name))
            if not spellings.is_device(str(name)):
                notes.assume(f"accelerator {name} read as {found.name}")
            return found, True
        except ValueError as error:
            notes.warn(f"{error} Write one of them, or add `peak_dense_tflops`.")
    found, peak = hardware.device(DEFAULT_DEVICE), record.get("peak_dense_tflops")
    if isinstance(peak, int | float) and 0 < peak < 1e6:
        able = [d for d in hardware.CATALOGUE.values() if d.has("bf16")]
        found = min(able, key=lambda d: abs(math.log(d.peak("bf16") / (peak * 1e12))))
    notes.guess("accelerator", f"accelerator: {found.name}")
    return found, False


def _precision(record, device, notes):
    precision = _said(record, "precision", spellings.precision, notes)
    if precision is None:
        precision = next(p for p in ("bf16", "fp16", "fp32") if device.has(p))
        notes.assume(f"precision: {precision}")
    while not device.has(precision):
        narrower = NARROWER[precision]
        notes.warn(f"{device.name} has no {precision}. Give {narrower}, whose rate is used.")
        precision = narrower
    return precision


def _peak(record, device, precision, is_named, notes):
    given = _optional(record, "peak_dense_tflops", notes)
    if given and not is_named:
        return given * 1e12
    if not is_named:
        notes.guesses.append("peak_dense_tflops")
    if given:
        try:
            device.check_rate(given * 1e12, precision)
        except ValueError as error:
            notes.warn(str(error))
    return device.peak(precision)


def _parameters(record, kind, notes):
    total = _optional(record, "params_total", notes)
    active = _optional(record, "params_active", notes)
    if active and total and active > total:
        notes.warn(f"`params_active` {active:g} exceeds `params_total` {total:g}. Exchange them.")
        active, total = total, active
    if active is None:
        total, active = _named_sizes(record, total, notes)
    if active is None and total and kind == "moe-decoder":
        active = total / 8
        text = f"active parameters of a mixture of experts: an eighth of {total:g}"
        notes.guess("params_active", text)
    return active or total, total or active


def _named_sizes(record, total, notes):
    """Total and active parameters, read from a name such as "7B", "30B-A3B" or "8x7B"."""
    name = str(record.get("model") or "").lower()
    named = re.search(rf"(?<![a-z0-9])a({SIZE})", name)
    active = number(named[1], "params_active") if named else None
    experts = re.search(rf"(?<![a-z0-9])(\d+)x({SIZE})", name)
    match = re.search(SIZE, name.replace(named[0], "") if named else name)
    if total is None and experts:
        each = number(experts[2], "params_total")
        total, active = int(experts[1]) * each, min(2, int(experts[1])) * each
        text = f"{experts[1]} experts of {each:g} parameters that share none, two of them active"
        notes.guess("params_active", text)
    elif total is None and match:
        total = number(match[0], "params_total")
        notes.assume(f"parameters read from the name of the model: {total:g}")
    if named:
        notes.assume(f"active parameters read from the name of the model: {active:g}")
    return total, active if active is None or total is None else min(active, total)


def _data(record, kind, notes):
    """The unit of the data and their count, None where the unit means nothing."""
    unit, count = str(record.get("data_unit") or "").lower(), _count(record, notes)
    if unit.startswith("epoch") and kind == "cnn":
        notes.assume(f"an epoch: the {IMAGENET:,} images of ImageNet")
        return "images", count and count * IMAGENET
    if unit and not re.match(KNOWN_UNIT, unit, re.DOTALL):
        why = ", and epochs are known of convolutional networks only" if "epoch" in unit else ""
        notes.warn(f"`data_unit` must be {UNITS}, got {unit[:40]!r}{why}. Give the tokens.")
        return "", None
    return unit, count


def _count(record, notes):
    count, epochs = _optional(record, "data_count", notes), _optional(record, "epochs", notes)
    if count and epochs:
        notes.assume(f"{epochs:g} passes over {count:g} units of data")
        return count * epochs
    return count


def _published(record, notes):
    flops = _optional(record, "published_flops", notes)
    basis = str(record.get("published_flops_basis") or "").lower()
    unit = str(record.get("flops_unit") or "FLOPs")
    if re.search(r"\bmacs?\b|multiply-add", basis):
        unit = "MACs"
    if flops is None:
        return None
    try:
        return as_flops(flops, unit)
    except ValueError as error:
        notes.warn(str(error))
        return 2 * flops if unit.lower() in MULTIPLY_ADDS else None


def _chip_hours(record, n_chips, notes):
    hours = _optional(record, "wall_clock_h", notes)
    product = hours * n_chips if hours and n_chips else None
    stated = _optional(record, "chip_hours", notes)
    if stated and product and not 0.8 < stated / product < 1.25:
        notes.warn(f"`chip_hours` {stated:g} are not `wall_clock_h` times `n_accel`, {product:g}.")
    return stated or product
