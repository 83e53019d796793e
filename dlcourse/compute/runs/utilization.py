"""Model FLOPs utilization: what share of the dense peak a training run reaches. Partial pooling.

y       log utilization of a run (n runs)       x   its features, one an effect (n, p)
b       effects, b ~ N(0, diag(scale^2))        o   what physics says before any run, (n,)
spread  of families around the effects, and of runs around their family

    y = o + x b + family + noise

All are Gaussian, so that fit, prediction and the update on a run that the user measured are the
same closed form. The four spreads maximize the marginal likelihood of the published runs.
Reference: Gelman et al. (2013), chapter 5.
"""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize
from scipy.special import ndtri

from dlcourse.compute.runs import records
from dlcourse.compute.runs.records import Run
from dlcourse.compute.runs.run_flops import work
from dlcourse.tables import PrintsTable, Table

# Before any run: a matrix product reaches about 60 % of peak when nothing else limits it. ResNet-50
# computes 50 operations a byte where every layer passes through memory, 85 where batch norm and
# ReLU join the convolution; 65 lies between.
CNN_EFFICIENCY, CNN_FLOPS_PER_BYTE = 0.6, 65.0
TRANSFORMER_UTILIZATION = 0.38
FP8_OFFSET = -0.4  # twice the peak, of which about half becomes speed: only products run in fp8
DOUBT = 0.4  # added spread of rows that their own source makes doubtful

SCALES = {  # prior standard deviation of each effect on log utilization
    "transformer": 0.15,
    "convolutional": 0.15,
    "decades of size": 0.1,
    "decades of size, chips from 2022": 0.2,
    "chips from 2022": 0.4,
    "chips until 2017, in 16 bits": 0.35,
    "TPU": 0.15,
    "TPU, convolutional": 0.4,
    "fp8": 0.25,
    "one node": 0.2,
    "decades of chips": 0.05,
    "decades of chips, convolutional": 0.1,
    "mixture of experts": 0.2,
    "encoder and decoder": 0.4,
    "encoder": 0.15,
    "chip": 0.12,  # each of them, transformers and convolutional networks apart
}
SPREADS = {  # centers of the log-normal prior, half a unit wide, of what the runs spread by
    "family": 0.25,
    "run": 0.15,
    "family, convolutional": 0.15,
    "run, convolutional": 0.17,
}
SPREAD_WIDTH = 0.5


@dataclass(frozen=True)
class Observation:
    """A run as the model sees it. Features "family: Llama" and "chip: A100" are indicators."""

    features: dict[str, float]
    offset: float
    is_convolutional: bool
    is_doubtful: bool
    log_utilization: float | None  # None where the hours are not known

    def noise(self, spreads) -> float:
        """Variance of this run around its family."""
        spread = spreads["run, convolutional" if self.is_convolutional else "run"]
        return spread**2 + DOUBT**2 * self.is_doubtful


@dataclass(frozen=True)
class Utilization:
    """A log-normal prediction of the share of peak, on FLOPs without attention's own products."""

    log_median: float
    log_sd: float

    def quantile(self, q: float) -> float:
        """The utilization that is not exceeded with probability q; the peak is the limit."""
        return min(1.0, math.exp(self.log_median + self.log_sd * float(ndtri(q))))


