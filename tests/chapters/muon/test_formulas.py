"""The chapter's displays, evaluated as the page has them."""

import numpy as np
import pytest
import scipy.linalg
import sympy
import torch
from scipy.optimize import brentq

from dlcourse.chapters.muon.attention import Heads, toy_heads
from dlcourse.chapters.muon.orthogonalization import CLASSICAL, MUON
from dlcourse.optim import Muon, newton_schulz, walk
from dlcourse.optim.muon import qk_clip
from tests.chapters.muon.test_statements import Counted, orthogonal
from tools.formula import one_based

SHAPES = [(5, 3), (3, 4), (4, 4)]  # tall, wide, square
PHI = np.polynomial.Polynomial([0, MUON[0], 0, MUON[1], 0, MUON[2]])


def polar(G):
    """By SciPy, from a matrix root and no singular value decomposition of ours."""
    G = np.asarray(G)
    return scipy.linalg.polar(G, "right" if G.shape[0] >= G.shape[1] else "left")[0]


def decomposed(G):
    """Names of the singular value decomposition of a matrix, those of the page."""
    U, s, Vt = np.linalg.svd(G, full_matrices=False)
    names = {"G": G, "U": U, "S": np.diag(s), "V": Vt.T, "d": len(s), "s": one_based(s)}
    return names | {"u": one_based(U.T[:, :, None]), "v": one_based(Vt[:, :, None])}


def iterates(G, n_iterations, coefficients, monkeypatch):
    """What torch makes of a wide matrix, without the rounding to bfloat16."""
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)
    scale = torch.optim._muon._zeropower_via_newtonschulz
    return scale(torch.from_numpy(G), coefficients, n_iterations, 1e-12).numpy()


# The nearest orthogonal matrix


@pytest.mark.proves("eq-muon-svd", "eq-muon-polar", by="independent")
def test_a_matrix_and_its_polar_factor_are_sums_over_singular_vectors(displayed, rng):
    for shape in SHAPES:
        names = decomposed(rng.normal(size=shape)) | {r"\operatorname{polar}": polar}
        assert displayed("eq-muon-svd").holds(names)
        assert displayed("eq-muon-polar").holds(names)


@pytest.mark.proves("eq-muon-nearest", "eq-muon-proof-expand", by="instances")
def test_no_orthogonal_matrix_is_nearer_than_the_polar_factor(displayed, rng):
    for shape in SHAPES:
        G = rng.normal(size=shape)
        near = [polar(polar(G) + 0.1 * rng.normal(size=shape)) for _ in range(20)]
        others = [polar(G), *near, *(orthogonal(rng, *shape) for _ in range(20))]
        assert displayed("eq-muon-nearest").holds(decomposed(G) | {"O": others})
        assert displayed("eq-muon-proof-expand").holds(decomposed(G) | {"O": others[-1]})


@pytest.mark.proves("eq-muon-turns", by="instances")
def test_the_polar_factor_turns_with_inputs_and_outputs(displayed, rng):
    for shape in SHAPES:
        G, P, R = rng.normal(size=shape), *(orthogonal(rng, n, n) for n in shape)
        names = {"G": G, "P": P, "R": R, r"\operatorname{polar}": polar}
        assert displayed("eq-muon-turns").holds(names)


# Steepest descent


@pytest.mark.proves("eq-muon-output-change", by="worst case")
def test_an_output_changes_by_no_more_than_the_spectral_norm_and_one_input_by_that(displayed, rng):
    for shape in SHAPES:
        D = rng.normal(size=shape)
        worst = np.linalg.eigh(D @ D.T)[1][:, -1]
        assert displayed("eq-muon-output-change").holds(
            {"D": D, "x": rng.normal(size=shape[:1])[None]}
        )
        assert displayed("eq-muon-output-change").holds({"D": D, "x": 3 * worst[None]}, tight=True)


