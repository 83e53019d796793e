"""Updates in place against torch's fused ones, Newton-Schulz against its first form, in float32.

torch's fused updates read and write every number once; NumPy's make a pass for each operation, and
take their square roots four at a time. So torch is faster at Adam, the more so the longer the
vector. `python benchmarks/optimizers.py`
"""

import numpy as np
import torch
from pairs import one_thread, ratio, table

from dlcourse.optim import Adam, HeavyBall, newton_schulz

UPDATES = {  # ours, torch's, aims at 1e5 and at 1e7 parameters
    "Adam": (Adam(1e-3), torch.optim.Adam, {}, (1.1, 2.3)),
    "SGD with momentum": (HeavyBall(1e-3), torch.optim.SGD, {"momentum": 0.9}, (0.8, 1.5)),
}


def ours_in_place(optimizer, n):
    x, grad = np.random.default_rng(0).normal(size=(2, n)).astype(np.float32)
    state = optimizer.init(x)
    return lambda: optimizer.update(x, grad, state)


def torch_fused(make, settings, n):
    x, grad = np.random.default_rng(0).normal(size=(2, n)).astype(np.float32)
    parameter = torch.nn.Parameter(torch.tensor(x))
    parameter.grad = torch.tensor(grad)
    return make([parameter], lr=1e-3, fused=True, **settings).step


def first_form(G, n_iterations=5):
    """Newton-Schulz as published with Muon, in float32 instead of bfloat16."""
    a, b, c = 3.4445, -4.7750, 2.0315
    X = G.T if G.size(0) > G.size(1) else G
    X = X / (X.norm() + 1e-7)
    for _ in range(n_iterations):
        A = X @ X.T
        B = b * A + c * A @ A
        X = a * X + B @ X
    return X.T if G.size(0) > G.size(1) else X


def main():
    kernel, rows = one_thread(), []
    for name, (optimizer, make, settings, aims) in UPDATES.items():
        for n, aim in zip((10**5, 10**7), aims, strict=True):
            reached = ratio(ours_in_place(optimizer, n), torch_fused(make, settings, n))
            rows.append((f"{name}, {n:.0e} parameters", "torch, fused", reached, aim))
    G = np.random.default_rng(0).normal(size=(512, 512)).astype(np.float32)
    reached = ratio(lambda: newton_schulz(G), lambda: first_form(torch.from_numpy(G)))
    rows.append(("Newton-Schulz, 512 x 512", "its first form, torch float32", reached, 0.70))
    table(f"Optimizers in float32, OpenBLAS kernel {kernel}", rows)


if __name__ == "__main__":
    main()
