"""One training step (forward, backward, Adam): the engine against torch and against NumPy by hand.

The steps by hand are what a careful programmer writes: every array allocated beforehand, every
result written in place, and the same Adam. `python benchmarks/training_step.py`
"""

import tracemalloc

import numpy as np
import torch
from pairs import one_thread, ratio, table

from dlcourse import autograd as ag
from dlcourse import nn
from dlcourse.autograd.capture import Capture
from dlcourse.optim import Adam

NETS = {  # sizes, batch, aims: torch, by hand eager
    "2-16-16-1 b32": ((2, 16, 16, 1), 32, 0.13, 2.00),
    "20 layers of 16 b32": ((16,) * 21, 32, 0.18, 2.00),
    "100 layers of 16 b32": ((16,) * 101, 32, 0.18, 2.00),
    "784-128-10 b32": ((784, 128, 10), 32, 0.80, 2.00),
    "784-128-10 b256": ((784, 128, 10), 256, 0.85, 2.00),
    "784-512-512-10 b32": ((784, 512, 512, 10), 32, 1.05, 2.00),
    "784-512-512-10 b256": ((784, 512, 512, 10), 256, 0.90, 2.00),
}
ADAM = Adam(1e-4)


def batch(sizes, n):
    """Inputs and targets: class labels for ten outputs, else numbers."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, sizes[0])).astype(np.float32)
    is_classes = sizes[-1] == 10
    y = rng.integers(10, size=n) if is_classes else rng.normal(size=(n, sizes[-1])).astype("f")
    return X, y, is_classes


def network(sizes):
    return nn.MLP(sizes, np.random.default_rng(1), dtype=np.float32)


def engine(sizes, n):
    """The step by the engine: eager, and its capture."""
    X, y, is_classes = batch(sizes, n)
    model = network(sizes)
    parameters = model.parameters
    state = ADAM.init(parameters.flat)
    loss_of = ag.softmax_cross_entropy if is_classes else ag.mean_squared_error

    def move(grad, x):
        ADAM.update(x, grad, state)

    def eager():
        parameters.take_gradient(loss_of(model(X, training=True), y))
        ag.launch(move, parameters.grad, out=parameters.flat)

    with Capture() as capture:
        eager()
    return eager, capture


def by_hand(sizes, n):
    """The same step in plain NumPy."""
    X, y, is_classes = batch(sizes, n)
    parameters = network(sizes).parameters
    flat, grad, state = parameters.flat, parameters.grad, ADAM.init(parameters.flat)
    Ws, bs = (list(parameters.views(flat).values())[i::2] for i in (0, 1))
    gWs, gbs = (list(parameters.views(grad).values())[i::2] for i in (0, 1))
    outs, gs, slopes, zeros = ([np.zeros((n, k), np.float32) for k in sizes[1:]] for _ in range(4))
    ones, rows, z = np.ones(n, np.float32), np.arange(n), np.zeros((n, 1), np.float32)
    scale = np.float32(1 / n if is_classes else 2 / (n * sizes[-1]))
    last = len(Ws) - 1

    def step():
        x = X
        for i in range(last + 1):
            np.dot(x, Ws[i], out=outs[i])
            np.add(outs[i], bs[i], out=outs[i])
            if i < last:
                np.maximum(outs[i], zeros[i], out=outs[i])
            x = outs[i]
        g = gs[last]
        if is_classes:
            np.subtract(x, np.max(x, 1, keepdims=True, out=z), out=x)
            chosen = x[rows, y]
            np.exp(x, out=g)
            np.sum(g, 1, keepdims=True, out=z)
            loss = (np.log(z[:, 0]) - chosen).mean()
            np.divide(g, z, out=g)
            g[rows, y] -= 1
        else:
            np.subtract(x, y, out=g)
            loss = np.dot(g.ravel(), g.ravel()) / g.size
        np.multiply(g, scale, out=g)
        for i in range(last, -1, -1):
            if i < last:
                np.sign(outs[i], out=slopes[i])
                np.multiply(gs[i], slopes[i], out=gs[i])
            np.dot((outs[i - 1] if i else X).T, gs[i], out=gWs[i])
            np.dot(ones, gs[i], out=gbs[i])
            if i:
                np.dot(gs[i], Ws[i].T, out=gs[i - 1])
        ADAM.update(flat, grad, state)
        return loss

    return step


def with_torch(sizes, n):
    """The same step in torch, eager, with its fused Adam."""
    X, y, is_classes = batch(sizes, n)
    X, y = torch.from_numpy(X), torch.from_numpy(y)
    layers = []
    for n_in, n_out in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [torch.nn.Linear(n_in, n_out), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    adam = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)
    functional = torch.nn.functional
    loss_of = functional.cross_entropy if is_classes else functional.mse_loss

    def step():
        adam.zero_grad(set_to_none=True)
        loss_of(model(X), y).backward()
        adam.step()

    return step


def products_and_adam(sizes, n):
    """What no implementation avoids: the matrix products, and Adam's passes over its vectors."""
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(n, k)).astype(np.float32) for k in sizes]
    gs = [np.empty_like(a) for a in arrays]
    parameters = network(sizes).parameters
    state = ADAM.init(parameters.flat)
    Ws, gWs = (list(parameters.views(a).values())[::2] for a in (parameters.flat, parameters.grad))

    def work():
        for i, (W, gW) in enumerate(zip(Ws, gWs, strict=True)):
            np.dot(arrays[i], W, out=gs[i + 1])
            np.dot(arrays[i].T, arrays[i + 1], out=gW)
            if i:
                np.dot(arrays[i + 1], W.T, out=gs[i])
        ADAM.update(parameters.flat, parameters.grad, state)

    return work


def memory_rows():
    """MiB at the peak of the widest step, and KiB that a replay allocates."""
    tracemalloc.start()
    _, capture = engine(*NETS["784-512-512-10 b256"][:2])
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    capture.replay()
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    capture.replay()
    replayed = (tracemalloc.get_traced_memory()[1] - before) / 2**10
    tracemalloc.stop()
    return [
        ("784-512-512-10 b256, MiB at the peak", "-", peak, 60),
        ("the same, KiB allocated a replayed step", "-", replayed, 64),
    ]


def main():
    kernel, rows = one_thread(), []
    for name, (sizes, n, torch_aim, eager_aim) in NETS.items():
        eager, capture = engine(sizes, n)
        hand = by_hand(sizes, n)
        rows += [
            (f"{name}, replay", "torch, fused Adam", capture, with_torch(sizes, n), torch_aim),
            (f"{name}, replay", "by hand in NumPy", capture, hand, 1.05),
            (f"{name}, eager", "by hand in NumPy", eager, hand, eager_aim),
        ]
        if sizes[0] == 784:
            floor = products_and_adam(sizes, n)
            rows.append((f"{name}, replay", "its GEMMs and Adam alone", capture, floor, 1.10))
    timed = [
        (work, against, ratio(getattr(ours, "replay", ours), theirs), aim)
        for work, against, ours, theirs, aim in rows
    ]
    table(f"Training steps in float32, OpenBLAS kernel {kernel}", timed)
    table("Memory", memory_rows())


if __name__ == "__main__":
    main()
