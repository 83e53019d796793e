"""Deep networks on the bundled digits, for the rows on first weights and batch normalization."""

import numpy as np
from sklearn.datasets import load_digits

from dlcourse import autograd as ag
from dlcourse import nn, optim

CHANCE = 0.9  # error of a network that says one digit for all


def digits():
    """Images (1797, 64) with entries from 0 to 1, and their labels."""
    X, labels = load_digits(return_X_y=True)
    return X / 16, labels


def error(network, X, labels):
    return np.mean(network(X).data.argmax(1) != labels)


def train_error(n_layers, initializer):
    """Error on the training data of a plain network, 64 units wide, after 25 epochs."""
    X, labels = digits()
    X, rng = X.astype(np.float32), np.random.default_rng(0)
    sizes = (64, *[64] * (n_layers - 1), 10)
    network = nn.MLP(sizes, rng, initializer=initializer, dtype=np.float32)
    # The rate fades out, because at a constant one the last step may be a bad one.
    rate = optim.Cosine(0.003, n_steps=25 * 57)
    recipe = nn.Recipe(ag.softmax_cross_entropy, optim.HeavyBall(rate), n_epochs=25)
    nn.fit(network, X, labels, recipe, rng)
    return error(network, X, labels)


def held_out_error(learning_rate, has_batch_norm):
    """Error on 500 held-out digits of 10 layers after 15 epochs of SGD: chance if it diverges."""
    X, labels = digits()
    rng = np.random.default_rng(0)
    order = rng.permutation(len(X))
    train, test = order[500:], order[:500]
    parts = []
    for _ in range(9):
        parts.append(nn.Linear(64, 64, rng))
        parts += [nn.BatchNorm(64), ag.relu] if has_batch_norm else [ag.relu]
    network = nn.Sequential(*parts, nn.Linear(64, 10, rng))
    recipe = nn.Recipe(ag.softmax_cross_entropy, optim.SGD(learning_rate), 15, batch_size=64)
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            nn.fit(network, X[train], labels[train], recipe, rng)
    except ValueError:  # the loss became NaN, and training refuses to go on
        return CHANCE
    return error(network, X[test], labels[test])
