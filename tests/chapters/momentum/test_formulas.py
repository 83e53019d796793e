"""The chapter's displays, evaluated as the page has them."""

import numpy as np
import pytest
import torch
from scipy.linalg import solve_discrete_lyapunov
from scipy.optimize import brentq, minimize, minimize_scalar

from dlcourse.chapters.momentum import conventions
from dlcourse.optim import GrowingMomentum, Nesterov, walk
from tools.formula import one_based

ALPHA, BETA = 0.13, 0.8


def torch_run(gradients, start=0.0, **settings):
    """Points of torch.optim.SGD under these gradients, and the velocities that it keeps."""
    x = torch.full(gradients.shape[1:], start, dtype=torch.float64, requires_grad=True)
    sgd = torch.optim.SGD([x], **{"lr": ALPHA, "momentum": BETA} | settings)
    points, velocities = [x.detach().numpy().copy()], [np.zeros(gradients.shape[1:])]
    for grad in gradients:
        x.grad = torch.from_numpy(grad)
        sgd.step()
        points.append(x.detach().numpy().copy())
        velocities.append(sgd.state[x]["momentum_buffer"].numpy().copy())
    return points, velocities


def columns(paths):
    """Paths as lists of columns, as the page has its points."""
    return {name: [np.asarray(point)[:, None] for point in path] for name, path in paths.items()}


def matrix(h, beta):
    """What a step does to x_k and x_{k-1}, from the rule without the velocity."""
    return np.array([[1 + beta - h, -beta], [1.0, 0.0]])


def rate(h, beta):
    return np.abs(np.linalg.eigvals(matrix(h, beta))).max()


# The velocity


@pytest.mark.proves(
    "eq-heavy-ball-step", "eq-heavy-ball-sum", "eq-heavy-ball-two-point", by="independent"
)
def test_heavy_ball_is_torch(displayed, rng):
    gradients = rng.normal(size=(8, 3))
    x, v = torch_run(gradients)
    run = columns({"x": x, "v": v, "g": gradients}) | {r"\alpha": ALPHA, r"\beta": BETA}
    for k in range(1, 8):
        assert displayed("eq-heavy-ball-step").holds(run | {"k": k})
        assert displayed("eq-heavy-ball-sum").holds(run | {"k": k})
        assert displayed("eq-heavy-ball-two-point").holds(run | {"k": k})


@pytest.mark.proves("eq-heavy-ball-terminal", "eq-heavy-ball-cancel", by="independent")
def test_the_moves_of_torch_settle_at_the_terminal_speed_and_at_the_cancelled_one(displayed):
    for g in (1.7, 0.4):
        moves = []
        for sign in (1.0, -1.0):
            slopes = g * sign ** np.arange(200)[:, None]
            points, _ = torch_run(slopes)
            moves.append(abs(points[-1] - points[-2]).item())
        names = {r"\alpha": ALPHA, r"\beta": BETA, "g": g}
        assert displayed("eq-heavy-ball-terminal").value(names) == pytest.approx(moves[0])
        assert displayed("eq-heavy-ball-cancel").value(names) == pytest.approx(moves[1])


# The plane


@pytest.mark.proves("eq-heavy-ball-matrix", by="independent")
def test_a_step_on_one_axis_is_the_matrix(displayed):
    lam, points = 2.7, [np.array([1.7])]
    for _ in range(4):  # again from the start, as each gradient depends on the point
        points, v = torch_run(lam * np.stack(points), start=1.7)
    pairs = np.stack([ALPHA * np.ravel(v), np.ravel(points)])
    R = pairs[:, 1:3] @ np.linalg.inv(pairs[:, :2])  # what takes two pairs to the next
    names = columns({"x": points, "v": v}) | {r"\alpha": ALPHA, r"\beta": BETA, "R": R}
    for k in range(4):
        assert displayed("eq-heavy-ball-matrix").holds(names | {r"\lambda": lam, "k": k})


