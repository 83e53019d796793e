"""Named networks, published numbers and public tools, each beside the exact count."""

import csv
from importlib import resources

import pytest

from dlcourse.compute.models import architectures
from dlcourse.compute.models.images.convnets import ImagePath
from dlcourse.compute.runs import published

DATA = resources.files("dlcourse.compute") / "data"
# How far a paper's rounding, or its own sizes, may take it from the exact number.
TOLERANCES = {"T5-11B": 0.03, "Falcon-40B": 0.03, "AlexNet": 0.05}


def records():
    with (DATA / "architectures.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_named_network_has_a_reference_and_a_source():
    rows = records()
    assert {row["network"] for row in rows if row["network"]} == set(architectures.catalogue())
    assert all(row["sizes"] and row["source"] and row["date"] for row in rows)
    assert len({row["name"] for row in rows}) == len(rows) > 100


def test_the_scoreboard_has_a_row_for_every_count_of_the_reference():
    counts = ("params", "params_active", "forward_flops", "train_step_flops")
    n_counts = sum(bool(row[count]) for row in records() for count in counts)
    exactness = architectures.exactness()
    assert len(exactness.rows) == n_counts
    assert sum(abs(row.error) for row in exactness.rows) == 0
    assert "deepseek_v3" in repr(exactness)


@pytest.mark.parametrize("name", ["resnet50", "vit_b_16", "swin_t", "regnet_y_8gf"])
def test_a_batch_of_images_costs_as_many_single_ones(name):
    network = architectures.named(name)
    assert network.forward_flops(batch=5) == 5 * network.forward_flops()
    assert network.train_step_flops(batch=5) == 5 * network.train_step_flops()
    assert network.forward_flops(causal=True) == network.forward_flops()


def test_a_path_follows_the_size_of_the_image():
    path = ImagePath(3, 224).normed(64, 7, stride=2).pool(3, 2, padding=1)
    assert (path.channels, path.size) == (64, 56)
    assert path.aside().convolve(8, 1, stride=2).size == 28
    assert path.size == 56
    assert ImagePath(3, 109).pool(3, 2, rounds_up=True).size == 54
    assert ImagePath(3, 110).pool(3, 2, rounds_up=True).size == 55


@pytest.mark.parametrize("row", published.published().rows, ids=lambda row: row.name)
def test_published_flops_are_met_under_their_own_convention(row):
    tolerance = TOLERANCES.get(row.name, 0.005)
    assert abs(row.ratio - 1) < tolerance, f"{row.convention}: {row.ratio:.4f} ({row.source})"


def test_alexnets_published_number_counts_a_gradient_of_the_image():
    (row,) = (row for row in published.published().rows if row.name == "AlexNet")
    network, n_images = architectures.named("alexnet"), 90 * 1_200_000
    with_it = 3 * network.forward_flops() * n_images
    assert abs(with_it / row.published_flops - 1) < abs(row.ratio - 1) / 2
    assert with_it > row.our_flops


def test_the_rule_of_six_is_wrong_twofold_for_an_encoder_and_a_decoder():
    rows = {row.name: row for row in published.published().rows}
    assert 1.9 < 2 * rows["T5-11B"].our_flops / rows["T5-11B"].published_flops < 2.1
    assert "3 N D" in repr(published.published())


def test_a_planted_error_in_a_named_network_is_caught(monkeypatch):
    monkeypatch.setattr(ImagePath, "norm", lambda path: path)
    wrong = {row.name for row in architectures.exactness().rows if row.error}
    assert "resnet50" in wrong
    assert "vgg16" not in wrong
