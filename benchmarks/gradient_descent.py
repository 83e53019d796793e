"""Many runs at once against a loop over runs, and one run against torch.optim.SGD.

Prints ratios of medians of interleaved runs in one process, on one thread.
"""

import statistics
import time

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from dlcourse.losses import SquaredError
from dlcourse.optim import GradientDescent, minimize

N_RUNS, N_STEPS, N_REPEATS = 100, 200, 7


def together(loss, starts, learning_rate):
    return minimize(loss, starts, GradientDescent(learning_rate), max_steps=N_STEPS).x


def one_by_one(loss, starts, learning_rate):
    return np.stack([alone(loss, start[None], learning_rate) for start in starts])


def alone(loss, starts, learning_rate):
    return together(loss, starts[0], learning_rate)


def with_torch(loss, starts, learning_rate):
    """One run, its path kept as ours keeps it."""
    X, y = torch.from_numpy(loss.X), torch.from_numpy(loss.y)
    beta = torch.from_numpy(starts[0].copy()).requires_grad_()
    sgd = torch.optim.SGD([beta], lr=learning_rate)
    path = [beta.detach().clone()]
    for _ in range(N_STEPS):
        sgd.zero_grad()
        value = ((X @ beta - y) ** 2).mean() / 2
        value.backward()
        sgd.step()
        path.append(beta.detach().clone())
    return beta.detach().numpy()


def medians(first, second, *arguments):
    """Median seconds of both, run in turns so that both see the same machine."""
    seconds = [], []
    for _ in range(N_REPEATS):
        for work, record in zip((first, second), seconds, strict=True):
            start = time.perf_counter()
            work(*arguments)
            record.append(time.perf_counter() - start)
    return [statistics.median(record) for record in seconds]


def problem(rng, n, p):
    X = rng.normal(size=(n, p))
    loss = SquaredError(X, X @ rng.normal(size=p) + rng.normal(size=n))
    return loss, rng.normal(size=(N_RUNS, p)), 1 / np.linalg.eigvalsh(X.T @ X / n)[-1]


def main():
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    with threadpool_limits(limits=1):
        loss, starts, t = problem(rng, 100, 10)
        at_once = together(loss, starts, t)
        np.testing.assert_allclose(at_once, one_by_one(loss, starts, t), atol=1e-10)
        ours, loop = medians(together, one_by_one, loss, starts, t)
        print(f"{N_RUNS} runs at once / loop over runs, 100 x 10: {ours / loop:.3f}")
        for n, p in ((100, 10), (1_000, 100)):
            loss, starts, t = problem(rng, n, p)
            ours, theirs = medians(alone, with_torch, loss, starts, t)
            print(f"one run / torch.optim.SGD, {n} x {p}: {ours / theirs:.2f}")


if __name__ == "__main__":
    main()
