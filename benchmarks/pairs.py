"""Ratios of running times that a busy machine disturbs little: runs in turns, medians of pairs.

Two works are run one right after the other, many times; each pair gives one ratio, and the median
of the ratios is what we print. A slow moment of the machine falls on both halves of a pair. The
clock counts processor time of this process, so that other programs do not enter; work that waits
for threads or processes of its own is timed by the clock on the wall, `perf_counter`.
"""

import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import process_time

ROOT = Path(__file__).resolve().parents[1]
SECONDS_A_RUN = 0.004


def ratio(ours, theirs, n_pairs=51, clock=process_time):
    """Median over pairs of runs of the time of `ours()` divided by that of `theirs()`."""
    counts = [(work, _n_calls(work, clock)) for work in (ours, theirs)]
    pairs = ([_seconds(*count, clock) for count in counts] for _ in range(n_pairs))
    return median(first / second for first, second in pairs)


def table(title, rows):
    """Print `rows` of (work, against, ratio, aim or None) below `title`."""
    print(f"\n{title}\n{'work':<40}{'against':<34}{'ratio':>7}{'aim':>7}")
    for work, against, reached, aim in rows:
        aimed = "-" if aim is None else f"{aim:.2f}"
        print(f"{work:<40}{against:<34}{reached:>7.2f}{aimed:>7}")


def one_thread():
    """One thread for NumPy's BLAS and for torch, if it is there; returns the BLAS kernel."""
    from threadpoolctl import threadpool_info, threadpool_limits

    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    threadpool_limits(1)
    return next(lib["architecture"] for lib in threadpool_info() if lib["user_api"] == "blas")


def in_own_environment(script, *packages):
    """Run `script` where `packages` are installed too: peers which the course does not need."""
    home = ROOT / "_build" / "bench"
    python = home / "bin" / "python"
    uv = [sys.executable, "-m", "uv"]
    if not python.exists():
        subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, home], check=True)
    needs = ["numpy", "scipy", "jaxtyping", "threadpoolctl", *packages]
    subprocess.run([*uv, "pip", "install", "--quiet", "--python", python, *needs], check=True)
    subprocess.run([python, script], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})


def _n_calls(work, clock):
    work()
    return max(1, round(SECONDS_A_RUN / min(_seconds(work, 1, clock) for _ in range(5))))


def _seconds(work, n_calls, clock):
    start = clock()
    for _ in range(n_calls):
        work()
    return (clock() - start) / n_calls
