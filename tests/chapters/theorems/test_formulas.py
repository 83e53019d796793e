"""The chapter's displays as the page has them, and every bound of the bench from both sides."""

import numpy as np
import pytest

from dlcourse.convergence import nesterov
from dlcourse.convergence.statements import STATEMENTS
from dlcourse.convergence.worst_cases import KAPPA, SIGMA
from dlcourse.functions import Huber, Washboard
from tools.formula import displayed as shown
from tools.formula.mutants import BOUND, mutants
from tools.formula.trial import Trial

K = np.array([1, 2, 5])
SHARES = {
    r"s_{\text{small gradients}}": "thm-gd-stationary",
    r"s_{\text{convex}}": "thm-gd-convex",
    r"s_{\text{strongly convex}}": "thm-gd-linear",
    r"s_{\text{Nesterov}}": "thm-nesterov-convex",
}


def nesterov_points(slope, x, alpha, momentum, k):
    """The points x_0, ..., x_k of Nesterov's scheme, written out."""
    points, ahead = [x], x
    for step in range(1, k + 1):
        points.append(ahead - alpha * slope(ahead))
        ahead = points[-1] + momentum(step) * (points[-1] - points[-2])
    return points


@pytest.mark.proves("eq-worst-stationary", by="worst case")
def test_on_a_washboard_no_gradient_falls_below_the_first(displayed):
    L, wave = 1.7, Washboard(slope=1.3)  # of curvature 1
    for k in (1, 2, 5):
        x, slopes = np.array([1.3 * k]), []
        first = L * wave(x)[0]
        for _ in range(k):
            slopes.append(abs(L * wave(x)[1].item()))
            x = x - wave(x)[1]
        phrase = r"\max_f \, \min_{j < k} \lVert \nabla f(x^{(j)}) \rVert"
        names = {phrase: min(slopes), r"\Delta_0": first, "L": L, "k": k}
        assert displayed("eq-worst-stationary").holds(names)


@pytest.mark.proves("eq-worst-nesterov", by="worst case")
def test_on_a_huber_function_of_its_own_nesterovs_gap_is_that_of_the_formula(displayed):
    L, R = 1.7, 1.3
    for k in (1, 2, 5):
        delta = 4 * R / ((k + 2) * (k + 3))

        def slope(x, delta=delta):
            return L * np.clip(x, -delta, delta)

        last = nesterov_points(slope, R, 1 / L, lambda j: (j - 1) / (j + 2), k)[-1]
        gap = float(Huber(delta, L)(np.array([last]))[0])
        names = {r"\max_f \, f(x_k) - f^*": gap, "L": L, "R": R, "k": k}
        assert displayed("eq-worst-nesterov").holds(names)


@pytest.mark.proves("eq-worst-shares", by="worst case")
def test_the_worst_functions_of_the_bench_leave_the_shares_of_the_formulas(displayed):
    worst = {name: STATEMENTS[label].worst_case(K).shares[0] for name, label in SHARES.items()}
    for i, k in enumerate(K):
        names = {name: shares[i] for name, shares in worst.items()}
        assert displayed("eq-worst-shares").holds(names | {"k": int(k), "m": 1 / KAPPA, "M": 1.0})


# Every bound from both sides

GAP, SQUARE = "f(x_k) - f^*", r"\mathbb{E} \lVert x_k - x^* \rVert^2"
START = {r"\lVert x_0 - x^* \rVert": 1.0, "R": 1.0, r"\Delta_0": 1.0, r"\lVert g \rVert": 1.0}
START |= {r"\lVert \beta^{(0)} - \hat\beta \rVert": 1.0, r"\lVert x - x^* \rVert": 1.0}
CLASS = {"m": 1 / KAPPA, "M": 1.0, "L": 1.0, "t": 1.0, r"\alpha": 1.0, r"\sigma": SIGMA, "k_0": 6}
RATE = (np.sqrt(KAPPA) - 1) / (np.sqrt(KAPPA) + 1)
# The display of each bound, and what stands on its left and in it at a place, given the value.
BOUNDS = {
    "thm-gd-least-squares": (
        "eq-gd-least-squares-rate",
        lambda k, value: {r"\lVert \beta^{(k)} - \hat\beta \rVert": value, r"\rho": 1 - 1 / KAPPA},
    ),
    "lem-gd-descent": (
        "eq-gd-descent",
        lambda t, value: {"f(x - t g)": value, "f(x)": 0.0, "t": t},
    ),
    "thm-gd-stationary": (
        "eq-gd-stationary-rate",
        lambda k, value: {r"\min_{j < k} \lVert \nabla f(x^{(j)}) \rVert": value},
    ),
    "thm-gd-convex": ("eq-gd-convex-rate", lambda k, value: {r"\Delta_k": value}),
    "thm-gd-linear": ("eq-gd-linear-rate", lambda k, value: {r"\Delta_k": value}),
    "thm-hb-stability": (
        "eq-heavy-ball-distance",
        lambda k, value: {r"\lVert x_k - x^* \rVert": value, r"\rho": RATE},
    ),
    "thm-hb-optimal": (
        "eq-heavy-ball-distance",
        lambda k, value: {r"\lVert x_k - x^* \rVert": value, r"\rho": RATE},
    ),
    "thm-nesterov-convex": ("eq-nesterov-convex-rate", lambda k, value: {GAP: value}),
    "lem-sgd-contraction": (
        "eq-sgd-contraction",
        lambda share, value: {
            r"\lVert x - \alpha \nabla f(x) - x^* \rVert": value,
            r"\alpha": share * 2 / (1 / KAPPA + 1),
        },
    ),
    "thm-sgd-constant": (
        "eq-sgd-constant",
        lambda k, value: {SQUARE: value, "q": (1 - 1 / KAPPA) ** 2},
    ),
    "thm-sgd-decaying": ("eq-sgd-decaying", lambda k, value: {SQUARE: value}),
}


