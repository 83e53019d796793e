"""The chapter's displays, evaluated as the page has them: bounds on functions that attain them.

Points are columns. A function is a pair: its values and its gradients.
"""

import numpy as np
import pytest
import torch
from scipy.optimize import brentq

from dlcourse import convergence
from dlcourse.functions import DoubleWell, Huber, Washboard
from dlcourse.optim import Backtracking
from tools import formula

F, SLOPE, STAR, GAPS = "f", r"\nabla f", "x^*", r"\Delta"


def bowl(A, center=0.0):
    """Values and gradients of a bowl with curvatures A, written out."""
    return lambda x: ((x - center).T @ A @ (x - center)).item() / 2, lambda x: A @ (x - center)


def packaged(f):
    """Values and gradients of a function of the package at a column."""
    return lambda x: float(f(np.ravel(x))[0]), lambda x: f(np.ravel(x))[1][:, None]


def walked(gradient, x, t, n_steps):
    points = [x]
    for _ in range(n_steps):
        points.append(points[-1] - t * gradient(points[-1]))
    return points


def curvatures(rng, *eigenvalues):
    """A symmetric matrix with these eigenvalues and random axes, and the axes."""
    axes = np.linalg.qr(rng.normal(size=(len(eigenvalues),) * 2))[0]
    return axes @ np.diag(eigenvalues) @ axes.T, axes


# The algorithm


@pytest.mark.proves("eq-gd-step", by="independent")
def test_the_step_is_that_of_torch(displayed, rng):
    x = torch.nn.Parameter(torch.tensor(rng.normal(size=(3, 1))))
    points, steps = [x.detach().numpy().copy()], [0.3, 0.7, 0.2]
    optimizer = torch.optim.SGD([x], lr=1.0)
    for t in steps:
        optimizer.param_groups[0]["lr"] = t
        optimizer.zero_grad()
        torch.cosh(x).sum().backward()
        optimizer.step()
        points.append(x.detach().numpy().copy())
    for k in range(3):
        assert displayed("eq-gd-step").holds({"x": points, "t": steps, SLOPE: np.sinh, "k": k})


@pytest.mark.proves("eq-gd-stationary", by="truth")
def test_a_minimum_and_a_saddle_are_stationary(displayed):
    _, gradient = packaged(DoubleWell())
    for x in ([1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]):
        assert displayed("eq-gd-stationary").holds({SLOPE: gradient, "x": np.array([x]).T})


@pytest.mark.proves("eq-gd-modes", by="independent")
def test_along_an_axis_a_step_multiplies_the_distance(displayed, rng):
    A, axes = curvatures(rng, 0.4, 1.0, 3.0)
    center, start = rng.normal(size=(2, 3, 1))
    points = walked(bowl(A, center)[1], start, 0.5, 4)
    for i, curvature in enumerate((0.4, 1.0, 3.0)):
        along = [(axes[:, i] @ x).item() for x in points]
        names = {r"x_\lambda": along, r"x_\lambda^*": (axes[:, i] @ center).item()}
        for k in (2, 3):
            settings = {r"\lambda": curvature, "t": 0.5, "k": k}
            assert displayed("eq-gd-modes").holds(names | settings)


# How far down one step goes


@pytest.mark.proves("eq-gd-smooth", "def-gd-smooth", by="worst case")
def test_the_gradient_changes_fastest_along_the_steepest_axis(displayed, rng):
    A, axes = curvatures(rng, 0.4, 1.0, 3.0)
    x, y = rng.normal(size=(2, 3, 1))
    names = {SLOPE: bowl(A)[1], "x": x, "L": 3.0}
    assert displayed("eq-gd-smooth").holds(names | {"y": y})
    assert displayed("eq-gd-smooth").holds(names | {"y": x - 0.7 * axes[:, 2:]}, tight=True)


