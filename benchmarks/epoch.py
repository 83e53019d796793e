"""One epoch over data of the size of MNIST, shuffled: `fit` against the usual torch loop.

60,000 x 784, a net 784-128-10, batches of 128, Adam. `python benchmarks/epoch.py`
"""

import numpy as np
import torch
from pairs import one_thread, ratio, table

from dlcourse import autograd as ag
from dlcourse import nn
from dlcourse.optim import Adam

N, SIZES, BATCH = 60_000, (784, 128, 10), 128


def engine(X, y):
    rng = np.random.default_rng(0)
    network = nn.MLP(SIZES, rng, dtype=np.float32)
    recipe = nn.Recipe(ag.softmax_cross_entropy, Adam(1e-4), n_epochs=1, batch_size=BATCH)
    return lambda: nn.fit(network, X, y, recipe, rng)


def with_torch(X, y):
    """The loop of the tutorials for data that fit into memory: shuffle, slice, step."""
    X, y = torch.from_numpy(X), torch.from_numpy(y)
    model = torch.nn.Sequential(
        torch.nn.Linear(784, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10)
    )
    adam = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)

    def epoch():
        order = torch.randperm(N)
        for start in range(0, N, BATCH):
            rows = order[start : start + BATCH]
            adam.zero_grad(set_to_none=True)
            torch.nn.functional.cross_entropy(model(X[rows]), y[rows]).backward()
            adam.step()

    return epoch


def main():
    kernel = one_thread()
    rng = np.random.default_rng(0)
    X = rng.random(size=(N, 784), dtype=np.float32)
    y = rng.integers(10, size=N)
    reached = ratio(engine(X, y), with_torch(X, y), 9)
    rows = [("epoch 60000 x 784, 784-128-10, b128", "torch loop, fused Adam", reached, 0.70)]
    table(f"An epoch in float32, OpenBLAS kernel {kernel}", rows)


if __name__ == "__main__":
    main()
