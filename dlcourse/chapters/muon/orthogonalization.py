r"""What Newton-Schulz makes of singular values, and how large orthogonal steps are.

G  matrix (p, q), a row for each input and a column for each output
s  singular values, d = min(p, q) of them; below, each is a share of the Frobenius norm of G
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from dlcourse import _checks
from dlcourse.optim import jordan_scale, moonlight_scale, newton_schulz
from dlcourse.tables import PrintsTable, Table

Array = np.ndarray
Matrix = Float[Array, "*runs p q"]
Values = float | Float[Array, "*shape"]

N_ITERATIONS = 5  # of Newton-Schulz in a step of Muon
MUON = (3.4445, -4.7750, 2.0315)  # a, b, c: steep at 0, never settling at 1
CLASSICAL = (15 / 8, -10 / 8, 3 / 8)  # settles at 1, and starts slowly


def polar_factor(G: Matrix) -> Matrix:
    r"""The semi-orthogonal matrix nearest to G, by the singular value decomposition.

    .. displayed:: eq-muon-svd, eq-muon-polar

    Raises `ValueError` unless `G` holds finite floats.
    Reference: Higham (2008), chapter 8.

    >>> polar_factor(np.diag([3.0, -1.0])).round(6)
    array([[ 1.,  0.],
           [ 0., -1.]])
    """
    U, _, Vt = np.linalg.svd(_checks.floats(G, "G"), full_matrices=False)
    return U @ Vt


def polynomial(s: Values, coefficients=MUON) -> Values:
    r"""What one iteration does to a singular value.

    .. displayed:: eq-newton-schulz-polynomial

    >>> round(float(polynomial(1.0)), 4)
    0.701
    """
    a, b, c = coefficients
    return s * (a + s**2 * (b + c * s**2))


def composite(s: Values, n_iterations=N_ITERATIONS, coefficients=MUON) -> Values:
    """`polynomial` applied `n_iterations` times. Book: eq. `eq-newton-schulz-composite`.

    >>> composite(np.array([0.01, 0.5, 1.0])).round(2)
    array([0.7 , 0.77, 0.7 ])
    """
    for _ in range(n_iterations):
        s = polynomial(s, coefficients)
    return s


class Band(NamedTuple):
    """Smallest and largest value that five iterations make of the singular values in [from, 1]."""

    smallest: float
    low: float
    high: float


def band(smallest, coefficients=MUON) -> Band:
    """Where the singular values from `smallest` to 1 land.

    Raises `ValueError` unless `smallest` is positive.

    >>> print("{:.3f} to {:.3f}".format(*band(0.01)[1:]))
    0.682 to 1.134
    """
    _checks.positive(smallest, "smallest")
    landed = composite(np.geomspace(smallest, 1.0, 200_001), coefficients=coefficients)
    return Band(smallest, float(landed.min()), float(landed.max()))


def turning_points() -> Float[Array, "2"]:
    """Where the polynomial has its local maximum and, further right, its local minimum.

    >>> turning_points().round(4)
    array([0.5545, 1.0501])
    """
    a, b, c = MUON
    return np.sort(np.sqrt(np.roots([5 * c, 3 * b, a])))  # its derivative, a quadratic in s^2


def invariant_band() -> Float[Array, "2"]:
    """The band that no singular value leaves: from the local minimum to the local maximum.

    Book: eq. `eq-newton-schulz-band`.

    >>> invariant_band().round(4)
    array([0.6818, 1.2024])
    """
    return np.sort(polynomial(turning_points()))


def runaway() -> float:
    """The fixed point above the band. Larger singular values grow without limit.

    >>> round(runaway(), 4)
    1.2637
    """
    a, b, c = MUON
    return float(np.sqrt(np.roots([c, b, a - 1]).max()))


def safe_from(n_iterations: int, coefficients=MUON) -> float:
    """The smallest singular value that `n_iterations` bring up to the band, with all larger ones.

    >>> round(safe_from(5), 4)
    0.0015
    """
    s = invariant_band()[0]
    a, b, c = coefficients
    for _ in range(n_iterations):  # backwards along the first rising part of the polynomial
        roots = np.roots([c, 0, b, 0, a, -s])
        s = roots[np.isreal(roots) & (roots.real > 0)].real.min()
    return float(s)


class Reach(PrintsTable):
    """How far down the iterations reach, with Muon's coefficients and with the classical ones."""

    def __init__(self, n_iterations=(1, 2, 3, 4, 5, 6, 7)):
        self.n_iterations = list(n_iterations)
        self.safe_from = {
            name: [safe_from(k, coefficients) for k in self.n_iterations]
            for name, coefficients in {"Muon": MUON, "classical": CLASSICAL}.items()
        }

    def table(self):
        columns = {"iterations": self.n_iterations}
        columns |= {f"in the band from, {name}": s for name, s in self.safe_from.items()}
        return Table(columns)