@pytest.mark.proves("eq-gd-smooth", "def-gd-smooth", by="worst case")
def test_the_smoothness_constant_may_be_a_supremum_that_no_curvature_attains(displayed):
    shown = displayed("eq-gd-smooth")
    names = {SLOPE: lambda x: 1.7 * (x - np.tanh(x))}  # its curvature is below 1.7
    for x, y in ((0.3, -1.1), (8.0, 9.5)):
        for L in (1.7, 2.9):
            assert shown.holds(names | {"x": x, "y": y, "L": L})
    assert shown.holds(names | {"x": 20.0, "y": 21.5, "L": 1.7}, tight=True)  # to rounding


@pytest.mark.proves("eq-gd-quadratic-bound", "eq-gd-strongly-convex", by="worst case")
def test_a_round_bowl_is_its_own_bound_from_above_and_from_below(displayed, rng):
    A, _ = curvatures(rng, 0.4, 1.0, 3.0)
    x, d = rng.normal(size=(2, 3, 1))
    for matrix, m, L in ((A, 0.4, 3.0), (0.7 * np.eye(3), 0.7, 0.7)):
        f, gradient = bowl(matrix, center=0.3)
        names, is_round = {F: f, SLOPE: gradient, "x": x, "d": d}, m == L
        assert displayed("eq-gd-quadratic-bound").holds(names | {"L": L}, tight=is_round)
        assert displayed("eq-gd-strongly-convex").holds(names | {"m": m}, tight=is_round)


@pytest.mark.proves("eq-gd-proof-integral", by="independent")
def test_the_change_of_f_is_the_integral_of_its_slope(displayed, rng):
    x, d = rng.normal(size=(2, 3, 1))
    names = {F: lambda x: np.cosh(x).sum(), SLOPE: np.sinh, "x": x, "d": d}
    assert displayed("eq-gd-proof-integral").holds(names)


@pytest.mark.proves("eq-gd-descent", "eq-gd-descent-best", by="worst case")
def test_the_descent_lemma_is_exact_on_a_round_bowl(displayed, rng):
    A, _ = curvatures(rng, 0.4, 1.0, 1.7)
    x = rng.normal(size=(3, 1))
    for matrix, is_round in ((A, False), (1.7 * np.eye(3), True)):
        f, gradient = bowl(matrix, center=0.3)
        names = {F: lambda x, f=f: f(x) + 1.1, "x": x, "g": gradient(x), "L": 1.7}
        for t in (0.2, 0.9):
            assert displayed("eq-gd-descent").holds(names | {"t": t}, tight=is_round)
        assert displayed("eq-gd-descent-best").holds(names, tight=is_round)


@pytest.mark.proves("eq-gd-stationary-rate", "thm-gd-stationary", by="worst case")
def test_washboards_leave_a_known_share_of_the_bound_on_small_gradients(displayed, rng):
    shown, L = displayed("eq-gd-stationary-rate"), 1.7
    value, slope = packaged(Washboard(slope=1.3))  # of curvature 1
    for k in (1, 2, 5):
        points = walked(lambda x: L * slope(x), np.array([[1.3 * k]]), 1 / L, k - 1)
        names = {SLOPE: lambda x: L * slope(x), "x": points, "j": range(k), "k": k, "t": 1 / L}
        first = L * value(points[0])
        assert shown.holds(names | {r"\Delta_0": first})
        # All of the bound at one step, and less of it the more steps there are.
        assert shown.holds(names | {r"\Delta_0": first * 2 * k / (3 * k - 1)}, tight=True)
    f, gradient = bowl(curvatures(rng, 0.4, 1.0, L)[0])
    points = walked(gradient, rng.normal(size=(3, 1)), 1 / L, 9)
    names = {SLOPE: gradient, "x": points, "j": range(9), r"\Delta_0": f(points[0])}
    assert shown.holds(names | {"k": 9, "t": 1 / L})


