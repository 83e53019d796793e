"""FLOPs of a whole training run from what its record says.

N  parameters that a token passes (active ones)    D  tokens of the run
s  tokens of a sequence                            d  width of the transformer

The rule of six: two operations a parameter and token forward, four backward. The products of
attention with itself come on top, a share s / (12 d) of 6 N D under a causal mask.
"""

import math
import re
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Real

from dlcourse.compute.models import architectures
from dlcourse.compute.runs.records import IMAGENET, Run

TOKENS_PER_PARAMETER = 20  # Hoffmann et al. (2022): the compute-optimal ratio, rounded
BERT_LENGTH = 0.9 * 128 + 0.1 * 512  # nine steps in ten are short: Devlin et al. (2019)
TOKENS_PER_IMAGE = 256  # 14 x 14 patches of 224 pixels: Dosovitskiy et al. (2021)
CLIP_TOKENS = 0.7 * 257 + 0.3 * 77  # 7 parameters in 10 see the image, the others the text
IMAGENET_RUN = 90 * IMAGENET  # images of the usual recipe
MLPERF_SEQUENCES = 3.0e6  # what a submission of MLPerf's BERT reads, about
FLOPS_PER_PARAMETER_AND_IMAGE = 950  # ResNet-50 at 224 pixels, forward and backward
GUESS_FACTOR = 2.0  # one standard deviation of each guessed field, a judgement: no data tell
Lengths = float | Real[np.ndarray, "*lengths"]
HEAD_WIDTH = 128  # width over depth of the usual decoder: Kaplan et al. (2020) find it flat


@dataclass(frozen=True)
class Work:
    """FLOPs of a run without attention's own products, and what these add, as a share."""

    flops: float
    attention_share: float
    params: float
    basis: str
    guesses: tuple[str, ...]  # fields of the record whose place a rough rule took
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def log_sd(self) -> float:
        """Standard deviation of the log FLOPs: what the guesses may be off by, independently."""
        return math.log(GUESS_FACTOR) * math.sqrt(len(self.guesses))


def rule_of_six(params: float, tokens: float) -> float:
    """6 N D. Reference: Kaplan et al. (2020). Book: eq. `eq-cost-six`.

    >>> f"{rule_of_six(175e9, 300e9):.3g}"
    '3.15e+23'
    """
    return 6.0 * params * tokens


def attention_share(params: float, sequence_length: Lengths) -> Lengths:
    """What a causal mask's attention adds to 6 N D, for a decoder of the usual shape.

    Width d and depth L = d / 128 follow from N = 12 L d^2; the share is s / (12 d).
    Reference: Kaplan et al. (2020). Book: eq. `eq-cost-attention`.
    """
    width = (params * HEAD_WIDTH / 12) ** (1 / 3)
    return sequence_length / (12 * width)


def work(run: Run) -> Work:
    """FLOPs of the run by the best road that its record opens; the road is the `basis`."""
    assumptions, warnings = [], []
    params = _params(run, assumptions, warnings)
    flops, basis = _flops(run, params, assumptions)
    guesses = _guesses(run, basis)
    if guesses:
        fields = ", ".join(guesses)
        assumptions.append(f"a guess is off by a factor of {GUESS_FACTOR:g} (one sd): {fields}")
    share = 0.0
    if run.kind.endswith("-decoder"):
        length = run.sequence_length or 2048.0
        if run.sequence_length is None:
            assumptions.append("context: 2,048 tokens")
        share = attention_share(params, length)
    published = run.published_flops
    if published and not 1 / 1.5 < published / flops < 1.5:
        warnings.append(
            f"published FLOPs {published:.3g} ({run.published_basis or 'basis not stated'}), but "
            f"{flops:.3g} by {basis}: recomputation, another convention, or derived from hours?"
        )
    return Work(flops, share, params, basis, guesses, tuple(assumptions), tuple(warnings))


