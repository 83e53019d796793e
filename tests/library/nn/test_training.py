"""The training loop: recovers a truth, repeats itself, equals torch, stops in time; and files."""

import sys
import tracemalloc
from functools import partial

import numpy as np
import pytest
import torch

from dlcourse import autograd as ag
from dlcourse import nn, optim
from tests.library.nn.test_layers import torch_mlp

torch.set_num_threads(1)
squares = ag.mean_squared_error


def linear_data(rng, n=400, noise_sd=0.1):
    X = rng.normal(size=(n, 3))
    truth = np.array([[1.0], [-2.0], [0.5]])
    return X, X @ truth + 0.3 + noise_sd * rng.normal(size=(n, 1)), truth


def small_network(seed=0, **options):
    return nn.MLP((3, 8, 1), np.random.default_rng(seed), **options)


def test_fit_recovers_a_linear_truth(rng):
    X, y, truth = linear_data(rng, n=2_000)
    network = nn.MLP((3, 1), rng)
    recipe = nn.Recipe(squares, optim.Adam(optim.Cosine(0.05, n_steps=30 * 63)), n_epochs=30)
    history = nn.fit(network, X, y, recipe, rng)
    exact = np.linalg.lstsq(np.column_stack([X, np.ones(2_000)]), y, rcond=None)[0]
    np.testing.assert_allclose(network.parameters.flat, exact.ravel(), atol=1e-3)
    np.testing.assert_allclose(network.layers[0].weight.data, truth, atol=4 * 0.1 / np.sqrt(2_000))
    assert abs(history.train_loss[-1] - 0.01) < 0.002


def test_fit_learns_what_no_line_separates(rng):
    X = rng.uniform(-1, 1, size=(600, 2))
    labels = (X[:, 0] * X[:, 1] > 0).astype(int)  # the XOR of two signs
    network = nn.MLP((2, 16, 16, 2), rng)
    recipe = nn.Recipe(ag.softmax_cross_entropy, optim.Adam(0.01), n_epochs=40)
    nn.fit(network, X, labels, recipe, rng)
    assert (network(X).data.argmax(1) == labels).mean() > 0.95


@pytest.mark.parametrize("name", ["SGD", "heavy ball", "Adam", "AdamW"])
def test_recorded_steps_equal_eager_ones_to_the_bit(name, rng):
    X, y, _ = linear_data(rng)
    recipe = nn.Recipe(squares, optim.OPTIMIZERS[name](optim.InverseDecay(0.01, n_steps=5)))
    networks = [small_network(), small_network()]
    recorded, eager = (nn.Step(network, X, y, recipe) for network in networks)
    for n in (32, 32, 7, 32, 7):
        rows = rng.choice(400, size=n, replace=False)
        assert recorded(rows) == float(eager.eager(rows))
    np.testing.assert_array_equal(*(network.parameters.flat for network in networks))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_training_follows_torch(dtype, rng):
    X, y, _ = linear_data(rng)
    X, y = X.astype(dtype), y.astype(dtype)
    network = small_network(dtype=dtype)
    other = torch_mlp(network, torch.nn.ReLU)
    adam = torch.optim.Adam(other.parameters(), lr=0.01)
    step = nn.Step(network, X, y, nn.Recipe(squares, optim.Adam(0.01)))
    for start in range(0, 400, 20):
        rows = np.arange(start, start + 20)
        step(rows)
        adam.zero_grad()
        torch.nn.functional.mse_loss(
            other(torch.from_numpy(X[rows])), torch.from_numpy(y[rows])
        ).backward()
        adam.step()
    for layer, theirs in zip(network.layers, other[::2], strict=True):
        tolerance = 1e-4 if dtype == np.float32 else 1e-10
        np.testing.assert_allclose(
            layer.weight.data.T, theirs.weight.detach().numpy(), rtol=tolerance, atol=tolerance
        )