@dataclass(frozen=True, repr=False)
class Fit(PrintsTable):
    """The posterior given some runs, and the four spreads; it prints its effects."""

    seen: tuple[Observation, ...]
    spreads: dict[str, float]

    def predict(self, run: Run) -> Utilization:
        """Utilization of a run, closer where the record names a family that was seen."""
        new = observe(run)
        mean, covariance = self._condition((new,))
        variance = float(covariance[0, 0]) + self.spreads_of(new) ** 2
        return Utilization(new.offset + float(mean[0]), math.sqrt(variance))

    def spreads_of(self, run: Observation) -> float:
        """Standard deviation of a run around its family."""
        return math.sqrt(run.noise(self.spreads) - DOUBT**2 * run.is_doubtful)

    def given(self, runs: Sequence[Run]) -> "Fit":
        """The posterior after more runs, measured ones: the same conjugate update.

        Raises `ValueError` where the hours of one are unknown.
        """
        more = tuple(observe(run) for run in runs)
        if any(run.log_utilization is None for run in more):
            raise ValueError("A measured run needs its hours. Give `chip_hours`, or wall hours.")
        return Fit((*self.seen, *more), self.spreads)

    def to_json(self) -> str:
        """What data/utilization.json holds: the spreads, and each effect as mean and deviation."""
        effects = {name: [round(v, 4) for v in pair] for name, pair in self.effects().items()}
        spreads = {name: round(spread, 6) for name, spread in self.spreads.items()}
        return json.dumps({"spreads": spreads, "effects": effects}, indent=1) + "\n"

    def effects(self) -> dict[str, tuple[float, float]]:
        """Posterior mean and standard deviation of each effect on log utilization."""
        names = [name for name in SCALES if name != "chip"]
        probes = [Observation({name: 1.0}, 0.0, False, False, None) for name in names]
        mean, covariance = self._condition(probes)
        sds = np.sqrt(np.diag(covariance))
        return {n: (float(m), float(s)) for n, m, s in zip(names, mean, sds, strict=True)}

    def table(self):
        effects = self.effects()
        return Table(
            {
                "effect on log utilization": list(effects),
                "mean": [f"{mean:+.2f}" for mean, _ in effects.values()],
                "standard deviation": [f"{sd:.2f}" for _, sd in effects.values()],
            }
        )

    def _condition(self, new):
        """Mean (n,) and covariance (n, n) of the new runs' effects given the runs seen."""
        total, residual = _marginal(self.seen, self.spreads)
        cross = _covariance(new, self.seen, self.spreads)  # (n, seen)
        prior = _covariance(new, new, self.spreads)
        solved = np.linalg.solve(total, np.column_stack([residual, cross.T]))
        return cross @ solved[:, 0], prior - cross @ solved[:, 1:]


def observe(run: Run) -> Observation:
    """The features of a run, and its log utilization if its hours are known."""
    done = work(run)
    is_cnn = run.kind == "cnn"
    seen = None
    if run.chip_hours:
        seen = math.log(done.flops / (3600 * run.chip_hours * run.peak_flops))
    features = _convolutional(run) if is_cnn else _transformer(run, done.params)
    chip = re.sub(r" \d+GB$", "", run.device.name)  # memory sizes do not count
    group = ", convolutional" if is_cnn else ""
    features[f"chip: {chip}{group}"] = 1.0
    features[f"family{group}: {_plain(run.family) or run.id}"] = 1.0
    offset = _roofline(run) if is_cnn else _transformer_offset(run, done.attention_share)
    return Observation(features, offset, is_cnn, run.is_doubtful, seen)


def fit(runs: Sequence[Run]) -> Fit:
    """Spreads of highest posterior density, and with them the posterior of the effects."""
    seen = tuple(observe(run) for run in runs)
    centers = np.array(list(SPREADS.values()))
    parts, residual = _parts(seen), _residual(seen)

    def loss(z):  # z: log spreads around their centers, in prior standard deviations
        total = np.tensordot([1.0, *(centers * np.exp(SPREAD_WIDTH * z)) ** 2], parts, 1)
        fitted = residual @ np.linalg.solve(total, residual)
        return 0.5 * (np.linalg.slogdet(total)[1] + fitted + z @ z)

    best = minimize(loss, np.zeros(len(SPREADS)), method="L-BFGS-B", options={"gtol": 1e-8}).x
    spreads = (centers * np.exp(SPREAD_WIDTH * best)).tolist()
    return Fit(seen, dict(zip(SPREADS, spreads, strict=True)))


