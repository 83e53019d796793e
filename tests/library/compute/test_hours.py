"""FLOPs of a run, the share of peak it reaches, its hours, and how far off all that is."""

import json
import math
from importlib import resources
from unittest.mock import Mock

import numpy as np
import pytest
from scipy import stats

from dlcourse.compute.runs import calibration, hours, records, run_flops, utilization
from dlcourse.compute.runs.records import Run
from dlcourse.compute.runs.utilization import Fit, Observation

LLAMA = {
    "model": "Llama",
    "family": "Llama-2",
    "kind": "dense-decoder",
    "params_total": 6.738e9,
    "data_unit": "tokens",
    "data_count": 2e12,
    "seq_len": 4096,
    "precision": "bf16",
    "accelerator": "A100",
}


@pytest.fixture(scope="module")
def errors():
    return calibration.leave_families_out()


@pytest.fixture(scope="module")
def baselines():
    return calibration.class_means(), calibration.one_share()


def work(**fields):
    return run_flops.work(records.read(LLAMA | fields))


# FLOPs of a run


def test_tokens_sequences_images_and_pairs_become_flops():
    base = work().flops
    assert base == 6 * 6.738e9 * 2e12
    assert work(data_unit="sequences", data_count=2e12 / 4096).flops == pytest.approx(base)
    assert work(data_unit="bytes", data_count=8e12).flops == pytest.approx(base)
    assert work(data_unit="words", data_count=1.5e12).flops == pytest.approx(base)
    assert work(kind="enc-dec").flops == base / 2
    assert work(params_active=1e9).flops == 6e9 * 2e12
    images = work(kind="vit", data_unit="images", data_count=1e9, seq_len=None)
    assert images.flops == 6 * 6.738e9 * 256e9


def test_clip_is_close_to_its_operation_count():
    row = next(r for r in records.published() if r.id == "clip-vit-l14")
    assert run_flops.work(row).flops == pytest.approx(6.732e21, rel=0.02)  # 175.3 GFLOP forward


def test_known_convolutional_networks_are_counted_exactly():
    assert run_flops.per_image("MLPerf v2.0 ResNet-50 dgxa100") == 24_299_077_632
    assert run_flops.per_image("VGG-16 (single net)") == 92_648_177_664
    assert run_flops.per_image("ResNet-152") == 68_845_731_840  # and not that of a shorter name
    assert run_flops.per_image("my own network") is None
    row = next(r for r in records.published() if r.id == "rn50-dgxa100-tf32")
    assert run_flops.work(row).flops == 90 * 1_281_167 * 24_299_077_632


def test_what_is_missing_is_assumed_and_said():
    nothing = run_flops.work(records.read({}))
    assert nothing.flops > 0
    assert "neither parameters nor FLOPs" in nothing.warnings[0]
    optimal = work(data_count=None)
    assert optimal.flops == 120 * 6.738e9**2
    assert any("20 a parameter" in text for text in optimal.assumptions)
    assert work(data_count=None, published_flops=1e23).flops == 1e23
    derived = work(data_count=None, published_flops=1e23, published_flops_basis="hardware")
    assert derived.flops == optimal.flops  # operations derived from hours would be circular
    small = work(params_total=None, data_count=None, published_flops=1.2e22)
    assert small.params == pytest.approx(1e10)


def test_published_flops_of_another_convention_are_a_warning():
    assert work(published_flops=work().flops).warnings == ()
    assert "recomputation" in work(published_flops=2 * work().flops).warnings[0]


@pytest.mark.parametrize(("params", "width"), [(6.7e9, 4_096), (68e9, 8_192), (1.74e11, 12_288)])
def test_the_share_of_attention_is_that_of_models_of_the_usual_shape(params, width):
    exact = 2_048 / (12 * width)  # causal: half of 12 L d s over 72 L d^2
    assert run_flops.attention_share(params, 2_048) == pytest.approx(exact, rel=0.12)


# The fit


def by_weights(fit, new):
    """The same posterior by the normal equations of Bayesian regression, in weight space."""
    names = sorted({name for run in (*fit.seen, new) for name in run.features})
    scales = {"family": fit.spreads["family"]}
    scales["family, convolutional"] = fit.spreads["family, convolutional"]
    prior = [scales.get(n.split(": ")[0], utilization.SCALES.get(n.split(": ")[0])) for n in names]
    X = np.array([[run.features.get(name, 0.0) for name in names] for run in fit.seen])
    weight = 1 / np.array([run.noise(fit.spreads) for run in fit.seen])
    y = np.array([run.log_utilization - run.offset for run in fit.seen])
    precision = (X.T * weight) @ X + np.diag(1 / np.array(prior) ** 2)
    x = np.array([new.features.get(name, 0.0) for name in names])
    mean = x @ np.linalg.solve(precision, (X.T * weight) @ y)
    return new.offset + mean, x @ np.linalg.solve(precision, x)


