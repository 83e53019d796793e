"""The chapter's displays, evaluated as the page has them."""

import numpy as np
import pytest
import torch
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import binom
from torch.autograd.functional import hessian, jacobian

from dlcourse.chapters.parallel_training import sharded
from dlcourse.compute.memory import sharding, states
from dlcourse.parallel import costs, rings, scaling
from tools.formula import one_based

LINKS = [costs.Link(3e-3, 2e-2), costs.Link(0.4, 1.7e-3), costs.Link(7e-3, 0.9)]


def column(x):
    return np.asarray(x, dtype=float).reshape(-1, 1)


def carried_out(plan, n_workers, length, link=costs.FREE):
    """The exchange of vectors of so many entries, message by message."""
    return rings.simulate(np.ones((n_workers, length)), plan, link)


# Every worker a copy


@pytest.fixture
def mean_gradient(rng):
    """Gradient of a mean loss over some of 60 rows at x, by automatic differentiation."""
    X, y = torch.tensor(rng.normal(size=(60, 3))), torch.tensor(rng.normal(size=60))

    def gradient(x, rows=slice(None)):
        def loss(x):
            return torch.logaddexp((X[rows] @ x) ** 2, y[rows]).mean()

        return column(jacobian(loss, torch.tensor(x.ravel())))

    return gradient


@pytest.mark.proves("eq-parallel-gradient", "eq-parallel-mean", by="derivative")
def test_the_gradient_is_the_weighted_mean_of_those_of_the_shards(displayed, mean_gradient, rng):
    for sizes in ((13, 40, 7), (26, 34), (15, 15, 15, 15), (20, 20, 20)):
        cuts = np.split(rng.permutation(60), np.cumsum(sizes)[:-1])
        x = column(rng.normal(size=3))
        g = [mean_gradient(x, rows) for rows in cuts]
        names = {"g": g, r"n_{\cdot}": sizes, "n": 60, "P": len(sizes), "x": x}
        names[r"\nabla f"] = mean_gradient
        assert displayed("eq-parallel-gradient").holds(names)
        plain = displayed("eq-parallel-mean")
        assert plain.holds(names) if len(set(sizes)) == 1 else plain.fails(names)


# All-reduce


@pytest.mark.proves("eq-parallel-ring-bytes", by="independent")
def test_the_ring_sends_less_than_two_vectors_and_nearly_two_in_a_long_ring(displayed):
    for P in (3, 4, 7):
        (sent,) = set(carried_out(rings.ring, P, 2 * P).bytes_sent)
        assert displayed("eq-parallel-ring-bytes").holds(
            {r"v_{\text{ring}}": sent, "P": P, "V": 8 * 2 * P}
        )
    # So long a ring sends two vectors to the last digit: no smaller and no larger factor will do.
    names = {r"v_{\text{ring}}": 2 * 5.0, "P": 1e17, "V": 5.0}
    assert displayed("eq-parallel-ring-bytes").fails(names)


@pytest.mark.proves(
    "eq-parallel-link",
    "eq-parallel-ring-seconds",
    "eq-parallel-star-seconds",
    "eq-parallel-doubling-seconds",
    by="independent",
)
def test_the_laws_are_the_times_of_plans_carried_out_message_by_message(displayed):
    for link, P in zip(LINKS, (4, 8, 16), strict=True):
        V = 8 * 3 * P
        names = {r"\alpha": link[0], r"\beta": link[1], "P": P, "V": V, "v": 8.0 * P}
        pair = carried_out(lambda size: [[rings.Move(0, 1, range(2), adds=False)]], 2, P, link)
        assert displayed("eq-parallel-link").holds(names | {r"\tau": {8.0 * P: pair.seconds}.get})
        plans = {"ring": rings.ring, "star": rings.star, "doubling": rings.doubling}
        for name, plan in plans.items():
            names[rf"t_{{\text{{{name}}}}}"] = carried_out(plan, P, 3 * P, link).seconds
        assert displayed("eq-parallel-ring-seconds").holds(names)
        assert displayed("eq-parallel-star-seconds").holds(names)
        assert displayed("eq-parallel-doubling-seconds").holds(names)


@pytest.mark.proves("eq-parallel-crossing", by="independent")
def test_at_the_crossing_ring_and_doubling_take_the_same_time(displayed):
    for link, P in zip(LINKS, (4, 8, 32), strict=True):

        def lead(V, P=P, link=link):
            return costs.doubling_seconds(V, P, link) - costs.ring_seconds(V, P, link)

        names = {"V": brentq(lead, 1e-6, 1e6, xtol=1e-12, rtol=1e-14), "P": P}
        names |= {r"\alpha": link[0], r"\beta": link[1]}
        assert displayed("eq-parallel-crossing").holds(names)


