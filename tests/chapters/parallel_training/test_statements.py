"""The equations of the chapter book/parallel_training.ipynb, and its solutions."""

from itertools import product

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from dlcourse.chapters.parallel_training import normalization, one_shot
from dlcourse.chapters.parallel_training import sharded as divided
from dlcourse.compute.memory import sharding, states
from dlcourse.parallel import costs, rings, scaling

LINK = costs.Link(latency_seconds=3e-5, seconds_per_byte=2e-9)


def simulated(n_workers, length, plan, link=costs.FREE):
    vectors = np.random.default_rng(length).normal(size=(n_workers, length))
    return vectors, rings.simulate(vectors, plan, link)


# All-reduce.


@pytest.mark.proves("alg-parallel-ring", "thm-parallel-ring", by="instances")
@given(st.integers(1, 6), st.integers(0, 40))
def test_every_worker_gets_the_sum_by_ring_and_by_star(n_workers, length):
    for plan in (rings.ring, rings.star):
        vectors, exchange = simulated(n_workers, length, plan)
        assert np.allclose(exchange.sums, vectors.sum(0), atol=1e-13)
        assert (exchange.sums == exchange.sums[0]).all()


@pytest.mark.parametrize("n_workers", [1, 2, 4, 8])
def test_every_worker_gets_the_sum_by_recursive_doubling(n_workers):
    vectors, exchange = simulated(n_workers, 11, rings.doubling)
    assert np.allclose(exchange.sums, vectors.sum(0), atol=1e-13)
    with pytest.raises(ValueError, match="power of two as `size`, got 3. Use `ring`"):
        list(rings.doubling(3))


@pytest.mark.parametrize("lost", [0, 1, 2, 3, 4, 5])
def test_a_ring_that_loses_a_round_does_not_give_the_sum(lost):
    def broken(size):
        return (moves for k, moves in enumerate(rings.ring(size)) if k != lost)

    vectors, exchange = simulated(4, 8, broken)
    assert not np.allclose(exchange.sums, vectors.sum(0), atol=1e-3)


@pytest.mark.proves("eq-parallel-ring-bytes", "thm-parallel-ring", by="instances")
@pytest.mark.parametrize("n_workers", [2, 3, 4, 5, 8])
def test_each_worker_of_the_ring_sends_less_than_two_vectors_in_even_messages(n_workers):
    vectors, exchange = simulated(n_workers, 6 * n_workers, rings.ring)
    expected = 2 * (n_workers - 1) * vectors[0].nbytes // n_workers
    assert set(exchange.bytes_sent) == {expected} == {costs.ring_bytes(48 * n_workers, n_workers)}
    assert set(exchange.messages_sent) == {2 * (n_workers - 1)}
    assert expected < 2 * vectors[0].nbytes
    for moves in rings.ring(n_workers):  # everybody sends once and receives once
        assert sorted(m.sender for m in moves) == sorted(m.receiver for m in moves)
        assert len({m.sender for m in moves}) == len(moves) == n_workers


LAWS = {
    "ring": (rings.ring, costs.ring_seconds),
    "star": (rings.star, costs.star_seconds),
    "doubling": (rings.doubling, costs.doubling_seconds),
}


@pytest.mark.proves(
    "eq-parallel-link",
    "eq-parallel-ring-seconds",
    "eq-parallel-star-seconds",
    "eq-parallel-doubling-seconds",
    by="independent",
)
@pytest.mark.parametrize(("plan", "law"), LAWS.values(), ids=LAWS)
@pytest.mark.parametrize("n_workers", [2, 4, 8])
def test_the_laws_are_the_times_of_the_simulated_plans(plan, law, n_workers, rng):
    for _ in range(5):
        link = costs.Link(*rng.uniform(1e-6, 1e-3, size=2))
        vectors, exchange = simulated(n_workers, 4 * n_workers, plan, link)
        assert np.isclose(law(vectors[0].nbytes, n_workers, link), exchange.seconds, rtol=1e-12)


def test_a_link_is_found_again_from_its_times(rng):
    n_bytes = np.geomspace(1e3, 1e8, 9)
    fitted = costs.fit_link(n_bytes, costs.ring_seconds(n_bytes, 4, LINK), n_workers=4)
    assert np.allclose(fitted, LINK, rtol=1e-9)
    noisy = costs.ring_seconds(n_bytes, 4, LINK) * rng.uniform(0.9, 1.1, size=9)
    assert np.allclose(costs.fit_link(n_bytes, noisy, n_workers=4), LINK, rtol=0.3)
    assert min(costs.fit_link([1e3, 1e6], [2e-3, 1e-3], n_workers=2)) == 0  # never below
    with pytest.raises(ValueError, match="at least 2, got 1"):
        costs.fit_link([1.0], [1.0], n_workers=1)