def test_muon_trains_the_hidden_matrices(rng):
    X, y, _ = linear_data(rng)
    network = nn.MLP((3, 16, 16, 1), rng)
    shapes = network.parameters.shapes.values()
    optimizer = optim.muon_for_hidden(list(shapes), optim.Muon(0.02), optim.AdamW(0.01))
    history = nn.fit(network, X, y, nn.Recipe(squares, optimizer, n_epochs=20), rng)
    assert history.train_loss[-1] < 0.05 * history.train_loss[0]


def test_the_same_seed_gives_the_same_network_to_the_bit():
    def trained(seed):
        rng = np.random.default_rng(seed)
        X, y, _ = linear_data(rng)
        network = nn.Sequential(
            nn.Linear(3, 8, rng, activation=ag.relu),
            nn.BatchNorm(8),
            nn.Dropout(0.2, rng),
            nn.Linear(8, 1, rng),
        )
        nn.fit(network, X, y, nn.Recipe(squares, optim.Adam(), n_epochs=3), rng)
        return network.arrays()

    first, again, other = trained(1), trained(1), trained(2)
    for name, x in first.items():
        np.testing.assert_array_equal(x, again[name])
        assert not np.array_equal(x, other[name])


def test_every_row_is_seen_once_an_epoch(rng):
    X, y = np.arange(10.0)[:, None], np.zeros((10, 1))
    seen = []

    class Watching(nn.Linear):
        def __call__(self, x, training=False):
            ag.launch(lambda rows, out=None: seen.extend(rows.ravel()) or rows, x)
            return super().__call__(x, training)

    recipe = nn.Recipe(squares, optim.SGD(1e-6), n_epochs=2, batch_size=4)
    nn.fit(Watching(1, 1, rng), X, y, recipe, rng)
    for epoch in (seen[:10], seen[10:]):
        assert sorted(epoch) == list(range(10))
    assert seen[:10] != seen[10:]


def test_early_stopping_keeps_the_best_network(rng):
    X, y, _ = linear_data(rng, n=30, noise_sd=2.0)
    validation = linear_data(rng, n=200, noise_sd=2.0)[:2]
    network = nn.MLP((3, 64, 64, 1), rng)
    recipe = nn.Recipe(squares, optim.Adam(0.01), n_epochs=500, batch_size=10, patience=5)
    history = nn.fit(network, X, y, recipe, rng, validation)
    n_epochs, best = len(history.train_loss), history.best_epoch
    assert history.is_stopped_early
    assert n_epochs == best + 5 < 500
    assert history.validation_loss.argmin() == best - 1
    assert nn.evaluate(network, squares, *validation) == history.validation_loss[best - 1]
    assert repr(history).startswith(f"stopped early after {n_epochs} epochs")
    assert f"after epoch {best}, the best" in repr(history)


def test_an_epoch_that_only_equals_the_best_one_is_no_improvement(rng):
    X, nothing = rng.normal(size=(8, 3)), np.zeros((8, 1))
    network = nn.MLP((3, 1), rng, initializer=nn.zero)
    recipe = nn.Recipe(squares, optim.SGD(0.1), patience=2)
    history = nn.fit(network, X, nothing, recipe, rng, validation=(X, nothing))
    assert history.best_epoch == 1
    assert len(history.train_loss) == 3


def test_training_that_ends_within_its_patience_is_not_stopped_early(rng):
    X, y, _ = linear_data(rng)
    recipe = nn.Recipe(squares, optim.Adam(), n_epochs=3, patience=5)
    history = nn.fit(small_network(), X, y, recipe, rng, validation=(X, y))
    assert not history.is_stopped_early


def test_the_train_loss_counts_every_row_once(rng):
    X, y, _ = linear_data(rng, n=10)
    network = small_network()
    loss = nn.evaluate(network, squares, X, y)
    recipe = nn.Recipe(squares, optim.SGD(1e-12), n_epochs=1, batch_size=4)  # 4, 4 and 2 rows
    history = nn.fit(network, X, y, recipe, rng)
    np.testing.assert_allclose(history.train_loss, loss, rtol=1e-9)


def test_evaluation_drops_nothing(rng):
    X, y, _ = linear_data(rng)
    network = small_network(dropout_p=0.5)
    expected = np.mean((network(X).data - y) ** 2)
    assert nn.evaluate(network, squares, X, y) == pytest.approx(expected, rel=1e-12)


