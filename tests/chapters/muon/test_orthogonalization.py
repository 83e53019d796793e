"""Singular values under Newton-Schulz, and the size of orthogonal steps."""

import numpy as np
import pytest
import torch

from dlcourse.chapters.muon import orthogonalization as o
from dlcourse.optim import newton_schulz


def brute_force_reach(n_iterations, coefficients):
    """The smallest of many singular values from which on all land in the band, or above it."""
    low, _ = o.invariant_band()
    s = np.geomspace(1e-5, 1.0, 200_001)
    lands = o.composite(s, n_iterations, coefficients) >= low - 1e-9
    return s[np.flatnonzero(~lands)[-1] + 1]


# (b) Does an independent computation agree?


@pytest.mark.parametrize("n_iterations", [1, 3, 5])
@pytest.mark.parametrize("coefficients", [o.MUON, o.CLASSICAL])
def test_the_reach_is_that_of_a_search(n_iterations, coefficients):
    searched = brute_force_reach(n_iterations, coefficients)
    assert o.safe_from(n_iterations, coefficients) == pytest.approx(searched, rel=2e-4)


@pytest.mark.parametrize("smallest", [0.01, 0.001])
def test_the_band_holds_what_torch_makes_of_a_spectrum(smallest, rng):
    s = np.geomspace(smallest, 1.0, 60)
    G = np.diag(s / np.linalg.norm(s))
    landed = torch.linalg.svdvals(
        torch.optim._muon._zeropower_via_newtonschulz(torch.from_numpy(G), o.MUON, 5, 1e-7).double()
    ).numpy()
    ours = np.sort(o.composite(s / np.linalg.norm(s)))[::-1]
    np.testing.assert_allclose(landed, ours, rtol=0.05)  # bfloat16


def test_the_sizes_of_steps_are_the_means_of_their_squares():
    sizes = o.StepSizes([(3, 5), (8, 2)], np.random.default_rng(1))
    np.testing.assert_allclose(sizes.entries, [5**-0.5, 8**-0.5])
    np.testing.assert_allclose(sizes.outputs["jordan"], 1.0, atol=0.05)
    assert o.rms(np.array([[3.0, 4.0]])) == pytest.approx(12.5**0.5)


# (c) Do we recover a known truth?


def test_a_landing_reports_the_spectrum_that_a_matrix_was_made_with(rng):
    s = np.array([0.9, 0.4, 0.1, 1e-4])
    left, right = (np.linalg.qr(rng.normal(size=(n, 4)))[0] for n in (7, 4))
    landing = o.land(3.0 * left * s @ right.T)
    np.testing.assert_allclose(landing.before, s / np.linalg.norm(s), rtol=1e-9)
    np.testing.assert_allclose(landing.after[-1], o.composite(s[-1] / np.linalg.norm(s)))
    assert landing.is_in_band.tolist() == [True, True, True, False]
    assert "3 lie between" in repr(landing)


# (d) What must not change the answer?


def test_the_size_and_the_axes_of_a_matrix_do_not_matter(rng):
    G = rng.normal(size=(6, 4))
    turned = np.linalg.qr(rng.normal(size=(6, 6)))[0] @ G
    for other in (100 * G, turned, G.T):
        for ours, theirs in zip(o.land(G), o.land(other), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-9)


# (e) Does a planted bug show?


def test_one_coefficient_off_leaves_the_band():
    low, high = o.invariant_band()
    off = (3.4445, -4.7750, 2.1315)
    assert o.band(0.01, coefficients=off).high > 1.02 * high
    above = 1.01 * o.runaway()
    assert o.composite(np.array([above]), 5)[0] > 1e6
    assert low < o.composite(np.array([0.99 * high]), 20)[0] < high


def test_the_table_of_reach_shows_both_sets_of_coefficients():
    reach = o.Reach((1, 5))
    assert all(m < c for m, c in zip(*reach.safe_from.values(), strict=True))
    assert "in the band from, classical" in repr(reach)
    assert np.linalg.norm(newton_schulz(np.eye(3))) > 0


@pytest.mark.parametrize("smallest", [0.0, -1.0, np.nan])
def test_a_band_from_nowhere_is_refused(smallest):
    with pytest.raises(ValueError, match="`smallest` must be a positive number"):
        o.band(smallest)