class Landing(NamedTuple):
    """The singular values of a matrix as shares of its Frobenius norm, and what became of them."""

    before: Float[Array, " d"]
    after: Float[Array, " d"]

    @property
    def is_in_band(self):
        low, high = invariant_band()
        # Rounding may put a value at the edge on either side of it.
        return (self.after > low - 1e-9) & (self.after < high + 1e-9)

    def __repr__(self):
        d = len(self.before)
        first, last = (self.after[self.is_in_band][i] for i in (0, -1))
        return (
            f"{d} singular values, the largest {self.before[0]:.2f} of the norm, "
            f"the median {np.median(self.before):.2g}\n"
            f"after Newton-Schulz {self.is_in_band.sum()} lie between {last:.2f} and {first:.2f}"
        )


def land(G: Float[Array, "p q"]) -> Landing:
    """Singular values of G before and after Newton-Schulz.

    Raises `ValueError` unless `G` holds finite floats.

    >>> land(np.diag([3.0, 1.0, 0.1]))
    3 singular values, the largest 0.95 of the norm, the median 0.32
    after Newton-Schulz 3 lie between 0.75 and 1.13
    """
    before = np.linalg.svd(_checks.floats(G, "G"), compute_uv=False)
    after = np.linalg.svd(newton_schulz(G), compute_uv=False)
    return Landing(before / np.linalg.norm(before), after)


class StepSizes(PrintsTable):
    """Root mean squares of a step in each shape, and of what it does to a layer's outputs.

    A shape is (p, q). The steps are polar factors of random matrices, the inputs random too.
    """

    def __init__(self, shapes, rng):
        self.shapes, self.entries, self.outputs = list(shapes), [], {"jordan": [], "moonlight": []}
        for p, q in self.shapes:
            step = polar_factor(rng.normal(size=(p, q)))
            change = rms(rng.normal(size=(2_000, p)) @ step)
            self.entries.append(rms(step))
            self.outputs["jordan"].append(jordan_scale(p, q) * change)
            self.outputs["moonlight"].append(moonlight_scale(p, q) * change)

    def scaled_entries(self, scale):
        pairs = zip(self.shapes, self.entries, strict=True)
        return [scale(*shape) * entry for shape, entry in pairs]

    def table(self):
        return Table(
            {
                "shape": [f"{p}×{q}" for p, q in self.shapes],
                "entries": self.entries,
                "entries, Jordan": self.scaled_entries(jordan_scale),
                "entries, Moonlight": self.scaled_entries(moonlight_scale),
                "outputs, Jordan": [round(x, 2) for x in self.outputs["jordan"]],
                "outputs, Moonlight": [round(x, 2) for x in self.outputs["moonlight"]],
            }
        )


def rms(x) -> float:
    """Root mean square of the entries.

    >>> rms(np.array([3.0, -4.0, 0.0, 0.0]))
    2.5
    """
    return float(np.sqrt(np.mean(np.square(x))))


def newton_schulz_flops(p, q) -> int:
    """Floating point operations of the products in `newton_schulz` of a (p, q) matrix.

    With d the smaller and D the larger side: 2 d^2 D for A, 2 d^3 for its square, 2 d^2 D for the
    last product, in each iteration. Book: eq. `eq-muon-overhead`.

    >>> newton_schulz_flops(2, 3)
    320
    """
    d, D = sorted((p, q))
    return N_ITERATIONS * (4 * d**2 * D + 2 * d**3)