def test_without_validation_the_last_network_is_kept(rng):
    X, y, _ = linear_data(rng)
    history = nn.fit(small_network(), X, y, nn.Recipe(squares, optim.Adam(), n_epochs=3), rng)
    assert history.best_epoch == 3
    assert np.isnan(history.validation_loss).all()
    assert repr(history).startswith("ran to the end after 3 epochs: train loss")


def test_running_statistics_are_used_after_training(rng):
    X, y, _ = linear_data(rng)
    network = nn.Sequential(nn.BatchNorm(3), nn.Linear(3, 1, rng))
    nn.fit(network, 5 + 3 * X, y, nn.Recipe(squares, optim.Adam(0.01), n_epochs=30), rng)
    np.testing.assert_allclose(network.layers[0].running_mean, (5 + 3 * X).mean(0), atol=1.0)
    assert nn.evaluate(network, squares, 5 + 3 * X, y) < 0.1


def test_the_progress_bar_counts_epochs(capsys, rng):
    X, y, _ = linear_data(rng)
    recipe = nn.Recipe(squares, optim.Adam(), n_epochs=2, shows_progress=True)
    nn.fit(small_network(), X, y, recipe, rng)
    assert "2/2" in capsys.readouterr().err
    assert "tqdm" in sys.modules


def test_a_replayed_step_allocates_nothing(rng):
    X, y = rng.normal(size=(2_000, 784)), rng.normal(size=(2_000, 10))
    X, y = X.astype(np.float32), y.astype(np.float32)
    network = nn.MLP((784, 128, 10), rng, dtype=np.float32)
    step = nn.Step(network, X, y, nn.Recipe(squares, optim.Adam()))
    batches = [rng.choice(2_000, size=128, replace=False) for _ in range(8)]
    for rows in batches[:3]:
        step(rows)
    tracemalloc.start()
    step(batches[3])
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    for rows in batches[4:]:
        step(rows)
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert peak < 64 * 1024


# Errors


def test_wrong_data_are_refused_with_the_cure(rng):
    X, y, _ = linear_data(rng)
    network, recipe = small_network(), nn.Recipe(squares, optim.Adam())
    with pytest.raises(ValueError, match=r"column \(n, 1\)\? Use `.ravel"):
        nn.fit(network, X, y.ravel(), recipe, rng)
    with pytest.raises(ValueError, match="one row an observation"):
        nn.fit(network, X[:-1], y, recipe, rng)
    with pytest.raises(ValueError, match="`X` must hold floats"):
        nn.fit(network, X.astype(int), y, recipe, rng)
    with pytest.raises(ValueError, match="`validation y` must be finite"):
        nn.fit(network, X, y, recipe, rng, validation=(X, np.full_like(y, np.nan)))
    with pytest.raises(ValueError, match="Give `validation="):
        nn.fit(network, X, y, nn.Recipe(squares, optim.Adam(), patience=3), rng)
    with pytest.raises(ValueError, match="Use `optim.SGD`"):
        nn.Recipe(squares, optim.GradientDescent(0.1))
    for name in ("n_epochs", "batch_size", "patience"):
        with pytest.raises(ValueError, match=f"`{name}` must be a whole number"):
            nn.Recipe(squares, optim.Adam(), **{name: 0})


def test_diverging_steps_are_reported(rng):
    X, y, _ = linear_data(rng)
    network = nn.MLP((3, 1), rng)
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="diverge. Lower the learning"):
        nn.fit(network, X, y, nn.Recipe(squares, optim.SGD(100.0), n_epochs=20), rng)


@pytest.mark.parametrize("late", [-1, 3])
def test_a_wrong_label_in_a_late_batch_is_refused(late, rng):
    X, labels = rng.normal(size=(40, 2)), rng.integers(3, size=40)
    labels[-1] = late
    recipe = nn.Recipe(ag.softmax_cross_entropy, optim.Adam(), batch_size=4)
    with pytest.raises(ValueError, match="integers from 0 to 2"):
        nn.fit(nn.MLP((2, 3), rng), X, labels, recipe, rng)