@pytest.mark.proves("eq-gd-proof-sum", by="worst case")
def test_what_falls_in_steps_cannot_exceed_what_there_is_to_fall(displayed, rng):
    A, _ = curvatures(rng, 0.4, 1.0, 1.7)
    x, steep = 10 * rng.normal(size=(3, 1)), 1.7 * np.eye(3)
    for matrix, k, is_attained in ((steep, 1, True), (A, 1, False), (A, 3, False)):
        f, gradient = bowl(matrix)
        points = walked(gradient, x, 1 / 1.7, k)
        names = {SLOPE: gradient, "x": points[:k], GAPS: [f(x) for x in points]}
        shown = displayed("eq-gd-proof-sum")
        assert shown.holds(names | {"t": 1 / 1.7, "k": k}, tight=is_attained)


# How fast: smooth and convex


def gaps_on_huber(k, t, L, R, delta):
    """Gaps after 0, ..., k steps on the cone of a Huber function, written out."""
    r = R - t * L * delta * np.arange(k + 1)
    return L * delta * r - L * delta**2 / 2


def worst_gap(k, t, L, R):
    return gaps_on_huber(k, t, L, R, delta=R / (2 * L * t * k + 1))[k]


@pytest.mark.proves("eq-gd-convex-rate", "thm-gd-convex", "eq-gd-worst-case", by="worst case")
def test_the_huber_functions_leave_a_known_share_of_the_bound_and_no_less(displayed):
    for k, L, R in ((1, 0.7, 1.3), (2, 0.7, 1.3), (5, 1.9, 2.3)):
        names = {"t": 1 / L, "k": k, "R": R}
        gap = worst_gap(k, 1 / L, L, R)
        assert displayed("eq-gd-convex-rate").holds(names | {GAPS: {k: gap}})
        whole = {GAPS: {k: gap * (2 * k + 1) / k}}  # k / (2 k + 1) of the bound is attained
        assert displayed("eq-gd-convex-rate").holds(names | whole, tight=True)
        for t in (0.3 / L, 1 / L):
            gap = worst_gap(k, t, L, R)
            worst = {r"\max_f \Delta_k": gap, "L": L, "t": t, "k": k, "R": R}
            assert displayed("eq-gd-worst-case").holds(worst)


@pytest.mark.proves("eq-gd-proof-tangent", "eq-gd-proof-square", by="worst case")
def test_a_step_is_paid_for_by_coming_closer(displayed, rng):
    x, t = rng.normal(size=(3, 1)), 0.7
    steep = bowl(np.eye(3) / t, center=0.3)
    slope = rng.normal(size=(3, 1))
    cone = lambda x: (slope.T @ x).item(), lambda x: slope  # noqa: E731  flat toward its minimum
    for (f, gradient), star, attained in ((steep, 0.3 + 0 * x, [1]), (cone, x - 3 * slope, [2])):
        g = gradient(x)
        names = {"g": g, "x": x, "x^+": x - t * g, STAR: star, "t": t}
        gaps = {r"\Delta": f(x) - f(star), r"\Delta^+": f(x - t * g) - f(star)}
        assert displayed("eq-gd-proof-tangent").holds(names | gaps, tight=attained)
        side = (g.T @ (x - star)).item() - t / 2 * (g**2).sum()
        assert np.isclose(displayed("eq-gd-proof-square").value(names), side, rtol=1e-12)


@pytest.mark.proves("eq-gd-proof-telescope", by="worst case")
def test_on_a_long_cone_the_gaps_add_up_to_all_but_nothing_of_what_distance_pays(displayed):
    shown, L, R = displayed("eq-gd-proof-telescope"), 0.7, 1.3
    # With hardly a step the gaps stay, and a long cone spends nearly all of the distance.
    for k, t, attained, rtol in (
        (3, 1e-12 / L, [1], 1e-9),
        (3, 1 / L, (), 1e-9),
        (400, 1 / L, (), 1e-9),
        (400, 1 / L, [2], 3e-3),
    ):
        gaps = gaps_on_huber(k, t, L, R, delta=R / (k + 1))
        names = {GAPS: gaps, "k": k, "R": R, "t": t}
        assert shown.holds(names, tight=attained, rtol=rtol)