@pytest.mark.proves("eq-parallel-crossing", by="symbolic")
def test_ring_and_doubling_take_the_same_time_at_the_crossing():
    a, b, V, P, log = sp.symbols("alpha beta V P L", positive=True)
    crossing = a / b * (2 * (P - 1) - log) / (log - 2 * (P - 1) / P)
    difference = 2 * (P - 1) * (a + b * V / P) - (a + b * V) * log
    assert sp.simplify(difference.subs(V, crossing)) == 0
    at_8 = float(crossing.subs({a: 3e-5, b: 2e-9, P: 8, log: 3}))
    assert np.isclose(costs.crossing_bytes(8, LINK), at_8, rtol=1e-12)
    for factor, winner in ((0.5, costs.doubling_seconds), (2, costs.ring_seconds)):
        times = {law: law(factor * at_8, 8, LINK) for _, law in list(LAWS.values())[::2]}
        assert min(times, key=times.get) is winner
    at_2 = [law(1e6, 2, costs.Link(0, 1e-9)) for _, law in LAWS.values()]
    assert np.isclose(at_2[0], at_2[2])  # the same bytes at P = 2


# Scaling.


@pytest.fixture
def cluster():
    return scaling.Cluster(example_seconds=2e-3, gradient_bytes=1e7, link=LINK)


@pytest.mark.proves("eq-parallel-step-seconds", "eq-parallel-speed-up", by="independent")
@pytest.mark.parametrize(("overlaps", "m"), list(product([False, True], [1, 4])))
def test_the_speed_up_is_that_of_a_clock(cluster, overlaps, m):
    """A second by second account: compute a batch, exchange, and count examples."""
    cluster = scaling.Cluster(2e-3, 1e7, LINK, overlaps, m)
    for n_workers, batch in product([1, 2, 16], [1, 8, 64]):
        computing = sum(2e-3 for _ in range(m * batch))
        _, exchange = simulated(n_workers, 16, rings.ring, costs.Link(3e-5, 2e-9 * 1e7 / 128))
        end = max(computing, exchange.seconds) if overlaps else computing + exchange.seconds
        examples_per_second = n_workers * m * batch / end
        speed_up = cluster.weak_speed_up(n_workers, batch)
        assert np.isclose(speed_up, examples_per_second * 2e-3, rtol=1e-12)
        assert np.isclose(cluster.strong_speed_up(n_workers, n_workers * batch), speed_up)
        if not overlaps:
            ratio = exchange.seconds / computing
            assert np.isclose(speed_up, n_workers / (1 + ratio), rtol=1e-12)


@pytest.mark.proves("eq-parallel-best-workers", by="independent")
@pytest.mark.parametrize("batch", [60, 500, 10_000])
def test_the_best_number_of_workers_makes_the_step_shortest(cluster, batch):
    def seconds(log_workers):
        return cluster.step_seconds(np.exp(log_workers), batch / np.exp(log_workers))

    found = minimize_scalar(seconds, bounds=(0, 12), method="bounded", options={"xatol": 1e-10})
    assert np.isclose(np.exp(found.x), cluster.best_n_workers(batch), rtol=1e-4)


def test_where_sending_costs_more_than_it_saves_one_worker_is_best(cluster):
    assert cluster.best_n_workers(batch=10) == 1
    assert cluster.strong_speed_up(2, 10) < 1


@pytest.mark.proves("eq-parallel-hiding", by="truth")
@pytest.mark.parametrize("n_workers", [2, 7, 64])
def test_from_the_hiding_batch_on_the_overlapped_step_is_all_computation(n_workers):
    cluster = scaling.Cluster(2e-3, 1e7, LINK, overlaps=True)
    batch = cluster.hiding_batch(n_workers)
    assert np.isclose(cluster.weak_speed_up(n_workers, batch), n_workers)
    assert np.isclose(cluster.weak_speed_up(n_workers, 2 * batch), n_workers)
    assert np.isclose(cluster.weak_speed_up(n_workers, batch / 2), n_workers / 2)