def _guesses(run, basis):
    """Fields that a record would have to give for its FLOPs to be known."""
    if basis in ("counted operations", "published FLOPs"):
        return ()
    is_image = basis == "exact count an image"
    is_recipe = "unpadded" in run.data_unit or run.kind == "encoder"
    has_units = re.search("sequence|sentence|sample|example|image", run.data_unit)
    needed = {
        "data_count": run.data_count is None and "unpadded" not in run.data_unit,
        "params_total": run.params is None and not is_image,
        "params_active": "params_active" in run.guesses,
        "model": basis == "parameters times images",
        "seq_len": run.kind not in ("cnn", "vit+text")
        and not is_recipe
        and bool(has_units)
        and run.sequence_length is None,
    }
    return tuple(name for name, is_missing in needed.items() if is_missing)


@cache
def per_image(model: str) -> int | None:
    """FLOPs of forward and backward pass on one image of the network that `model` names, if any.

    >>> per_image("MLPerf v2.0 ResNet-50 dgxa100")
    24299077632
    """
    networks = {_plain(name): network for name, network in architectures.catalogue().items()}
    inside = [name for name in networks if name in _plain(model)]
    return networks[max(inside, key=len)].train_step_flops() if inside else None


def _plain(name):
    return re.sub("[^a-z0-9]", "", name.lower())


def _params(run, assumptions, warnings):
    if run.params:
        return run.params
    if run.published_flops:
        params = math.sqrt(run.published_flops / (6 * TOKENS_PER_PARAMETER))
        assumptions.append(f"parameters: {params:.3g}, compute-optimal for the published FLOPs")
        return params
    warnings.append("neither parameters nor FLOPs are known: 1e9 parameters assumed")
    return 1e9


def _flops(run, params, assumptions):
    if run.counted_flops:
        return run.counted_flops, "counted operations"
    is_stated = run.published_flops and "hardware" not in run.published_basis
    if (run.data_count is None or run.params is None) and is_stated:
        return run.published_flops, "published FLOPs"
    if run.kind == "cnn":
        return _of_images(run, params, assumptions)
    tokens = _tokens(run, params, assumptions)
    if run.kind == "enc-dec":
        assumptions.append("a token passes the encoder or the decoder: 3 N D")
        return rule_of_six(params, tokens) / 2, "3 N D"
    return rule_of_six(params, tokens), "6 N D"


def _of_images(run, params, assumptions):
    images = run.data_count
    if images is None:
        images = IMAGENET_RUN
        assumptions.append("data: 90 passes over ImageNet")
    each = per_image(run.model)
    if each is not None:
        return images * each, "exact count an image"
    if run.published_flops and "hardware" not in run.published_basis:
        return run.published_flops, "published FLOPs"
    assumptions.append(f"FLOPs a parameter and image: {FLOPS_PER_PARAMETER_AND_IMAGE}, ResNet-50's")
    return images * params * FLOPS_PER_PARAMETER_AND_IMAGE, "parameters times images"


def _tokens(run, params, assumptions):
    """Tokens of the run, whatever its data are counted in."""
    unit, count, length = run.data_unit, run.data_count, run.sequence_length
    if "unpadded" in unit:
        count = count or MLPERF_SEQUENCES
        assumptions.append(f"{count:.3g} sequences, half as long as the longest")
        return count * (length or 512) / 2
    if count is None:
        tokens = TOKENS_PER_PARAMETER * params
        assumptions.append(f"data: {tokens:.3g} tokens, {TOKENS_PER_PARAMETER} a parameter")
        return tokens
    if run.kind == "vit+text" or "pair" in unit:
        assumptions.append(f"an image-text pair: {CLIP_TOKENS:.0f} tokens")
        return count * CLIP_TOKENS
    if "token" in unit or not unit:
        return count
    if "word" in unit:
        assumptions.append("a word: 4/3 tokens")
        return count * 4 / 3
    if "byte" in unit or "char" in unit:
        assumptions.append("a token: 4 bytes")
        return count / 4
    each = length or (TOKENS_PER_IMAGE if "image" in unit else BERT_LENGTH)
    if length is None:
        assumptions.append(f"tokens of one of the {unit}: {each:g}")
    return count * each