@pytest.mark.proves("eq-gd-huber", by="independent")
def test_the_worst_function_is_the_huber_function_of_the_package(displayed):
    delta, L = 0.6, 1.7
    for x in (0.3, -0.5, 1.4, -2.1):
        names = {F: lambda x: Huber(delta, L)(np.array([x]))[0], "x": x, "r": abs(x)}
        assert displayed("eq-gd-huber").holds(names | {r"\delta": delta, "L": L})


# How fast: strongly convex


@pytest.mark.proves("eq-gd-dominance", by="worst case")
def test_the_round_bowl_has_the_smallest_gradient_for_its_gap(displayed, rng):
    A, _ = curvatures(rng, 0.4, 1.0, 3.0)
    for matrix, is_round in ((A, False), (0.4 * np.eye(3), True)):
        f, gradient = bowl(matrix)
        value = {F: lambda x, f=f: f(x) + 1.1, "f^*": 1.1, SLOPE: gradient, "m": 0.4}
        names = value | {"x": rng.normal(size=(3, 1))}
        assert displayed("eq-gd-dominance").holds(names, tight=is_round)


@pytest.mark.proves(
    "eq-gd-linear-rate", "thm-gd-linear", "eq-gd-linear-worst-case", by="worst case"
)
def test_the_flattest_bowl_leaves_a_known_share_of_the_linear_bound(displayed, rng):
    m, M = 0.4, 1.7
    f, gradient = bowl(m * np.eye(3))
    gaps = [f(x) for x in walked(gradient, rng.normal(size=(3, 1)), 1 / M, 5)]
    for k in (2, 3, 5):
        names = {GAPS: gaps, "m": m, "M": M, "k": k}
        assert displayed("eq-gd-linear-rate").holds(names)
        assert displayed("eq-gd-linear-worst-case").holds(names)
        whole = {GAPS: {0: gaps[0], k: gaps[k] / (1 - m / M) ** k}}
        assert displayed("eq-gd-linear-rate").holds(names | whole, tight=True)


@pytest.mark.proves("eq-gd-steps", by="independent")
def test_the_number_of_steps_is_where_the_bound_meets_the_tolerance(displayed):
    for m, M, first, tolerance in ((0.4, 1.7, 5.5, 1e-3), (0.9, 1.1, 0.3, 2e-5)):
        k = brentq(lambda k: (1 - m / M) ** k * first - tolerance, 0, 100, xtol=1e-12)  # noqa: B023
        names = {r"\Delta_0": first, r"\varepsilon": tolerance, "m": m, "M": M, "k^*": k}
        assert displayed("eq-gd-steps").holds(names | {"k": k}, tight=True)
        assert displayed("eq-gd-steps").holds(names | {"k": np.ceil(k)})


@pytest.mark.proves("thm-gd-linear", by="worst case")
def test_with_m_and_m_alike_one_step_ends_at_the_minimum_where_the_formula_says_none(rng):
    f, gradient = bowl(1.7 * np.eye(3), center=0.3)
    x = rng.normal(size=(3, 1))
    assert f(x - gradient(x) / 1.7) < 1e-30 < 1e-6 < f(x)
    assert convergence.n_steps_needed(f(x), 1e-6, m=1.7, M=1.7) == 1
    with np.errstate(divide="ignore"):
        assert np.log(f(x) / 1e-6) / np.log(1 / np.float64(1 - 1.7 / 1.7)) == 0