@pytest.mark.proves("eq-muon-steepest", "eq-muon-steepest-penalty", by="worst case")
def test_no_step_is_steeper_than_the_polar_factor(displayed, rng):
    for shape in SHAPES:
        G, alpha, L = rng.normal(size=shape), 0.3, 1.7
        others = [*rng.normal(size=(9, *shape)), *(0.1 * rng.normal(size=(9, *shape)) - polar(G))]
        steps = [polar(G), *(D / np.linalg.norm(D, 2) for D in others)]
        lengths = (-2.0 * alpha, -alpha, alpha, 0.5 * alpha)  # the first of them is too long
        names = {"G": G, r"\alpha": alpha, "D": [r * D for D in steps for r in lengths]}
        assert displayed("eq-muon-steepest").holds(names)
        best = np.linalg.svd(G)[1].sum() / L
        names = {"G": G, "L": L, "D": [r * best * D for D in steps for r in (-1.1, -1, -0.9, 1)]}
        assert displayed("eq-muon-steepest-penalty").holds(names)


# Newton-Schulz


@pytest.mark.proves("eq-newton-schulz-start", "eq-newton-schulz", by="independent")
def test_newton_schulz_is_what_torch_computes_without_its_rounding(displayed, rng, monkeypatch):
    for coefficients in (MUON, (1.3, -0.6, 0.4)):
        G = rng.normal(size=(3, 5))
        X = [iterates(G, i, coefficients, monkeypatch) for i in range(4)]
        names = {"X": X, "G": G, "A": [np.einsum("ik,jk->ij", x, x) for x in X]}
        assert displayed("eq-newton-schulz-start").holds(names)
        for i in range(3):
            names |= dict(zip("abc", coefficients, strict=True)) | {"i": i}
            assert displayed("eq-newton-schulz").holds(names)


@pytest.mark.proves("eq-newton-schulz-polynomial", "eq-newton-schulz-composite", by="independent")
def test_an_iteration_of_torch_sends_each_singular_value_through_the_polynomial(
    displayed, rng, monkeypatch
):
    G = rng.normal(size=(3, 5))
    names = decomposed(G)
    shares = np.diag(names["S"]) / np.linalg.norm(G)
    for coefficients in (MUON, (1.3, -0.6, 0.4)):
        X = iterates(G, 1, coefficients, monkeypatch)
        sent = dict(zip(shares, np.diag(names["U"].T @ X @ names["V"]), strict=True))
        asked = dict(zip("abc", coefficients, strict=True)) | {r"\varphi": sent.get}
        for s in shares:
            assert displayed("eq-newton-schulz-polynomial").holds(asked | {"s": s})
    after = iterates(G, 5, MUON, monkeypatch)
    names |= {"T": 5, "X": {5: after}, "s_i": np.diag(names["S"])}
    names[r"\varphi_T"] = lambda s: PHI(PHI(PHI(PHI(PHI(s)))))
    assert displayed("eq-newton-schulz-composite").holds(names)


def band():
    """Smallest and largest value that the polynomial keeps to, from the roots of its slope."""
    turns = PHI.deriv().roots()
    return np.sort(PHI(turns[(abs(turns.imag) < 1e-9) & (turns.real > 0)].real))


@pytest.mark.proves("eq-newton-schulz-band", by="instances")
def test_the_band_is_mapped_into_itself(displayed):
    low, high = band()
    turns = [x for x in PHI.deriv().roots().real if low < x < high]
    inside = [low, *turns, *np.linspace(low, high, 12)[1:]]
    names = {r"[\ell, h]": inside, r"\varphi": PHI, r"\ell": low, "h": high}
    assert displayed("eq-newton-schulz-band").holds(names)


@pytest.mark.proves("eq-newton-schulz-classical", by="symbolic")
def test_the_classical_polynomial_is_flat_at_one(displayed):
    s = sympy.Symbol("s")
    phi = sum(sympy.nsimplify(x) * s**n for x, n in zip(CLASSICAL, (1, 3, 5), strict=True))
    names = {
        rf"\varphi{primes}": sympy.lambdify(s, sympy.diff(phi, s, len(primes)))
        for primes in ("", "'", "''")
    }
    assert displayed("eq-newton-schulz-classical").holds(names)


# The optimizer


@pytest.mark.proves("eq-muon-velocity", by="independent")
def test_the_gradients_are_added_up_as_torch_adds_them(displayed, rng):
    weight, G, beta = (
        torch.nn.Parameter(torch.zeros(3, 2).double()),
        rng.normal(size=(6, 3, 2)),
        0.8,
    )
    sgd, added = torch.optim.SGD([weight], lr=0.1, momentum=beta), [np.zeros((3, 2))]
    for grad in G:
        weight.grad = torch.from_numpy(grad)
        sgd.step()
        added.append(sgd.state[weight]["momentum_buffer"].numpy().copy())
    for k in range(6):
        names = {r"\bar G": added, r"\beta": beta, "G": list(G), "k": k}
        assert displayed("eq-muon-velocity").holds(names)