# How many workers


@pytest.mark.proves("eq-parallel-step-seconds", "eq-parallel-speed-up", by="independent")
def test_a_clock_that_counts_examples_gives_the_step_and_the_speed_up(displayed):
    for overlaps, (P, m, b, c) in zip(
        (False, True, True), ((3, 4, 5, 0.7), (5, 2, 3, 0.11), (6, 3, 7, 2.9)), strict=True
    ):
        t = carried_out(rings.ring, P, 2 * P, LINKS[0]).seconds
        cluster = scaling.Cluster(c, 8 * 2 * P, LINKS[0], overlaps, m)
        names = {"P": P, "m": m, "b": b, "c": c, "t": t, "T": cluster.step_seconds(P, b)}
        names |= {r"\text{one after the other,}": not overlaps, r"\text{overlapped.}": overlaps}
        assert displayed("eq-parallel-step-seconds").holds(names)
        assert displayed("eq-parallel-step-seconds").fails(names | {"T": 1.1 * names["T"]})
        clock = sum([c] * (m * b)) + t  # one example after the other, then the exchange
        names["S"] = lambda P, clock=clock, work=m * b * c: P * work / clock
        assert displayed("eq-parallel-speed-up").holds(names)


@pytest.mark.proves("eq-parallel-best-workers", by="independent")
def test_the_best_number_of_workers_makes_the_step_shortest_and_needs_work_enough(displayed):
    for B, link in ((2_000, costs.Link(3e-3, 2e-2)), (90, costs.Link(0.013, 4e-3))):
        cluster, V = scaling.Cluster(0.3, 50.0, link), 50.0
        names = {"B": B, "c": 0.3, "V": V, r"\alpha": link[0], r"\beta": link[1]}

        def seconds(log_p, cluster=cluster, B=B):
            return cluster.step_seconds(np.exp(log_p), B / np.exp(log_p))

        found = minimize_scalar(seconds, bounds=(0, 12), method="bounded", options={"xatol": 1e-9})
        names["P^*"] = np.exp(found.x)
        assert displayed("eq-parallel-best-workers").holds(names, rtol=1e-6)
    # Where the bytes take longer than the work, each worker more makes the step longer.
    for B, claimed in ((1.36, True), (1.3, False)):  # 2 beta V / c is 4 / 3
        seconds = [cluster.step_seconds(P, B / P) for P in (1, 2, 3, 4)]
        assert seconds == sorted(seconds)
        names |= {"B": B, "P^*": np.emath.sqrt((B * 0.3 - 0.4) / 0.026)}
        law = displayed("eq-parallel-best-workers")
        assert law.holds(names) if claimed else law.fails(names)


@pytest.mark.proves("eq-parallel-hiding", "eq-parallel-hiding-tokens", by="independent")
def test_from_the_hiding_batch_on_an_overlapped_step_is_all_computation(displayed):
    cluster = scaling.Cluster(0.7, 40.0, LINKS[1], overlaps=True)
    t = cluster.exchange_seconds(5)

    def waits(b):  # seconds, or what is left of the computation
        return cluster.step_seconds(5, b) - t - 1e-12

    b = brentq(lambda b: waits(b) if waits(b) > 0 else -1.0, 1e-3, 1e3, xtol=1e-14)
    assert displayed("eq-parallel-hiding").holds({"b^*": b, "t": t, "c": 0.7})
    for N, F, W, k in ((7e3, 3e5, 11.0, 2), (4e4, 9e4, 1.7, 5)):  # N cancels
        endless = scaling.Cluster(6 * N / F, k * N, costs.Link(0.0, 1 / W))
        names = {"b^*": endless.hiding_batch(1e12), "k": k, "F": F, "W": W, r"\text{tokens}": 1}
        assert displayed("eq-parallel-hiding-tokens").holds(names)


# What is divided


@pytest.mark.proves("eq-parallel-zero", "eq-parallel-zero-bytes", by="independent")
def test_zero_holds_and_sends_what_is_counted_by_hand(displayed):
    for P, N in ((3, 4_200), (8, 9_600)):
        M = [sharding.zero(states.model_states(N), stage, P).total for stage in range(4)]
        assert displayed("eq-parallel-zero").holds({"M": M, "P": P, "N": N})
        V = 8 * 2 * P
        rounds = [lambda size, k=k: [list(rings.ring(size))[k]] for k in range(2 * (P - 1))]
        sent = [carried_out(one, P, 2 * P).bytes_sent[0] for one in rounds]
        scatter, gather = sum(sent[: P - 1]), sum(sent[P - 1 :])
        v = [scatter + gather] * 3 + [gather + gather + scatter]
        assert displayed("eq-parallel-zero-bytes").holds({"v": v, "P": P, "V": V})
        for stage in range(4):
            off = {"v": [x + (k == stage) for k, x in enumerate(v)], "P": P, "V": V}
            assert displayed("eq-parallel-zero-bytes").fails(off)