@pytest.mark.proves("eq-gd-proof-contraction", by="worst case")
def test_the_steepest_bowl_meets_the_one_and_the_flattest_the_other_bound_of_a_contraction(
    displayed, rng
):
    m, M, x = 0.4, 1.7, rng.normal(size=(3, 1))
    for curvature, attained in ((M, [1]), (m, [2])):
        f, gradient = bowl(curvature * np.eye(3))
        gaps = {r"\Delta": f(x), r"\Delta^+": f(x - gradient(x) / M)}
        names = gaps | {"g": gradient(x), "m": m, "M": M}
        assert displayed("eq-gd-proof-contraction").holds(names, tight=attained)


@pytest.mark.proves("thm-gd-convex", by="worst case")
def test_the_convex_bound_holds_where_the_path_stays_if_l_serves_there():
    """x^4 / 4 is not smooth: from 1 its curvature is at most 3 all the way, from 3 it is not."""
    near, far = (walked(lambda x: x**3, start, 1 / 3, 5) for start in (1.0, 3.0))
    assert np.all((np.array(near) >= 0) & (np.diff(near, prepend=1.0) <= 0))
    assert np.abs(far[2]) > 10 * far[0]
    for k in (1, 5):
        names = {"t": 1 / 3, "k": k, "R": 1.0, GAPS: [x**4 / 4 for x in near]}
        assert formula.displayed("eq-gd-convex-rate").holds(names)


# Who chooses the step?


@pytest.mark.proves("eq-gd-armijo", by="worst case")
def test_the_longest_step_that_passes_armijos_test_on_a_round_bowl(displayed, rng):
    x, curvature = rng.normal(size=(3, 1)), 1.7
    f, gradient = bowl(curvature * np.eye(3), center=0.3)
    for c in (0.2, 0.5, 0.8):
        names = {F: f, "x": x, "g": gradient(x), "c": c}
        longest = 2 * (1 - c) / curvature
        assert displayed("eq-gd-armijo").holds(names | {"t": longest}, tight=True)
        assert displayed("eq-gd-armijo").holds(names | {"t": 0.6 * longest})


@pytest.mark.proves("eq-gd-backtracking-floor", "lem-gd-backtracking", by="worst case")
def test_backtracking_ends_on_its_floor_if_it_just_misses_or_just_passes(displayed):
    L, s = 1.7, 0.6
    f = lambda x: (L / 2 * (x**2).sum(-1), L * x)  # noqa: E731
    for first in ((1 + 1e-9) / L, 0.5 / L, 5.0):
        x = np.array([1.0, -0.4])
        t = float(Backtracking(f, first, s)(0, x, f(x)[1]))
        names = {"t": t, "t_0": first, "s": s, "L": L}
        assert displayed("eq-gd-backtracking-floor").holds(names, tight=first < 5, rtol=1e-8)


def vertex(f, x, g):
    """The step to the lowest point of the parabola on the ray, through three of its points."""
    square, linear, _ = np.polyfit([0, 1, 2], [f(x - t * g) for t in range(3)], 2)
    return -linear / (2 * square)


@pytest.mark.proves("eq-gd-exact-step", by="independent")
def test_the_exact_step_goes_to_the_vertex_of_the_parabola_on_the_ray(displayed, rng):
    A, _ = curvatures(rng, 0.4, 1.0, 3.0)
    f, gradient = bowl(A, center=0.3)
    for x in rng.normal(size=(2, 3, 1)):
        g = gradient(x)
        assert displayed("eq-gd-exact-step").holds({"g": g, "A": A, "t": vertex(f, x, g)})


@pytest.mark.proves("eq-gd-zigzag", by="worst case")
def test_exact_steps_zigzag_down_the_narrow_bowl(displayed):
    for kappa in (3.0, 10.0):
        f, gradient = bowl(np.diag([1.0, kappa]))
        points = [np.array([[kappa], [1.0]])]
        for _ in range(4):
            x, g = points[-1], gradient(points[-1])
            points.append(x - vertex(f, x, g) * g)
        for k in (2, 4):
            names = {GAPS: [f(x) for x in points], r"\kappa": kappa, "k": k}
            assert displayed("eq-gd-zigzag").holds(names)