@pytest.mark.proves(
    "eq-heavy-ball-eigenvalues", "eq-heavy-ball-radius", "eq-heavy-ball-power", by="independent"
)
def test_eigenvalues_rate_and_powers_are_those_of_the_matrix(displayed, rng):
    for h, beta in rng.uniform([0.1, 0.05], [4.5, 0.95], (60, 2)):
        alpha, R = rng.uniform(0.5, 2), matrix(h, beta)
        first, second = sorted(np.linalg.eigvals(R), key=lambda s: (s.real, s.imag))[::-1]
        names = {r"\alpha": alpha, r"\beta": beta, r"\lambda": h / alpha}
        for sign, root in [(1, first), (-1, second)]:
            asked = names | {r"\sigma_{1,2}": root, r"\pm": sign}
            assert displayed("eq-heavy-ball-eigenvalues").holds(asked, rtol=1e-7)
        asked = {r"\rho": max(abs(first), abs(second)), "s": 1 + beta - h, r"\beta": beta}
        assert displayed("eq-heavy-ball-radius").holds(asked, rtol=1e-7)
        asked = {"R": R, "I": np.eye(2), r"\sigma_1": first, r"\sigma_2": second, "k": 3}
        assert displayed("eq-heavy-ball-power").holds(asked, rtol=1e-7)


@pytest.mark.proves("eq-heavy-ball-stable", by="truth")
def test_runs_arrive_up_to_the_limit_and_leave_beyond_it(displayed):
    alpha = 1.3
    for beta in (0.0, 0.35, 0.9):
        limit = brentq(lambda h, beta=beta: rate(h, beta) - 1 - 1e-12, 1.5 + beta, 5)
        names = {r"\alpha": alpha, r"\beta": beta, "i": 2}
        for share in (1e-3, 0.5, 0.999):
            curvatures = one_based([1.0, share * limit / alpha])
            assert rate(share * limit, beta) < 1
            assert displayed("eq-heavy-ball-stable").holds(names | {r"\lambda": curvatures})
        for share in (1.001, -1e-3):
            curvatures = one_based([1.0, share * limit / alpha])
            assert rate(share * limit, beta) > 1
            assert displayed("eq-heavy-ball-stable").fails(names | {r"\lambda": curvatures})


@pytest.mark.proves("eq-heavy-ball-distance", by="worst case")
def test_the_distance_keeps_to_its_bound_and_meets_it_at_the_negative_double_root(displayed, rng):
    star = rng.normal(size=2)
    for beta, curvatures in [(0.36, [2.56, 2.56]), (0.09, [1.69, 1.69]), (0.5, [0.2, 1.9])]:
        x = [star + rng.normal(size=2)]
        x.append(x[0] - curvatures * (x[0] - star))
        for _ in range(10):
            x.append(x[-1] - curvatures * (x[-1] - star) + beta * (x[-1] - x[-2]))
        rho = max(rate(h, beta) for h in curvatures)
        names = columns({"x": x}) | {"x^*": star[:, None], r"\rho": rho}
        for k in (1, 3, 10):
            is_worst = curvatures[0] == curvatures[1]
            asked = names | {"k": k}
            assert displayed("eq-heavy-ball-distance").holds(asked, tight=is_worst, rtol=1e-6)


# The best two numbers


@pytest.mark.proves("eq-heavy-ball-optimal", "eq-heavy-ball-rate", by="worst case")
def test_a_search_ends_at_the_best_two_numbers(displayed):
    for m, M in [(0.7, 5.0), (0.2, 3.1)]:
        curvatures = np.linspace(m, M, 7)

        def worst(pair, curvatures=curvatures):
            alpha, beta = pair
            inside = 0 <= beta < 1 and alpha > 0
            return max(rate(alpha * c, beta) for c in curvatures) if inside else 2.0

        found = minimize(
            worst, [1 / M, 0.3], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-9}
        )
        names = {"m": m, "M": M, r"\kappa": M / m, r"\rho^*": found.fun}
        names |= {r"\alpha^*": found.x[0], r"\beta^*": found.x[1]}
        assert displayed("eq-heavy-ball-optimal").holds(names, rtol=1e-3)
        assert displayed("eq-heavy-ball-rate").holds(names, rtol=1e-3)