@pytest.mark.proves("eq-cost-pooling", "eq-cost-posterior", by="independent")
@pytest.mark.parametrize("fields", [{}, {"accelerator": "H100"}, {"family": "LLaMA-1"}])
def test_the_prediction_is_that_of_bayesian_regression_in_weight_space(fields):
    fit, run = utilization.stored(), records.read(LLAMA | fields)
    found = fit.predict(run)
    mean, variance = by_weights(fit, utilization.observe(run))
    assert found.log_median == pytest.approx(mean, abs=1e-9)
    assert found.log_sd**2 == pytest.approx(variance + fit.spreads["run"] ** 2, abs=1e-9)


def test_the_stored_fit_is_the_fit_of_the_published_runs():
    path = resources.files("dlcourse.compute") / "data" / "utilization.json"
    stored, fresh = json.loads(path.read_text("utf-8")), utilization.fit(records.independent())
    fresh = json.loads(fresh.to_json())
    for name, spread in stored["spreads"].items():
        assert fresh["spreads"][name] == pytest.approx(spread, rel=2e-3)
    for name, pair in stored["effects"].items():
        assert fresh["effects"][name] == pytest.approx(pair, abs=2e-3)


def simulated(rng, n_families=60, n_runs=4, family=0.3, spread=0.1):
    """Runs whose effects, families and noise are drawn from known spreads."""
    runs = []
    for f in range(n_families):
        shift = rng.normal(0, family)
        for _ in range(n_runs):
            size = rng.uniform(-1, 2)
            y = -1.0 + 0.1 * size + shift + rng.normal(0, spread)
            features = {"transformer": 1.0, "decades of size": size, f"family: {f}": 1.0}
            runs.append(with_seen(Observation(features, -1.0, False, False, y)))
    return tuple(runs)


def with_seen(seen):
    """A stand-in for a run of which `seen` is all that the fit asks."""
    return Mock(spec=Run, seen=seen)


def test_known_spreads_and_effects_are_recovered(rng, monkeypatch):
    runs = simulated(rng)
    monkeypatch.setattr(utilization, "observe", lambda run: run.seen)
    fit = utilization.fit(runs)
    assert fit.spreads["family"] == pytest.approx(0.3, rel=0.25)
    assert fit.spreads["run"] == pytest.approx(0.1, rel=0.15)
    mean, sd = fit.effects()["decades of size"]
    assert abs(mean - 0.1) < 4 * sd < 0.1


def test_intervals_hold_on_families_that_the_fit_has_not_seen(rng, monkeypatch):
    monkeypatch.setattr(utilization, "observe", lambda run: run.seen)
    fit = utilization.fit(simulated(rng))
    z = []
    for seen in (run.seen for run in simulated(rng, n_families=400, n_runs=1)):
        family = next(name for name in seen.features if name.startswith("family"))
        features = {name: x for name, x in seen.features.items() if name != family}
        new = Observation(features | {"family: new": 1.0}, -1.0, False, False, None)
        found = fit.predict(with_seen(new))
        z.append((seen.log_utilization - found.log_median) / found.log_sd)
    inside = np.mean(np.abs(z) < stats.norm.ppf(0.95))
    assert abs(inside - 0.9) < 4 * math.sqrt(0.09 / 400)


def test_one_measured_run_moves_the_prediction_by_the_conjugate_update():
    """Two normals: the prior of the family's runs, and one of them measured."""
    fit = utilization.stored()
    slow = records.read(LLAMA | {"family": "mine", "chip_hours": 400_000})
    before, after = fit.predict(slow), fit.given([slow]).predict(slow)
    run = fit.spreads["run"] ** 2
    shared = before.log_sd**2 - run  # variance that all runs of the family have in common
    y = utilization.observe(slow).log_utilization
    weight = shared / (shared + run)
    assert after.log_median == pytest.approx(before.log_median + weight * (y - before.log_median))
    assert after.log_sd**2 == pytest.approx(shared * (1 - weight) + run)
    assert after.log_sd < 0.75 * before.log_sd


def test_measured_runs_need_hours():
    with pytest.raises(ValueError, match="needs its hours"):
        utilization.stored().given([records.read(LLAMA)])


def test_more_work_takes_longer_and_more_chips_do_not_make_chip_hours_shorter():
    base = hours.predict(records.read(LLAMA))
    double = hours.predict(records.read(LLAMA | {"data_count": 4e12}))
    assert double.chip_hours() == pytest.approx(2 * base.chip_hours())
    few, many = (hours.predict(records.read(LLAMA | {"n_accel": n})) for n in (256, 16_384))
    assert many.chip_hours() > few.chip_hours()
    assert many.wall_hours() < few.wall_hours()


# Hours