def test_a_loss_that_reshapes_is_trained_as_eagerly(rng):
    X, y, _ = linear_data(rng, n=40)

    def loss(prediction, target):
        both = ag.concatenate([prediction, prediction * 2.0], 1)
        return ag.mean_squared_error(
            both.T.reshape(-1), np.concatenate([target, target], 1).T.ravel()
        )

    networks = [small_network(), small_network()]
    recipe = nn.Recipe(loss, optim.Adam(0.01))
    recorded, eager = (nn.Step(network, X, y, recipe) for network in networks)
    for _ in range(4):
        rows = rng.permutation(40)[:8]
        assert recorded(rows) == float(eager.eager(rows))


@pytest.mark.bad_input
def test_what_is_no_recipe_is_refused_with_the_cure(rng):
    with pytest.raises(ValueError, match=r"got a class. Make one: `Adam\(0.001\)`"):
        nn.Recipe(squares, optim.Adam)
    for name in ("n_epochs", "batch_size", "patience"):
        for wrong in (2.0, "2", True, -1, np.array([2])):
            with pytest.raises(ValueError, match=f"`{name}` must be a whole number"):
                nn.Recipe(squares, optim.Adam(), **{name: wrong})
    assert nn.Recipe(squares, optim.Adam(), n_epochs=np.int64(2)).n_epochs == 2
    X, y, _ = linear_data(rng)
    with pytest.raises(ValueError, match=r"`rng` must be a generator.*default_rng"):
        nn.fit(small_network(), X, y, nn.Recipe(squares, optim.Adam()), 0)


def test_rows_may_count_by_class(rng):
    X, labels = rng.normal(size=(60, 2)), rng.integers(2, size=60)
    by_class = partial(ag.softmax_cross_entropy, class_weights=np.array([1.0, 0.0]))
    network = nn.MLP((2, 2), rng)
    nn.fit(network, X, labels, nn.Recipe(by_class, optim.Adam(0.1), batch_size=20), rng)
    assert (network.predict(X).argmax(1) == 0).all()  # the other class counts for nothing


# Files


@pytest.mark.parametrize("name", ["file", "allow_pickle", "args"])
def test_parameters_of_any_name_are_saved(name, tmp_path, rng):
    class Named(nn.Layer):
        def __init__(self, value):
            setattr(self, name, ag.Tensor(value))

    network, other = Named(rng.normal(size=3)), Named(np.zeros(3))
    nn.save(tmp_path / "network", network)
    nn.load(tmp_path / "network", other)
    np.testing.assert_array_equal(getattr(other, name).data, getattr(network, name).data)
    with np.load(tmp_path / "network") as stored:
        assert list(stored) == [name]


def network_with_everything(rng):
    return nn.Sequential(
        nn.Linear(3, 4, rng, activation=ag.relu), nn.BatchNorm(4), nn.Linear(4, 1, rng)
    )


def test_a_saved_network_comes_back_to_the_bit(tmp_path, rng):
    X, y, _ = linear_data(rng)
    network, other = network_with_everything(rng), network_with_everything(rng)
    nn.fit(network, X, y, nn.Recipe(squares, optim.Adam(), n_epochs=2), rng)
    path = tmp_path / "network"
    nn.save(path, network)
    assert not np.array_equal(other(X).data, network(X).data)
    nn.load(path, other)
    np.testing.assert_array_equal(other(X).data, network(X).data)
    assert other.parameters.are_held()


def test_a_file_of_another_network_or_with_a_pickle_is_refused(tmp_path, rng):
    path = tmp_path / "network.npz"
    nn.save(path, small_network())
    with pytest.raises(ValueError, match=r"these differ.*layers.1"):
        nn.load(path, network_with_everything(rng))
    for other in (small_network(dtype=np.float32), nn.MLP((3, 9, 1), rng)):
        with pytest.raises(ValueError, match="these differ"):
            nn.load(path, other)
    np.savez(path, **{"layers.0.weight": np.array([{}], dtype=object)})
    with pytest.raises(ValueError, match="allow_pickle=False"):
        nn.load(path, small_network())