@pytest.mark.proves("eq-heavy-ball-proof-ratio", by="worst case")
def test_the_steps_of_a_rate_reach_as_far_as_the_proof_says(displayed):
    def step_at(root, beta):
        """The step that has this eigenvalue: the determinant is linear in it."""
        none, one = (np.linalg.det(root * np.eye(2) - matrix(h, beta)) for h in (0, 1))
        return none / (none - one)

    for r, beta in [(0.6, 0.36), (0.6, 0.2), (0.8, 0.64)]:
        kappa = step_at(-r, beta) / step_at(r, beta)
        names = {r"\kappa": kappa, "r": r, r"\beta": beta}
        tight = True if beta > 0.99 * r**2 else [1]
        assert displayed("eq-heavy-ball-proof-ratio").holds(names, tight=tight)
        names[r"\kappa"] *= 0.7  # a bar that fits with room
        assert displayed("eq-heavy-ball-proof-ratio").holds(names)


@pytest.mark.proves("eq-heavy-ball-steps", by="independent")
def test_the_numbers_of_steps_for_large_condition_numbers(displayed):
    for kappa, eps in [(1e6, 1e-6), (3e5, 1e-3)]:
        best = (np.sqrt(kappa) - 1) / (np.sqrt(kappa) + 1)
        rates = [(kappa - 1) / (kappa + 1), best]
        plain, fast = np.log(eps) / np.log(rates)
        names = {r"k_{\text{GD}}": plain, r"k_{\text{HB}}": fast}
        names |= {r"\kappa": kappa, r"\varepsilon": eps}
        assert displayed("eq-heavy-ball-steps").holds(names)


@pytest.mark.proves("eq-heavy-ball-critical", by="worst case")
def test_a_search_ends_at_the_critical_momentum(displayed):
    for alpha, lam in [(0.7, 0.3), (0.1, 0.2), (1.9, 0.4)]:
        found = minimize_scalar(
            lambda beta, h=alpha * lam: rate(h, beta), bounds=(0, 1), options={"xatol": 1e-10}
        )
        names = {r"\alpha": alpha, r"\lambda": lam, r"\beta": found.x}
        assert displayed("eq-heavy-ball-critical").holds(names, rtol=1e-5)


@pytest.mark.proves("eq-heavy-ball-memory", by="truth")
def test_the_memory_fades_to_one_over_e(displayed):
    assert displayed("eq-heavy-ball-memory").holds({r"\beta": 1 - 1e-6}, near=1e-6)


# One word, four rules


@pytest.mark.proves("eq-heavy-ball-sutskever", by="independent")
def test_sutskevers_velocity_keeps_the_rates_of_its_gradients(displayed, rng):
    gradients, rates = rng.normal(size=(6, 3)), [0.3, 0.1, 0.2, 0.05, 0.4, 0.15]
    x = walk(
        conventions.Sutskever(lambda k, *_: rates[k], BETA),
        np.zeros(3),
        lambda k, x: gradients[k],
        6,
    )
    faded = BETA ** np.abs(np.subtract.outer(range(6), range(6))) * np.tri(6)
    u = np.vstack([np.zeros(3), -faded @ (np.array(rates)[:, None] * gradients)])
    for k in range(6):
        names = columns({"x": x, "u": u, "g": gradients})
        assert displayed("eq-heavy-ball-sutskever").holds(
            names | {r"\alpha": rates, r"\beta": BETA, "k": k}
        )


