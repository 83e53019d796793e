"""Least squares on 100,000 x 100 against one SYRK, and against NumPy's `lstsq`, in float64.

SYRK, the symmetric product X'X, is all that the normal equations must do with the rows. QR and
`lstsq` touch them column by column, which no memory likes. `python benchmarks/least_squares.py`
"""

import numpy as np
from pairs import one_thread, ratio, table

from dlcourse.linear import least_squares

AIMS_SYRK = {"normal equations": 1.4, "Cholesky": 1.4}
AIMS_LSTSQ = {"normal equations": 0.15, "Cholesky": 0.15, "QR": 1.3, "minimum norm": 2.4}


def main(n=100_000, p=100):
    kernel, rng = one_thread(), np.random.default_rng(0)
    X, y = rng.normal(size=(n, p)), rng.normal(size=n)
    rows = []
    for aims, peer, against in (
        (AIMS_SYRK, lambda: X.T @ X, "one SYRK"),
        (AIMS_LSTSQ, lambda: np.linalg.lstsq(X, y, rcond=None), "numpy.linalg.lstsq"),
    ):
        for name, aim in aims.items():
            solve = least_squares.SOLVERS[name]
            reached = ratio(lambda solve=solve: solve(X, y), peer, n_pairs=9)
            rows.append((f"{name}, {n:,} x {p}", against, reached, aim))
    table(f"Least squares in float64, OpenBLAS kernel {kernel}", rows)


if __name__ == "__main__":
    main()