@pytest.mark.proves("eq-parallel-hiding-tokens", by="independent")
@pytest.mark.parametrize("n_params", [1e8, 7e9, 4e11])
def test_the_tokens_that_hide_the_exchange_do_not_depend_on_the_model(n_params):
    flops, bandwidth, k = 4e14, 5e10, 2
    cluster = scaling.Cluster(6 * n_params / flops, k * n_params, costs.Link(1e-12, 1 / bandwidth))
    expected = scaling.hiding_tokens(flops, bandwidth, k)
    assert np.isclose(cluster.hiding_batch(10_000), expected, rtol=1e-3)


def test_a_cluster_is_checked():
    with pytest.raises(ValueError, match="`example_seconds` must be a positive number"):
        scaling.Cluster(0.0, 1e7, LINK)


# What is divided.


def bytes_by_hand(n_params, n_workers, stage):
    """Give every parameter's bytes away, piece by piece, and look at the worker with the most."""
    parts = {"optimizer": 12, "gradient": 2, "weight": 2}  # in the order in which ZeRO divides
    held = np.zeros(n_workers)
    for k, n_bytes in enumerate(parts.values()):
        if k < stage:
            held += [n_bytes * len(piece) for piece in np.array_split(range(n_params), n_workers)]
        else:
            held += n_bytes * n_params
    return held.max()


@pytest.mark.proves("eq-parallel-zero", by="independent")
@pytest.mark.parametrize("stage", [0, 1, 2, 3])
@pytest.mark.parametrize("n_workers", [1, 2, 8])
def test_the_memory_of_zero_is_that_of_bytes_given_away_by_hand(stage, n_workers):
    n_params = 1_600
    formula = [16, 4 + 12 / n_workers, 2 + 14 / n_workers, 16 / n_workers][stage] * n_params
    assert bytes_by_hand(n_params, n_workers, stage) == formula
    held = states.model_states(n_params)
    assert sharding.zero(held, stage, n_workers).total == formula


@pytest.mark.proves("eq-parallel-zero-bytes", by="independent")
@pytest.mark.parametrize("n_workers", [2, 4, 8])
def test_stage_3_sends_half_as_much_again_as_an_all_reduce(n_workers):
    """Counted: each phase of the ring alone is a reduce-scatter or an all-gather."""

    def phase(first):
        rounds = range(n_workers - 1) if first else range(n_workers - 1, 2 * (n_workers - 1))
        return lambda size: [list(rings.ring(size))[k] for k in rounds]

    sent = {}
    for first in (True, False):
        vectors, exchange = simulated(n_workers, 3 * n_workers, phase(first))
        (sent[first],) = set(exchange.bytes_sent)
        if first:  # worker r ends with the sum of chunk r + 1
            chunks = np.array_split(vectors.sum(0), n_workers)
            for rank, sums in enumerate(exchange.sums):
                own = (rank + 1) % n_workers
                assert np.allclose(np.array_split(sums, n_workers)[own], chunks[own])
    n_bytes = vectors[0].nbytes * (n_workers - 1) // n_workers
    assert sent[True] == sent[False] == n_bytes
    reduce_scatter, all_gather = sent[True], sent[False]
    assert reduce_scatter + all_gather == costs.ring_bytes(vectors[0].nbytes, n_workers)
    assert all_gather + all_gather + reduce_scatter == 3 * n_bytes


def check_pipeline(slots, n_stages, n_micro_batches):
    """Every micro-batch passes the stages in order, forward and back, one at a time."""
    when = {
        (stage, number): int(np.flatnonzero(slots[stage] == number)[0])
        for stage in range(n_stages)
        for number in (*range(1, n_micro_batches + 1), *range(-n_micro_batches, 0))
    }
    for number in range(1, n_micro_batches + 1):
        for stage in range(1, n_stages):
            assert when[stage - 1, number] < when[stage, number]
            assert when[stage, -number] < when[stage - 1, -number]
        assert when[n_stages - 1, number] < when[n_stages - 1, -number]
    assert (slots != 0).sum() == 2 * n_stages * n_micro_batches


@pytest.mark.proves("eq-parallel-bubble", by="instances")
@pytest.mark.parametrize("n_stages", [1, 2, 4, 8])
@pytest.mark.parametrize("n_micro_batches", [1, 3, 16])
def test_a_pipeline_idles_p_minus_1_for_every_m(n_stages, n_micro_batches):
    timetable = divided.pipeline(n_stages, n_micro_batches)
    check_pipeline(timetable.slots, n_stages, n_micro_batches)
    assert np.isclose(timetable.bubble, (n_stages - 1) / n_micro_batches)