@pytest.mark.proves("eq-heavy-ball-average", "eq-heavy-ball-dampening", by="independent")
def test_average_and_dampening_are_torch_with_the_right_settings(displayed, rng):
    gradients = rng.normal(size=(6, 3))
    x, _ = torch_run(gradients, lr=ALPHA * (1 - BETA))
    _, v = torch_run(gradients, dampening=BETA)
    a = [torch.zeros(3, dtype=torch.float64)]
    for grad in gradients:  # as torch.optim.Muon averages
        a.append(a[-1].lerp(torch.from_numpy(grad), 1 - BETA))
    for k in range(1, 6):
        names = columns({"x": x, "a": a, "v": v, "g": gradients}) | {"k": k}
        names |= {r"\alpha": ALPHA, r"\beta": BETA}
        assert displayed("eq-heavy-ball-average").holds(names)
        assert displayed("eq-heavy-ball-dampening").holds(names, tight=k == 1)


# Nesterov


def scheme(x, gradient, alpha, beta, n_steps):
    """Points x and y of Nesterov's scheme, `beta(k)` being the momentum after k gradients."""
    xs, ys = [x], [x]
    for k in range(1, n_steps + 1):
        xs.append(ys[-1] - alpha * gradient(ys[-1]))
        ys.append(xs[-1] + beta(k) * (xs[-1] - xs[-2]))
    return xs, ys


@pytest.mark.proves("eq-nesterov-scheme", "eq-nesterov-velocity", by="independent")
def test_the_two_forms_of_nesterovs_method_are_one_path(displayed, rng):
    start, beta, H = rng.normal(size=3), [0.0, 0.3, 0.7, 0.5, 0.9, 0.2], rng.normal(size=(3, 3))

    def gradient(y):
        return np.sinh(y) + H @ H.T @ y

    optimizer = Nesterov(ALPHA, lambda k, *_: beta[int(k)])
    y, v, state = [start], [np.zeros(3)], optimizer.init(start)
    for _ in range(4):
        following, state = optimizer.step(y[-1], gradient(y[-1]), state)
        y.append(following)
        v.append(state.velocity)
    x = start - ALPHA * np.cumsum(v, axis=0)  # the points are moved by the velocity
    rates = {r"\alpha": ALPHA, r"\beta": beta, r"\nabla f": lambda y: gradient(y[:, 0])[:, None]}
    for k in range(4):
        assert displayed("eq-nesterov-scheme").holds(columns({"x": x, "y": y}) | rates | {"k": k})
    x, y = scheme(start, gradient, ALPHA, lambda k: beta[k], 4)
    v = np.vstack([np.zeros(3), -np.diff(x, axis=0) / ALPHA])
    for k in range(4):
        names = columns({"y": y, "v": v, "g": list(map(gradient, y))}) | rates | {"k": k}
        assert displayed("eq-nesterov-velocity").holds(names)


@pytest.mark.proves("eq-nesterov-growing", by="independent")
def test_the_growing_momentum_is_that_of_the_sequence_in_the_proof(displayed):
    t = (np.arange(12) + 1) / 2
    for k in range(1, 10):
        names = {r"\beta": {k: (t[k] - 1) / t[k + 1]}, "k": k}
        assert displayed("eq-nesterov-growing").holds(names, tight=k == 1)
        names = {r"\beta": {k: GrowingMomentum()(k)}, "k": k}
        assert displayed("eq-nesterov-growing").holds(names)


def huber(delta, L, m):
    """A cone with a round tip, its value and its gradient, and a ridge m below L."""

    def value(x):
        inside = np.minimum(abs(x), delta)
        return float((L - m) * inside * (abs(x) - inside / 2) + m / 2 * x**2)

    return value, lambda x: (L - m) * np.clip(x, -delta, delta) + m * x


