"""The captions of the chapter's figures hold on the data that the figures draw."""

import numpy as np

from dlcourse.chapters.parallel_training import data_parallel, figures
from dlcourse.parallel import costs, scaling


def test_only_the_mistakes_are_drawn_and_they_are_off_from_the_first_step(rng):
    alone = rng.normal(size=(6, 4))
    grows = np.arange(6)[:, None] * np.ones(4)
    replicas = {
        "right": np.stack([alone, alone]),
        "rounded": np.stack([alone + 1e-14, alone]),
        "sum": np.stack([alone + 0.1 * grows, alone]),
    }
    runs = data_parallel.Comparison(replicas, alone, alone)
    figure = figures.drift(runs)
    assert set(figure.data) == {"steps", "sum"}
    assert np.allclose(figure.data["sum"], 0.1 * figure.data["steps"])
    assert (figure.data["sum"] > 1e-3).all()
    assert "The other 2 runs" in figure.caption


def test_the_ring_never_sends_two_vectors_and_doubling_wins_below_the_crossing():
    link = costs.Link(20e-6, 1e-10)
    figure = figures.all_reduce(link, n_workers=16)
    drawn = figure.data
    assert (drawn["ring, sent"] < 2).all()
    assert np.allclose(drawn["star, sent"], drawn["workers"] - 1)
    assert np.allclose(drawn["recursive doubling, sent"], np.log2(drawn["workers"]))
    crossing = 20e-6 / 1e-10 * (30 - 4) / (4 - 30 / 16)  # eq-parallel-crossing
    assert f"below {crossing / 1e6:.1f} MB" in figure.caption
    doubling_wins = drawn["recursive doubling, seconds"] < drawn["ring, seconds"]
    assert (doubling_wins == (drawn["bytes"] < crossing)).all()
    assert (drawn["star, seconds"] >= drawn["ring, seconds"]).all()


def test_strong_scaling_peaks_and_falls_and_weak_scaling_lasts():
    cluster = scaling.Cluster(1 / 400, 1e8, costs.Link(20e-6, 1e-10))
    speed_ups = scaling.compare_scaling(cluster, batch=16)
    figure = figures.efficiency(speed_ups)
    strong = figure.data["strong"] * figure.data["workers"]
    peak = strong.argmax()
    assert 0 < peak < len(strong) - 1
    assert f"largest with {figure.data['workers'][peak]} " in figure.caption
    assert (np.diff(figure.data["strong"]) < 0).all()
    assert strong[0] == 1
    for name in ("weak", "weak, 4 accumulated", "weak, overlapped"):
        assert (figure.data[name][-4:] > figure.data["strong"][-4:]).all()
        assert (figure.data[name] <= 1 + 1e-12).all()
    assert (figure.data["weak"] <= figure.data["weak, overlapped"]).all()
    assert f"{figure.data['weak'][-1]:.0%}" in figure.caption