@pytest.mark.proves("eq-cost-hours", by="independent")
def test_hours_times_rate_are_the_flops():
    found = hours.predict(records.read(LLAMA | {"n_accel": 1024}))
    for q in (0.05, 0.5, 0.95):
        seconds = 3600 * found.wall_hours(q)
        rate = 1024 * 312e12 * found.utilization.quantile(1 - q)
        assert seconds * rate == pytest.approx(6 * 6.738e9 * 2e12)


def test_quantiles_are_in_order_and_never_above_the_peak():
    for run in records.published():
        found = hours.predict(run)
        quantiles = [found.chip_hours(q) for q in hours.QUANTILES.values()]
        assert quantiles == sorted(quantiles)
        least = found.work.flops / (3600 * run.peak_flops)
        assert found.work.guesses or quantiles[0] >= least * (1 - 1e-12)


def test_guessed_inputs_widen_the_interval_and_are_said():
    known = hours.predict(records.read(LLAMA | {"data_count": 20 * 6.738e9}))
    guessed = hours.predict(records.read(LLAMA | {"data_count": None}))
    sds = [
        math.log(one.chip_hours(0.75) / one.chip_hours(0.25)) / (2 * stats.norm.ppf(0.75))
        for one in (known, guessed)
    ]
    assert guessed.chip_hours() == pytest.approx(known.chip_hours())
    assert sds[1] ** 2 - sds[0] ** 2 == pytest.approx(math.log(2) ** 2)
    assert any("factor of 2" in text for text in guessed.work.assumptions)


def test_hours_on_the_clock_need_the_number_of_chips():
    with pytest.raises(ValueError, match="Give the number"):
        hours.predict(records.read(LLAMA)).wall_hours()


def test_a_prediction_prints_itself():
    text = repr(hours.predict(records.read(LLAMA | {"n_accel": 1024})))
    assert "chip-hours" in text
    assert "hours on the clock" in text


# Calibration: families left out


def test_the_fit_beats_both_baselines_on_families_left_out(errors, baselines):
    for other in baselines:
        assert errors.factor() < other.factor()
        assert errors.factor(0.9) < 0.85 * other.factor(0.9)
        assert errors.width() < 0.7 * other.width()


def test_the_interval_is_honest_and_narrow_on_families_left_out(errors):
    assert 0.84 <= errors.coverage() <= 0.96
    assert errors.width() <= 3.0
    half = errors.coverage(stats.norm.ppf(0.75))
    assert 0.35 <= half <= 0.65


def test_errors_are_near_the_floor_that_families_leave(errors):
    spreads = utilization.stored().spreads
    dense = errors.where(errors.kinds == "dense-decoder", "dense")
    assert dense.factor() < 1.05 * calibration.floor(spreads)
    assert calibration.floor(spreads) > 1.18  # what better software is worth cannot be seen before


def test_the_list_of_the_worst_begins_with_the_run_that_is_furthest_off(errors):
    worst = errors.worst(3)
    first = errors.names[int(np.argmax(np.abs(errors.log_errors)))]
    assert worst.columns["run"][0] == first
    assert len(worst.columns["run"]) == 3


def test_one_run_of_the_family_sharpens_the_others(errors):
    after = calibration.after_one_run()
    assert after.factor() < errors.factor()
    assert after.factor(0.9) < errors.factor(0.9)
    assert after.width() < 0.9 * errors.width()
    assert after.coverage() > 0.8


def test_no_run_helps_to_predict_its_own_family():
    runs = records.independent()
    changed = [
        records.read(LLAMA | {"id": f"x{i}", "family": "Planted", "chip_hours": 1e5 * (1 + i)})
        for i in range(2)
    ]
    a = calibration.leave_families_out([*runs[:20], changed[0]])
    b = calibration.leave_families_out([*runs[:20], changed[1]])
    shift = a.log_errors[-1] - b.log_errors[-1]
    assert shift == pytest.approx(math.log(2))  # the same prediction, half the hours


def test_a_fit_that_ignores_families_is_caught_by_its_coverage(monkeypatch):
    """The planted bug: every run its own family, so that intervals come out too narrow."""
    runs = records.independent()
    observe = utilization.observe

    def alone(run):
        seen = observe(run)
        kept = {k: v for k, v in seen.features.items() if not k.startswith("family")}
        return Observation(kept, seen.offset, seen.is_convolutional, False, seen.log_utilization)

    monkeypatch.setattr(utilization, "observe", alone)
    sizes = dict.fromkeys(utilization.SPREADS, 0.127)
    fit = Fit(tuple(alone(run) for run in runs), sizes)
    z = [
        (alone(run).log_utilization - found.log_median) / found.log_sd
        for run in runs
        for found in [fit.predict(run)]
    ]
    assert np.mean(np.abs(z) < stats.norm.ppf(0.95)) < 0.84