@pytest.mark.proves("eq-muon-step", by="independent")
def test_a_step_goes_along_the_iterate_of_the_look_ahead(displayed, rng, monkeypatch):
    beta, decay, r, rates = 0.7, 0.3, 1.9, [0.2, 0.5, 0.1]
    G, W = rng.normal(size=(3, 3, 4)), rng.normal(size=(3, 4))
    optimizer = Muon(lambda k, *_: rates[k], beta, decay, scale=lambda *_: r)
    points = walk(optimizer, W, lambda k, W: G[k], 3)
    faded = beta ** np.abs(np.subtract.outer(range(3), range(3))) * np.tri(3)
    added = [np.zeros((3, 4)), *np.tensordot(faded, G, 1)]
    steps = [
        iterates(grad + beta * bar, 5, MUON, monkeypatch)
        for grad, bar in zip(G, added[1:], strict=True)
    ]
    for k in range(3):
        names = {"W": list(points), "N": steps, "G": list(G), r"\bar G": added, "k": k, "r": r}
        names |= {r"\beta": beta, r"\lambda": decay, r"\alpha": rates}
        names[r"\operatorname{NS}"] = lambda X: iterates(X, 5, MUON, monkeypatch)
        assert displayed("eq-muon-step").holds(names)


@pytest.mark.proves("eq-muon-rms", "eq-muon-output-rms", by="instances")
def test_an_orthogonal_step_has_the_stated_size(displayed, rng):
    for p, q in SHAPES:
        step = orthogonal(rng, p, q)
        assert displayed("eq-muon-rms").holds({"O": step, "p": p, "q": q})
        axes = np.sqrt(p) * orthogonal(rng, p, p)  # so x has the moments of the lemma
        worlds = [(1 / (2 * p), {"x": sign * x[None]}) for x in axes for sign in (1, -1)]
        assert displayed("eq-muon-output-rms").holds({"O": step, "p": p, "q": q}, worlds)


@pytest.mark.proves("eq-muon-jordan", "eq-muon-moonlight", by="independent")
def test_the_factors_are_those_of_torch(displayed):
    factor = torch.optim._muon._adjust_lr
    for p, q in [(16, 16), (16, 48), (48, 16)]:
        stored = torch.Size((q, p))  # torch stores the transpose
        names = {"p": p, "q": q, "r": factor(1.0, "original", stored)}
        assert displayed("eq-muon-jordan").holds(names)
        names = {"p": p, "q": q, "r": factor(1.0, "match_rms_adamw", stored)}
        assert displayed("eq-muon-moonlight").holds(names)


def longest_step(rng, shape):
    """A gradient whose iterate has a singular value at the upper end of the band, and its axis."""
    top = PHI.deriv().roots()
    top = min(x.real for x in top if x.real > 0)  # where the polynomial is largest
    share = brentq(lambda s: PHI(PHI(PHI(PHI(s)))) - top, 0, 1 / MUON[0] ** 4)
    U, V = orthogonal(rng, shape[0], 2), orthogonal(rng, shape[1], 2)
    return U * [share, np.sqrt(1 - share**2)] @ V.T, np.outer(U[:, 0], V[:, 0])


@pytest.mark.proves("eq-muon-decay-bound", "eq-muon-proof-decay", by="worst case")
def test_decay_bounds_the_matrix_and_one_gradient_takes_it_there(displayed, rng):
    h, shape, r, decay = band()[1], (3, 5), 1.9, 0.7
    G, axis = longest_step(rng, shape)
    names = {"h": h, "r": r, r"\lambda": decay}
    for alpha, first in [(1 / decay, 0.2 * axis), (0.4, -h * r / decay * axis), (0.4, 5 * axis)]:
        optimizer = Muon(alpha, 0.5, decay, scale=lambda *_: r)
        W = list(walk(optimizer, first, lambda k, W: (1 - 2 * k) * G, 2))
        is_longest = np.linalg.norm(first, 2) <= h * r / decay * (1 + 1e-12)
        assert displayed("eq-muon-decay-bound").holds(names | {"W": W, "k": 1}, tight=is_longest)
        assert displayed("eq-muon-decay-bound").holds(
            names | {"W": W, "k": 0}, tight=not is_longest
        )
        B = max(np.linalg.norm(first, 2), h * r / decay)
        asked = names | {"W": W, "k": 0, "B": B, r"\alpha": [alpha]}
        assert displayed("eq-muon-proof-decay").holds(asked, tight=is_longest)