# What the worst function leaves of it, where that is not all.
LEFT = {
    "thm-gd-stationary": lambda k: np.sqrt(2 * k / (3 * k - 1)),
    "thm-gd-convex": lambda k: k / (2 * k + 1),
    "thm-gd-linear": lambda k: (1 - 1 / KAPPA) ** k,
    "thm-nesterov-convex": lambda k: (k + 1) ** 2 / ((k + 2) * (k + 3)),
}


def asked(label):
    """The trial of a statement's bound: at its share the value of the worst function attains it."""
    display, names = BOUNDS[label]
    trial, statement = Trial(display, shown(display).tex), STATEMENTS[label]
    values = statement.worst_case(statement.places).values[0]
    for place, value in zip(statement.places, values, strict=True):
        whole = value / LEFT.get(label, lambda k: 1.0)(place)
        assert trial.holds(START | CLASS | {"k": place} | names(place, whole), tight=True)
    return trial


def hundredths(trial):
    """The mutants with a bound that is a hundredth larger or smaller, and those not told."""
    made = [what for what, _ in mutants(trial.tex) if what.startswith(BOUND)]
    return made, [what for what in trial.survivors() if what in made]


@pytest.mark.proves(
    "thm-gd-least-squares",
    "lem-gd-descent",
    "thm-gd-stationary",
    "thm-gd-convex",
    "thm-gd-linear",
    "thm-hb-stability",
    "thm-hb-optimal",
    "thm-nesterov-convex",
    "lem-sgd-contraction",
    "thm-sgd-constant",
    "thm-sgd-decaying",
    by="worst case",
)
@pytest.mark.parametrize("label", BOUNDS)
def test_a_bound_a_hundredth_larger_or_smaller_is_told_from_the_one_on_the_page(label):
    made, kept = hundredths(asked(label))
    assert len(made) == 2
    assert kept == []


@pytest.mark.proves("thm-nesterov-strong", "eq-nesterov-strong-rate", by="worst case")
def test_with_a_large_kappa_nesterovs_bound_is_all_but_attained():
    kappa, k = 1e8, 200
    m, beta = 1 / kappa, nesterov.constant_momentum(1 / kappa, 1.0)
    f = Huber(delta=1 / (k * np.sqrt(kappa)), m=m)
    last = nesterov_points(lambda x: f(x)[1], np.ones(1), 1.0, lambda _: beta, k)[-1]
    names = {GAP: f(last)[0], r"\kappa": kappa, "k": k, "E_0": f(np.ones(1))[0] + m / 2}
    trial = Trial("eq-nesterov-strong-rate", shown("eq-nesterov-strong-rate").tex)
    assert trial.holds(names)
    assert trial.holds(names, tight=True, rtol=1e-3)
    assert trial.survivors() == []


@pytest.mark.proves("thm-nesterov-convex", "eq-nesterov-convex-rate", by="worst case")
def test_nesterovs_bound_with_a_smaller_divisor_is_told_from_the_one_on_the_page():
    trial = asked("thm-nesterov-convex")
    planted = trial.tex.replace("(k + 1)^2", "k^2")
    assert planted != trial.tex
    for _, (names,), options, _ in trial.asked:
        assert not Trial(trial.label, planted).holds(names, **options)


def test_every_statement_of_the_bench_has_its_bound_told_from_both_sides():
    assert set(BOUNDS) | {"thm-nesterov-strong"} == set(STATEMENTS)
