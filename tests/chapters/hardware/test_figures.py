"""The captions of the chapter's figures hold on the data that the figures draw."""

import numpy as np

from dlcourse.chapters.hardware import figures
from dlcourse.compute.machines import roofline, throughput


def test_a_roof_rises_to_its_corner_and_only_the_large_product_is_right_of_all():
    sizes = (64, 512, 4_096)
    operations = [roofline.addition(1_000), *(roofline.product(n, n, n) for n in sizes)]
    names = ["V100", "A100", "H100"]
    drawn = figures.roofline(names, operations, roofline.RECORDED).data
    x = drawn["intensity"]
    for name, ridge in zip([*names, roofline.RECORDED.name], drawn["ridges"], strict=True):
        slopes = np.diff(np.log(drawn[name])) / np.diff(np.log(x))
        assert np.allclose(slopes[x[1:] < ridge], 1)
        assert np.allclose(slopes[x[:-1] > ridge], 0)
    assert sum(drawn["operations"] > drawn["ridges"].max()) == 1
    assert drawn["operations"].argmax() == len(sizes)


def test_a_measured_machine_takes_the_place_of_the_recorded_one(rng):
    machine = roofline.measure(rng, n=64, n_repeats=1)
    drawn = figures.roofline(["A100"], [roofline.addition(10)], machine).data
    assert "this machine" in drawn
    assert roofline.RECORDED.name not in drawn


def test_the_bandwidth_and_not_the_peak_tells_the_gain_of_the_h100():
    figure = figures.resnet50(throughput.Submissions())
    drawn = figure.data
    row, base = drawn["names"].index("64 H100 SXM"), drawn["names"].index("64 A100 80GB")
    assert drawn["by peak"][base] == drawn["by bandwidth"][base] == drawn["measured"][base]
    assert abs(drawn["by bandwidth"][row] / drawn["measured"][row] - 1) < 0.05
    assert drawn["by peak"][row] > 1.5 * drawn["measured"][row]
    assert f"{drawn['measured'][row] / drawn['measured'][base]:.2f} times as fast" in figure.caption


def test_activations_grow_with_the_length_or_with_its_square():
    lengths = [2**k for k in range(7, 15)]
    figure = figures.activation_memory(lengths, 124_439_808)
    written_out, fused = (
        np.log2(figure.data[name]) for name in ("attention written out", "attention fused")
    )
    assert np.allclose(np.diff(fused), 1, atol=0.02)
    assert np.diff(written_out)[-1] > 1.7
    assert (np.diff(written_out, 2) > 0).all()
    assert figure.data["states"] == 16 * 124_439_808
    assert fused[0] < np.log2(figure.data["states"]) < fused[-1]
    growth = 2 ** np.diff(written_out)[-1]
    assert f"grow by {growth:.1f} with attention" in figure.caption


def test_the_chips_lie_inside_and_outside_as_the_caption_says():
    names = ["A100", "A800", "H100", "H800", "H20", "RTX 4090", "RTX 4090 D"]
    drawn = figures.export_rules(names).data
    at = dict(zip(drawn["names"], zip(drawn["tpp"], drawn["io"], strict=True), strict=True))
    assert min(at["A100 80GB"][1], at["H100 SXM"][1]) > 600
    assert max(at["A800 80GB"][1], at["H800 SXM"][1]) < 600
    assert at["A800 80GB"][0] == at["A100 80GB"][0]
    assert at["RTX 4090 D"][0] < 4_800 < at["RTX 4090"][0]
    assert at["H20"][0] < 2_400