@pytest.mark.proves("eq-muon-overhead", by="worst case")
def test_newton_schulz_costs_the_counted_products_and_most_for_a_square_matrix(displayed, rng):
    for p, q in [(7, 7), (4, 9), (9, 8), (8, 9)]:
        Counted.flops, n_rows = 0, 3
        newton_schulz(rng.normal(size=(p, q)).view(Counted))
        iterations = Counted.flops
        x, W = rng.normal(size=(n_rows, p)).view(Counted), rng.normal(size=(p, q)).view(Counted)
        Counted.flops = 0
        y = x @ W  # forward, then the gradients of the weights and of the inputs
        x.T @ y, y @ W.T
        names = {r"\text{Newton-Schulz}": iterations, r"\text{layer}": Counted.flops, "T": 5}
        names |= {"d": min(p, q), "D": max(p, q), "p": p, "q": q, r"\mathcal{B}": n_rows}
        shown = displayed("eq-muon-overhead")
        assert shown.holds(names, tight=p == q)
        is_almost_square = abs(p - q) == 1
        assert not is_almost_square or shown.holds(names, tight=True, rtol=0.02)


# Known truth


@pytest.mark.proves("eq-muon-matrix-regression", by="derivative")
def test_the_gradient_of_the_regression_is_the_derivative_of_its_mean_square(displayed, rng):
    X, truth, W = rng.normal(size=(9, 3)), rng.normal(size=(3, 4)), rng.normal(size=(3, 4))

    def f(W):
        return 0.5 * np.mean(np.sum((X @ (W - truth)) ** 2, axis=1))

    def slopes(W):
        units = np.eye(12).reshape(12, 3, 4)
        return np.reshape([f(W + E / 2) - f(W - E / 2) for E in units], (3, 4))  # f is quadratic

    names = {"f": f, r"\nabla f": slopes, "W": W, "E": W - truth, "A": X.T @ X / 9}
    assert displayed("eq-muon-matrix-regression").holds(names)


@pytest.mark.proves("eq-muon-straight", by="instances")
def test_the_steps_walk_straight_to_the_truth(displayed, rng):
    c, alpha, truth, Q = 2.3, 0.25, rng.normal(size=(3, 4)), orthogonal(rng, 3, 4)
    axes = orthogonal(rng, 3, 3)
    A, W = axes * [1.0, 0.1, 0.01] @ axes.T, [truth + c * Q]
    for k in range(8):
        names = {"W": W, "W^*": truth, "c": c, "k": k, r"\alpha": alpha, "Q": Q}
        assert displayed("eq-muon-straight").holds(names)
        W.append(W[-1] - alpha * polar(A @ (W[-1] - truth)))


# Attention logits


@pytest.mark.proves("eq-qk-logits", by="independent")
def test_a_logit_is_the_product_of_a_query_and_a_key(displayed, rng):
    X, W_q, W_k = rng.normal(size=(4, 5)), rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
    heads = Heads(W_q[None], W_k[None], np.zeros((1, 5, 0)), np.zeros((5, 0)))
    (logits,) = heads.logits(X)
    rows = {"x": X, "q": np.einsum("ia,ab->ib", X, W_q), "k": np.einsum("ia,ab->ib", X, W_k)}
    names = {name: one_based(rows[name][:, None]) for name in rows}
    names |= {"S": one_based(logits), "W_q": W_q, "W_k": W_k, r"\delta": 3}
    for i, j in [(1, 2), (4, 3)]:
        assert displayed("eq-qk-logits").holds(names | {"i": i, "j": j})