@cache
def stored() -> Fit:
    """The fit on the independent published runs, its spreads read from data/utilization.json."""
    path = resources.files("dlcourse.compute") / "data" / "utilization.json"
    spreads = json.loads(path.read_text(encoding="utf-8"))["spreads"]
    return Fit(tuple(observe(run) for run in records.independent()), spreads)


def _transformer(run, params):
    """Features of a transformer; sizes in decades around 1e10 parameters, chips around 256."""
    size = np.clip(math.log10(params / 1e10), -1.0, 2.5)
    chips = math.log10(run.n_chips / 256) if run.n_chips else 0.0
    is_new = run.device.released >= "2022-07"
    is_old = run.device.released < "2018" and run.precision != "fp32"  # the first matrix units
    features = {
        "transformer": 1.0,
        "decades of size": size,
        "decades of size, chips from 2022": is_new * np.clip(size, -0.5, 2.0),
        "chips from 2022": is_new,
        "chips until 2017, in 16 bits": is_old,
        "TPU": _is_tpu(run),
        "fp8": run.precision == "fp8",
        "one node": bool(run.n_chips and run.n_chips <= 8),
        "decades of chips": chips,
        "mixture of experts": run.kind == "moe-decoder",
        "encoder and decoder": run.kind == "enc-dec",
        "encoder": run.kind in ("encoder", "vit", "vit+text"),
    }
    return {name: float(value) for name, value in features.items() if value}


def _convolutional(run):
    chips = math.log10(run.n_chips / 256) if run.n_chips else math.log10(8 / 256)
    features = {
        "convolutional": 1.0,
        "TPU, convolutional": _is_tpu(run),
        "decades of chips, convolutional": chips,
    }
    return {name: float(value) for name, value in features.items() if value}


def _is_tpu(run):
    return run.device.name.startswith("TPU")


def _roofline(run):
    """Log utilization if computing and moving bytes take turns: the roof, rounded off."""
    n_bytes = 4 if run.precision in ("fp32", "tf32") else 2
    intensity = CNN_FLOPS_PER_BYTE * 2 / n_bytes
    balance = run.peak_flops / run.device.bandwidth_bytes_per_second
    return -math.log(1 / CNN_EFFICIENCY + balance / intensity)


def _transformer_offset(run, share):
    is_fp8 = run.precision == "fp8"
    return math.log(TRANSFORMER_UTILIZATION) - math.log1p(share) + FP8_OFFSET * is_fp8


def _plain(name):
    return re.sub("[^a-z0-9]", "", name.lower())


def _scale(name, spreads):
    kind = name.split(": ")[0]
    kind = "chip" if kind.startswith("chip:") else kind
    return spreads[kind] if kind in spreads else SCALES[kind]


def _covariance(a, b, spreads) -> Float[np.ndarray, "a b"]:
    """Prior covariance of the effects' sums, x diag(scale^2) x^T."""
    names = sorted({name for run in (*a, *b) for name in run.features})
    scales = np.array([_scale(name, spreads) for name in names])
    left, right = (
        np.array([[run.features.get(name, 0.0) for name in names] for run in runs]) * scales
        for runs in (a, b)
    )
    return left @ right.T


def _marginal(seen, spreads):
    """Covariance (n, n) of the log utilizations, and what the offsets leave of them (n,)."""
    noise = np.diag([run.noise(spreads) for run in seen])
    return _covariance(seen, seen, spreads) + noise, _residual(seen)


def _residual(seen):
    return np.array([run.log_utilization - run.offset for run in seen])


def _parts(seen):
    """The marginal covariance as a sum: what no spread scales, then one part for each spread."""
    none = dict.fromkeys(SPREADS, 0.0)
    fixed = _marginal(seen, none)[0]
    return [fixed, *(_marginal(seen, none | {name: 1.0})[0] - fixed for name in SPREADS)]