@pytest.mark.proves("eq-nesterov-convex-rate", by="worst case")
def test_the_convex_bound_is_met_in_the_limit_by_a_cone_with_a_round_tip(displayed):
    L, R, star, least = 2.5, 1.7, 0.3, -0.6
    for k in (1, 4, 1_000):
        f, gradient = huber(4 * R / ((k + 2) * (k + 3)), L, 0.0)
        x, _ = scheme(R, gradient, 1 / L, GrowingMomentum(), k)
        names = {"f": lambda x, f=f: f(x - star) + least, "x_k": star + x[k], "x_0": star + R}
        names |= {"f^*": least, "x^*": star, "k": k, r"\alpha": 1 / L}
        assert displayed("eq-nesterov-convex-rate").holds(names)
    # (k + 1)^2 / ((k + 2) (k + 3)) of the bound: 3 in a thousand are missing, neither 1 nor 5.
    assert displayed("eq-nesterov-convex-rate").holds(names, tight=True, rtol=2e-3)
    assert displayed("eq-nesterov-convex-rate").fails(names, tight=True, rtol=1e-3)


@pytest.mark.proves("eq-nesterov-constant", by="independent")
def test_the_constant_momentum_is_critical_on_the_flattest_axis(displayed):
    for m, M in [(0.7, 5.0), (0.2, 3.1)]:
        left = 1 - m / M  # of the axis after a gradient step
        roots = np.roots([left, 2 * left - 4, left])  # both eigenvalues are one
        names = {r"\beta": min(roots.real), r"\kappa": M / m}
        assert displayed("eq-nesterov-constant").holds(names)


@pytest.mark.proves("eq-nesterov-strong-rate", by="worst case")
def test_the_linear_bound_is_met_to_first_order_while_steps_are_few(displayed):
    M, R, least = 2.5, 1.7, -0.6
    for k, kappa in [(3, 10.0), (30, 10.0), (100, 1e8)]:
        m, q = M / kappa, kappa**-0.5
        f, gradient = huber(R / k * q, M, m)
        x, _ = scheme(R, gradient, 1 / M, lambda k, q=q: (1 - q) / (1 + q), k)
        names = {"f": lambda x, f=f: f(x) + least, "x": x, "k": k, r"\kappa": kappa}
        names |= {"f^*": least, "E_0": f(R) + m / 2 * R**2}
        assert displayed("eq-nesterov-strong-rate").holds(names)
    assert displayed("eq-nesterov-strong-rate").holds(names, tight=True, rtol=1e-4)


@pytest.mark.proves("eq-nesterov-restart", by="truth")
def test_the_product_is_negative_where_the_move_goes_uphill(displayed):
    H = np.diag([0.02, 1.0])
    x, v, before = np.array([[3.0], [0.1]]), np.zeros((2, 1)), set()
    for k in range(60):
        g = H @ x
        v = 0.95 * v + g
        moved = x - 1e-4 * v
        is_uphill = (moved.T @ H @ moved > x.T @ H @ x).item()
        names = {"g": {k: g}, "v": {k + 1: v}, "k": k}
        before.add(is_uphill)
        if is_uphill:
            assert displayed("eq-nesterov-restart").holds(names)
        else:
            assert displayed("eq-nesterov-restart").fails(names)
        x = x - 0.5 * v
    assert before == {True, False}


# Noise


@pytest.mark.proves("eq-heavy-ball-floor", by="independent")
def test_the_noise_floor_is_the_variance_that_a_step_leaves_as_it_is(displayed):
    for alpha, beta, lam, sigma in [(0.3, 0.6, 1.7, 0.9), (0.05, 0.2, 0.4, 2.1)]:
        noise = np.diag([(alpha * sigma) ** 2, 0])
        deviation = np.sqrt(solve_discrete_lyapunov(matrix(alpha * lam, beta), noise)[0, 0])
        worlds = [(0.5, {"x_k": 0.7 + side * deviation}) for side in (1, -1)]
        names = {"x^*": 0.7, r"\alpha": alpha, r"\beta": beta, r"\lambda": lam, r"\sigma": sigma}
        assert displayed("eq-heavy-ball-floor").holds(names, worlds, near=1e-9)