@pytest.mark.proves("eq-parallel-tensor", by="independent")
def test_two_layers_cut_by_columns_and_rows_add_up_to_the_whole(displayed, rng):
    for P in (2, 3):
        X, A, C = (torch.tensor(rng.normal(size=size)) for size in ((4, 5), (5, 7), (7, 2)))
        for phi in (torch.tanh, torch.relu):
            names = {r"\phi": lambda x, f=phi: f(torch.tensor(x)).numpy(), "P": P}
            names |= {"X": X.numpy(), "A": A.numpy(), "C": C.numpy()}
            names[r"A_{\cdot}"] = [part.numpy() for part in A.tensor_split(P, dim=1)]
            names[r"C_{\cdot}"] = [part.numpy() for part in C.tensor_split(P, dim=0)]
            assert displayed("eq-parallel-tensor").holds(names)


@pytest.mark.proves("eq-parallel-bubble", by="independent")
def test_a_pipeline_idles_p_minus_1_slots_for_every_m_that_it_works(displayed):
    for P, m in ((3, 5), (4, 2)):
        idle, working = ((sharded.pipeline(P, m).slots == 0) == is_idle for is_idle in (1, 0))
        names = {r"\text{idle time}": idle.sum(), r"\text{working time}": working.sum()}
        assert displayed("eq-parallel-bubble").holds(names | {"P": P, "m": m})


# Where it breaks


@pytest.mark.proves("eq-parallel-batch-norm", by="independent")
def test_the_variance_of_equal_shards_divided_by_the_count_is_within_plus_between(displayed, rng):
    rows = rng.normal(size=24) * rng.uniform(1, 3, size=24)
    for sizes, ddof in (((8, 8, 8), 0), ((6, 6, 6, 6), 0), ((4, 8, 12), 0), ((8, 8, 8), 1)):
        shards = np.split(rows, np.cumsum(sizes)[:-1])
        names = {"P": len(sizes), "r": range(len(sizes)), "m": rows.mean()}
        names |= {"s": rows.std(ddof=ddof), r"s_{\cdot}": [part.std(ddof=ddof) for part in shards]}
        names[r"m_{\cdot}"] = [part.mean() for part in shards]
        equation = displayed("eq-parallel-batch-norm")
        is_so = len(set(sizes)) == 1 and ddof == 0
        assert equation.holds(names) if is_so else equation.fails(names)


# One exchange only


def exact_moments(n, p):
    """Mean and variance of the log odds that n tosses of a coin estimate, where they exist."""
    heads = np.arange(1, n)
    weights, estimates = binom.pmf(heads, n, p), np.log(heads / (n - heads))
    mean = weights @ estimates / weights.sum()
    return mean, weights @ (estimates - mean) ** 2 / weights.sum()


@pytest.mark.proves("eq-parallel-one-shot", by="truth")
def test_the_average_of_coins_has_the_variance_of_all_tosses_and_the_bias_of_a_machine(displayed):
    phrase, p = r"\mathbb{E} \lVert \bar\beta - \beta \rVert^2", 0.8
    v, a = 1 / (p * (1 - p)), (2 * p - 1) / (2 * p * (1 - p))  # by the delta method
    for K, of_one in ((500, 3_000), (2_000, 4_000), (9_000, 3_000)):
        mean, variance = exact_moments(of_one, p)
        square = variance / K + (mean - np.log(p / (1 - p))) ** 2
        names = {phrase: square, "v": v, "a": a, "K": K, "n": K * of_one}
        assert displayed("eq-parallel-one-shot").holds(names, near=5e-3)


@pytest.mark.proves("eq-parallel-newton", by="derivative")
def test_the_step_from_two_sums_is_newtons_by_automatic_differentiation(displayed, rng):
    n, p = 9, 3
    X, y = torch.tensor(rng.normal(size=(n, p))), torch.tensor(rng.integers(0, 2, size=n) * 1.0)
    for beta in torch.tensor(rng.normal(size=(2, p))):

        def log_likelihood(beta):
            return -torch.nn.functional.binary_cross_entropy_with_logits(X @ beta, y) * n

        H, g = hessian(log_likelihood, beta), jacobian(log_likelihood, beta)
        names = {"d": -torch.linalg.solve(H, g[:, None]).numpy(), "n": n, "y": one_based(y.numpy())}
        names |= {"p": one_based(torch.special.expit(X @ beta).numpy())}
        names["x"] = one_based(X.numpy()[:, :, None])
        assert displayed("eq-parallel-newton").holds(names)