@pytest.mark.proves("eq-qk-logit-bound", by="worst case")
def test_a_logit_stays_below_the_norms_and_reaches_them(displayed, rng):
    U, Y, V = (orthogonal(rng, n, 3) for n in (6, 6, 3))
    W_q, W_k = U * [3.0, 2.0, 0.5] @ V.T, Y * [1.7, 1.1, 0.3] @ V.T
    heads = Heads(W_q[None], W_k[None], np.zeros((1, 6, 0)), np.zeros((6, 0)))
    longest = np.stack([1.3 * U[:, 0], -0.8 * Y[:, 0]])
    for X in (longest, rng.normal(size=(2, 6))):
        names = {"x": one_based(X[:, None]), "S": one_based(heads.logits(X)[0]), "i": 1, "j": 2}
        names |= {"W_q": W_q, "W_k": W_k, r"\delta": 3}
        assert displayed("eq-qk-logit-bound").holds(names, tight=X is longest)


@pytest.mark.proves("eq-qk-clip", "eq-qk-clip-weights", "eq-qk-clip-latent", by="truth")
def test_a_clip_scales_what_the_package_scales_and_every_logit_by_gamma(displayed, rng):
    X = rng.normal(size=(12, 7))
    heads = toy_heads(X, [900.0, 30.0], rng, d=5, d_rotary=3)
    largest, before = heads.largest_logits(X), heads.logits(X)
    clipped = heads.clipped(largest, threshold=80.0)
    for head in (0, 1):
        gamma = (clipped.logits(X)[head] / before[head])[3, 5]
        names = {r"\gamma": gamma, r"\tau": 80.0, r"S_{\max}": largest[head]}
        assert displayed("eq-qk-clip").holds(names)
        W_q, W_k = qk_clip(heads.W_q[head], heads.W_k[head], largest[head], threshold=80.0)
        names |= {"W_q": heads.W_q[head], "W_k": heads.W_k[head]}
        names |= {r"W_q \leftarrow": W_q, r"W_k \leftarrow": W_k}
        assert displayed("eq-qk-clip-weights").holds(names)
        for arrow, of in {"": heads, r" \leftarrow": clipped}.items():
            parts = {"q": of.W_q[head], "k": of.W_k[head], "q^R": of.W_qr[head], "k^R": of.W_kr}
            names |= {f"{name}{arrow}": X[:1] @ weights for name, weights in parts.items()}
        assert displayed("eq-qk-clip-latent").holds(names)


# Exercises


@pytest.mark.proves("eq-muon-swing", by="instances")
def test_with_a_fixed_step_each_singular_value_of_the_error_swings(displayed, rng):
    e, alpha, U, V = [1.23, 0.87, 0.35, 0.11], 0.4, orthogonal(rng, 5, 4), orthogonal(rng, 4, 4)
    error = U * e @ V.T
    after = np.abs(np.diag(U.T @ (error - alpha * polar(error)) @ V))
    for i in range(1, 5):
        names = {"e": one_based(e), "i": i, r"\alpha": alpha, r"e_i \leftarrow": after[i - 1]}
        assert displayed("eq-muon-swing").holds(names)


@pytest.mark.proves("eq-muon-batch-rms", by="instances")
def test_a_batch_bounds_the_size_of_the_step(displayed, rng):
    for m, p, q in [(3, 6, 9), (20, 6, 9), (20, 7, 5)]:
        G = rng.normal(size=(p, m)) @ rng.normal(size=(m, q))
        left, right = (scipy.linalg.orth(x, rcond=1e-9) for x in (G, G.T))
        step = left @ polar(left.T @ G @ right) @ right.T
        names = {r"\operatorname{rms}": np.sqrt(np.mean(step**2))}
        names |= {"m": m, "d": min(p, q), "p": p, "q": q}
        assert displayed("eq-muon-batch-rms").holds(names)


@pytest.mark.proves("eq-muon-frank-wolfe", by="worst case")
def test_muon_with_decay_moves_towards_the_best_matrix_within_the_limit(displayed, rng):
    alpha, decay, r = 0.3, 0.7, 1.9
    for shape in SHAPES:
        W, G = rng.normal(size=shape), rng.normal(size=shape)
        after = (1 - alpha * decay) * W - alpha * r * polar(G)
        steps = [polar(G), *(D / np.linalg.norm(D, 2) for D in rng.normal(size=(9, *shape)))]
        names = {"W": W, "W^+": after, "G": G, "Z": -r / decay * polar(G), r"\gamma": alpha * decay}
        names |= {"D": [s * r / decay * D for D in steps for s in (-2, -1, 1)], "r": r}
        assert displayed("eq-muon-frank-wolfe").holds(names | {r"\lambda": decay})
