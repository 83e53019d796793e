"""One training step of small and deep nets: our replay against JAX, compiled, on the CPU.

Both hold their data and parameters between steps; JAX may overwrite its own (donated buffers).
`python benchmarks/training_step_jax.py`
"""

import importlib.util
import os
from time import perf_counter

from pairs import in_own_environment, one_thread, ratio, table

SIZES = {
    "2-16-16-1 b32": (2, 16, 16, 1),
    "20 layers of 16 b32": (16,) * 21,
    "100 layers of 16 b32": (16,) * 101,
}


def engine(sizes, X, y):
    import numpy as np

    from dlcourse import autograd as ag
    from dlcourse import nn, optim

    network = nn.MLP(sizes, np.random.default_rng(0), dtype=np.float32)
    step = nn.Step(network, X, y, nn.Recipe(ag.mean_squared_error, optim.Adam(1e-4)))
    rows = np.arange(32)
    step(rows)
    return step.captured[32].capture.replay


def with_jax(sizes, X, y):
    """Parameters in one flat vector as ours are: JAX then takes in few arrays, which is faster."""
    import jax
    import jax.numpy as jnp
    from jax.flatten_util import ravel_pytree

    keys = jax.random.split(jax.random.key(0), len(sizes) - 1)
    flat, layers_of = ravel_pytree(
        [
            (jax.random.normal(key, (n, k)) * (2 / n) ** 0.5, jnp.zeros(k))
            for key, n, k in zip(keys, sizes[:-1], sizes[1:], strict=True)
        ]
    )

    def loss(flat):
        x, (*hidden, (W, b)) = X, layers_of(flat)
        for V, c in hidden:
            x = jnp.maximum(x @ V + c, 0)
        return jnp.mean((x @ W + b - y) ** 2)

    def step(x, m, v, k):
        g = jax.grad(loss)(x)
        m, v, k = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2, k + 1
        x = x - 1e-4 * (m / (1 - 0.9**k)) / (jnp.sqrt(v / (1 - 0.999**k)) + 1e-8)
        return x, m, v, k

    compiled = jax.jit(step, donate_argnums=(0, 1, 2, 3))
    state = [flat, jnp.zeros_like(flat), jnp.zeros_like(flat), jnp.zeros(())]

    def run():
        state[:] = compiled(*state)
        jax.block_until_ready(state)

    return run


def main():
    if importlib.util.find_spec("jax") is None:
        return in_own_environment(__file__, "jax")
    import numpy as np

    one_thread()
    rng, rows = np.random.default_rng(0), []
    for name, sizes in SIZES.items():
        X = rng.normal(size=(32, sizes[0])).astype(np.float32)
        y = rng.normal(size=(32, sizes[-1])).astype(np.float32)
        reached = ratio(engine(sizes, X, y), with_jax(sizes, X, y), clock=perf_counter)
        rows.append((f"{name}, replay", "JAX jit, CPU", reached, 1.0))
    table("Training steps in float32", rows)


if __name__ == "__main__":
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
    main()