def test_a_pipeline_that_is_too_fast_is_caught():
    slots = divided.pipeline(2, 3).slots
    with pytest.raises(AssertionError):
        check_pipeline(np.roll(slots, -1, axis=1), 2, 3)
    with pytest.raises(AssertionError):
        check_pipeline(slots[::-1], 2, 3)


def test_70_micro_batches_keep_8_stages_busy_for_all_but_a_tenth():
    assert np.isclose(divided.pipeline(8, 70).bubble, 0.1)
    assert divided.pipeline(8, 69).bubble > 0.1


@pytest.mark.proves("eq-parallel-batch-norm", by="independent")
@pytest.mark.parametrize("n_workers", [1, 2, 5])
def test_the_variance_of_the_whole_is_within_plus_between(rng, n_workers):
    rows = rng.normal(size=(n_workers, 7, 3)) + rng.normal(size=(n_workers, 1, 3))
    pooled = normalization.pooled_variance(rows.mean(axis=1), rows.var(axis=1))
    assert np.allclose(pooled, rows.reshape(-1, 3).var(axis=0), rtol=1e-12)
    if n_workers > 1:
        assert (rows.var(axis=1).mean(axis=0) < pooled).all()


# One exchange only.


@pytest.mark.proves("eq-parallel-one-shot", by="truth")
def test_averaging_leaves_a_bias_that_grows_with_the_number_of_machines(rng):
    beta = np.array([0.5, 1.0, -0.5])
    estimates = one_shot.errors_by_pieces(2_048, [8, 16, 32], beta, rng, n_runs=400)
    excess = estimates.squares["average"] - estimates.pooled
    assert (np.abs(excess[1:] / excess[:-1] / 4 - 1) < 0.35).all()  # twice K, four times the square
    few, many = (
        one_shot.errors_by_pieces(n, [1], beta, rng, n_runs=400).pooled for n in (1_000, 4_000)
    )
    assert abs(few / many / 4 - 1) < 0.35  # the first term: four times the rows, a fourth


@pytest.mark.proves("eq-parallel-newton", by="derivative")
def test_the_newton_step_comes_from_the_derivatives_of_the_likelihood(rng):
    X, y, beta = rng.normal(size=(40, 2)), (rng.random(40) < 0.5) * 1.0, rng.normal(size=2)

    def log_likelihood(beta):
        score = X @ beta
        return y @ score - np.logaddexp(0, score).sum()

    h, axes, signs = 1e-4, np.eye(2), (1, -1)

    def slope(e):
        return (log_likelihood(beta + h * e) - log_likelihood(beta - h * e)) / (2 * h)

    def curvature(e, f):
        corners = product(signs, signs)
        total = sum(i * j * log_likelihood(beta + h * (i * e + j * f)) for i, j in corners)
        return total / (4 * h * h)

    gradient = [slope(e) for e in axes]
    hessian = [[curvature(e, f) for f in axes] for e in axes]
    step = np.linalg.solve(-np.array(hessian), gradient)
    assert np.allclose(one_shot.Pieces(X, y).newton(beta, max_steps=1).x, beta + step, rtol=1e-5)


def test_machines_get_the_newton_step_from_the_sums_of_their_rows(rng):
    X, y, beta = rng.normal(size=(60, 2)), (rng.random(60) < 0.5) * 1.0, rng.normal(size=2)
    hessian, gradient = np.zeros((2, 2)), np.zeros(2)
    for rows in np.array_split(np.arange(60), 4):
        p = 1 / (1 + np.exp(-X[rows] @ beta))
        hessian += (X[rows].T * (p * (1 - p))) @ X[rows]
        gradient += X[rows].T @ (y[rows] - p)
    step = np.linalg.solve(hessian, gradient)
    ours = one_shot.Pieces(X, y).newton(beta, max_steps=1).x
    assert np.allclose(ours, beta + step, rtol=1e-12)


def test_two_computers_in_an_office():
    ethernet = costs.Link(1e-12, 1 / 1.25e8)
    office = scaling.Cluster(example_seconds=0.01, gradient_bytes=4e8, link=ethernet)
    assert np.isclose(office.exchange_seconds(2), 3.2)
    assert np.isclose(office.hiding_batch(2), 320)
    assert np.isclose(office.weak_speed_up(2, 32), 2 / 11)
