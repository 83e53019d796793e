"""Processes that train together: they agree with one, and they fail in the open."""

import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from sklearn.linear_model import LogisticRegression
from torch.utils.data import DistributedSampler

from dlcourse import datasets
from dlcourse.chapters.parallel_training import (
    data_parallel,
    ddp,
    failures,
    measuring,
    normalization,
    one_shot,
)
from dlcourse.chapters.parallel_training import sharded as divided
from dlcourse.optim import SGD, Adam
from dlcourse.parallel.workers import Group, WorkerError, sum_of_ranks
from tests import ROOT
from tests.library.parallel import jobs


@pytest.fixture(scope="module")
def group():
    with Group(2) as group:
        yield group


@pytest.fixture
def job(rng):
    data = datasets.linear_model(60, np.array([1.0, -2.0, 0.5]), noise_sd=1.0, rng=rng)
    return data_parallel.Job(data.X, data.y, (30, 30), n_steps=10)


# The group: answers, and failures.


def test_answers_come_in_the_order_of_the_ranks(group):
    assert group.run(os.getpid) == [process.pid for process in group.processes]
    assert len(set(group.run(os.getpid))) == 2
    assert group.run(sum_of_ranks) == [1, 1]


def test_workers_get_copies(group):
    numbers = [7]
    assert group.run(jobs.append, numbers) == [[7, 0], [7, 1]]
    assert numbers == [7]


def test_each_worker_computes_with_one_thread(group):
    assert group.run(torch.get_num_threads) == [1, 1]


def test_what_workers_print_stays_out_of_the_page(group, capfd):
    group.run(print, "into the log")
    assert capfd.readouterr() == ("", "")
    assert "into the log" in (group.folder / "0.log").read_text()


def test_functions_written_on_the_spot_go_to_the_workers_with_what_they_use(group):
    offset = 10

    def shifted(x):
        return x + offset + dist.get_rank()

    assert group.run(lambda: 7) == [7, 7]
    assert group.run(shifted, 1) == [11, 12]
    assert [answer() for answer in group.run(lambda: lambda: offset)] == [10, 10]


def test_a_way_to_combine_gradients_that_a_reader_writes_is_the_one_of_the_package(group, job):
    def average(grad, share):
        dist.all_reduce(grad)
        grad /= dist.get_world_size()

    def forgets_to_divide(grad, share):
        dist.all_reduce(grad)

    ours = group.run(data_parallel.train, job, data_parallel.average)
    np.testing.assert_array_equal(group.run(data_parallel.train, job, average), ours)
    broken = group.run(data_parallel.train, job, forgets_to_divide)
    np.testing.assert_array_equal(broken[0], broken[1])  # the replicas agree, and are wrong
    assert np.abs(broken[0] - ours[0]).max() > 1e-3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ((lambda lock: 0, threading.Lock()), "must be copied to the workers, and cannot: .*lock"),
        ((5,), "must be a function, got 5"),
    ],
)
@pytest.mark.bad_input
def test_what_cannot_travel_is_refused_and_the_group_lives_on(group, call, message):
    with pytest.raises(ValueError, match=message):
        group.run(*call)
    assert group.run(sum_of_ranks) == [1, 1]


CELLS = """
from dlcourse.parallel.workers import Group, WorkerError, sum_of_ranks
import linecache, torch.distributed as dist

class Point:
    def __init__(self, x):
        self.x = x

def run_cell(source, name):
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    exec(compile(source, name, "exec"), globals())

if __name__ == "__main__":
    run_cell("def half(x):\\n    return Point(x / 2)\\n", "<cell 1>")
    run_cell("def broken(x):\\n    return half(x).x / 0  # whoops\\n", "<cell 2>")
    with Group(2) as group:
        answers = group.run(half, 3.0)
        print([(type(answer) is Point, answer.x) for answer in answers])
        try:
            group.run(broken, 1.0)
        except WorkerError as error:
            print(error)
"""


def test_a_script_sees_its_own_classes_again_and_the_line_of_a_cell_that_failed():
    run = subprocess.run(
        [sys.executable, "-c", CELLS.replace("\\\\n", "\\n")], capture_output=True, text=True
    )
    first, *rest = run.stdout.splitlines()
    assert first == "[(True, 1.5), (True, 1.5)]", run.stderr
    text = "\n".join(rest)
    assert "failed in `broken`" in text
    assert "return half(x).x / 0  # whoops" in text
    assert "ZeroDivisionError" in text


def test_a_group_needs_a_worker():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        Group(0)


FAILURES = {
    "vanishes": (failures.vanish, (1, 3), "Worker 1 of 2 ended with exit code 3 during `.*vanish`"),
    "is killed": (os.abort, (), "was killed by SIGABRT during `posix.abort`. Its last words"),
    "raises": (failures.stumble, (0,), "Worker 0 of 2 failed in `.*the rows of this shard"),
    "answers a stream": (
        jobs.stream_numbers,
        (),
        "Worker [01] of 2 failed in .*type `generator`, cannot be copied.*Return arrays",
    ),
    "leaves": (jobs.leave, (1, 5), "Worker 1 of 2 ended with exit code 5 during"),
    "leaves in peace": (jobs.leave, (0, None), "Worker 0 of 2 ended with exit code 0"),
    "leaves with words": (
        jobs.leave,
        (1, "no rows"),
        "ended with exit code 1 during .*Its last words: .*no rows",
    ),
    "hangs up long before its end": (
        jobs.leave_slowly,
        (1, 7, 3.0),
        "Worker 1 of 2 ended with exit code 7 during",
    ),
}


@pytest.mark.parametrize(("function", "arguments", "message"), FAILURES.values(), ids=FAILURES)
def test_a_worker_that_fails_gives_an_error_and_leaves_nobody(function, arguments, message):
    with Group(2) as group:
        start = time.monotonic()
        with pytest.raises(WorkerError, match=f"(?s){message}.*Start another: `Group\\(2\\)`"):
            group.run(function, *arguments)
        assert time.monotonic() - start < 60  # not the time limit of 120
        assert not any(process.is_alive() for process in group.processes)
        assert not group.folder.exists()
        assert repr(group).endswith("closed")
        with pytest.raises(WorkerError, match="The group is closed"):
            group.run(sum_of_ranks)


def test_a_worker_that_died_between_two_calls_is_noticed_in_the_next():
    with Group(2) as group:
        group.processes[1].kill()
        group.processes[1].join(timeout=30)
        with pytest.raises(WorkerError, match="Worker 1 of 2 was killed by SIGKILL, as happens"):
            group.run(sum_of_ranks)
        assert not any(process.is_alive() for process in group.processes)


def test_nobody_waits_less_than_no_time():
    with pytest.raises(ValueError, match="`timeout_seconds` must be a positive number, got 0"):
        Group(2, timeout_seconds=0)


def test_a_worker_that_does_not_come_is_not_waited_for():
    with Group(2) as group:
        group.timeout_seconds = 0.5
        with pytest.raises(WorkerError, match="No answer from .*oversleep.* within 0.5 seconds"):
            group.run(failures.oversleep, 0, 300.0)
        assert not any(process.is_alive() for process in group.processes)


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")  # on Linux: ended, but not yet forgotten, is no longer running
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_workers_do_not_outlive_the_process_that_started_them():
    script = (
        "import os, time\n"
        "from dlcourse.chapters.parallel_training import failures\n"
        "from dlcourse.parallel import workers\n"
        "if __name__ == '__main__':\n"
        "    group = workers.Group(2)\n"
        "    print(group.folder, *[process.pid for process in group.processes], flush=True)\n"
        "    group.run(failures.oversleep, 0, 600.0)\n"
    )
    path = ROOT / "_build" / f"orphans_{os.getpid()}.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(script)
    try:
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        with subprocess.Popen(
            [sys.executable, path], stdout=subprocess.PIPE, text=True, env=environment
        ) as parent:
            group_folder, *pids = parent.stdout.readline().split()
            pids = [int(pid) for pid in pids]
            assert len(pids) == 2
            assert all(map(is_running, pids))
            parent.kill()  # no chance to clean up
        deadline = time.monotonic() + 60
        while any(map(is_running, pids)) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not any(map(is_running, pids))
        assert not Path(group_folder).exists()
    finally:
        path.unlink()


# Data parallelism.


@pytest.mark.parametrize("n", [2, 7, 60])
@pytest.mark.parametrize("n_workers", [1, 2, 5])
def test_shards_hold_every_row_once(n, n_workers):
    sizes = data_parallel.equal_sizes(n, n_workers)
    assert sum(sizes) == n
    assert max(sizes) - min(sizes) <= 1
    assert sum(data_parallel.unequal_sizes(n, n_workers)) == n


@pytest.mark.parametrize("n", [60, 61])
def test_shards_are_as_large_as_those_of_torch_unless_torch_repeats_rows(n):
    theirs = [list(DistributedSampler(range(n), 2, rank, shuffle=False)) for rank in range(2)]
    assert all(len(rows) == -(-n // 2) for rows in theirs)
    repeated = sum(map(len, theirs)) - len(set(theirs[0]) | set(theirs[1]))
    assert repeated == n % 2
    assert sum(data_parallel.equal_sizes(n, 2)) == sum(map(len, theirs)) - repeated


def test_a_job_whose_shards_do_not_fit_the_rows_is_refused(job):
    with pytest.raises(ValueError, match=r"add up to the 60 rows, got \(30, 20\)"):
        replace(job, sizes=(30, 20))


def test_a_job_needs_a_worker_for_every_shard(job):
    job = replace(job, sizes=(20, 20, 20))
    with Group(2) as group:
        with pytest.raises(ValueError, match="3 shards needs as many workers, got 2: rows would"):
            data_parallel.alone_and_divided(group, job)
        assert repr(group).endswith("ready")
        with pytest.raises(WorkerError, match=r"Use `sizes=equal_sizes\(60, 2\)`"):
            group.run(data_parallel.train, job, data_parallel.average)
    for run in (ddp.train, divided.train_counting):
        arguments = (job,) if run is ddp.train else (job, True)
        with Group(2) as group, pytest.raises(WorkerError, match="3 shards needs as many workers"):
            group.run(run, *arguments)


@pytest.mark.converted
def test_a_job_takes_lists_and_whole_numbers():
    job = data_parallel.Job([[1, 2], [1, 3]], [0, 1], (1, 1), n_steps=2)
    assert data_parallel.train_alone(job).dtype == float


def full_gradient(job):
    """By torch's own loss on all rows, parameter by parameter."""
    network = data_parallel.make_network(job.X.shape[1], job.seed)
    prediction = network(torch.from_numpy(job.X)).squeeze(1)
    (torch.nn.functional.mse_loss(prediction, torch.from_numpy(job.y)) / 2).backward()
    return torch.cat([parameter.grad.ravel() for parameter in network.parameters()]).numpy()


@pytest.mark.proves(
    "lem-parallel-gradient", "eq-parallel-gradient", "eq-parallel-mean", by="independent"
)
@pytest.mark.parametrize("sizes", [(30, 30), (10, 50), (1, 59)])
def test_the_weighted_mean_of_the_shards_is_the_gradient_and_the_plain_one_if_equal(
    group, job, sizes
):
    job, full = replace(job, sizes=sizes), full_gradient(job)
    for grad, _ in group.run(jobs.combined_gradient, job, data_parallel.weigh):
        assert np.allclose(grad, full, rtol=1e-12, atol=1e-14)
    for grad, _ in group.run(jobs.combined_gradient, job, data_parallel.average):
        assert np.allclose(grad, full, rtol=1e-12, atol=1e-14) == (sizes == (30, 30))


@pytest.mark.parametrize("way", ["sum", "no exchange"])
def test_the_mistakes_are_what_they_are_called(group, job, way):
    answers = group.run(jobs.combined_gradient, job, data_parallel.WAYS[way])
    own = np.stack([own for _, own in answers])
    expected = {"sum": own.sum(0), "no exchange": own}[way]
    assert np.allclose([grad for grad, _ in answers], expected, rtol=1e-12, atol=1e-14)


def test_planted_mistakes_are_caught_and_the_right_ways_pass(group, job):
    n_threads = torch.get_num_threads()
    runs = data_parallel.alone_and_divided(group, job)
    agree = {name: runs.agrees(name) for name in runs.replicas}
    assert agree == {
        "mean": True,
        "mean, our ring": True,
        "sum": False,
        "no exchange": False,
        "mean, unequal shards": False,
        "weighted, unequal shards": True,
    }
    assert [n for n in runs.replicas if not runs.replicas_agree(n)] == ["no exchange"]
    assert (runs.replicas["mean"][0] == runs.in_turn).all()  # bit for bit
    assert torch.get_num_threads() == n_threads
    assert np.isclose(runs.distances("sum")[1], 0.1 * np.abs(full_gradient(job)).max(), rtol=1e-9)


def test_adam_does_not_notice_a_sum_and_sgd_does(group, job):
    off = {}
    for optimizer in (Adam(0.01), SGD(0.01)):
        run = replace(job, optimizer=optimizer)
        mean, total = (
            group.run(data_parallel.train, run, combine)[0]
            for combine in (data_parallel.average, data_parallel.add)
        )
        off[type(optimizer)] = np.abs(mean - total).max()
    assert off[Adam] < 1e-5 < 1e-3 < off[SGD]


def test_distributed_data_parallel_agrees_and_reduces_every_parameter_once(group, job):
    ours = group.run(data_parallel.train, job, data_parallel.average)
    for rank, (theirs, reduced) in enumerate(group.run(ddp.train, job)):
        assert np.allclose(theirs, ours[rank], rtol=0, atol=1e-12)
        assert set(reduced) == {8 * theirs.shape[1]}


# All-reduce between processes.


@pytest.mark.parametrize("length", [1, 2, 3, 57, 1_000])
def test_our_ring_gives_the_sum_of_torch_and_sends_one_vector_of_two_halves(group, length):
    for ours, theirs, n_bytes in group.run(jobs.both_sums, length, length):
        assert np.allclose(ours, theirs, rtol=1e-14, atol=1e-15)
        assert n_bytes == 8 * length  # one half out in each phase, 2 (P - 1) / P = 1


def test_the_stopwatch_finds_what_holds_on_every_machine(group):
    timing = measuring.time_all_reduce(group, sizes=(1_000, 100_001, 10_000_000), n_repeats=7)
    assert timing.n_bytes == (1_008, 100_016, 10_000_000)
    assert timing.sends_as_predicted()
    assert timing.grows("torch")
    assert timing.grows("our ring")
    assert timing.link.seconds_per_byte > 0
    assert "False" not in repr(timing)
    assert len(timing.details().columns["fitted"]) == 3


# What is divided.


def test_a_divided_optimizer_takes_the_same_steps_with_half_of_the_state(group, job):
    job = replace(job, optimizer=Adam(0.01))
    copied, pieces = (group.run(divided.train_counting, job, way) for way in (False, True))
    for (points, n_copied), (same, n_divided) in zip(copied, pieces, strict=True):
        assert (points == same).all()
        assert n_copied == 2 * points.shape[1]
        assert n_divided <= points.shape[1] + 2
    assert sum(n for _, n in pieces) == copied[0][1]


@pytest.mark.proves("eq-parallel-tensor", by="independent")
@pytest.mark.parametrize("hidden", [2, 7])
def test_columns_times_rows_add_up_to_the_two_layers(group, rng, hidden):
    X, A, C = rng.normal(size=(4, 3)), rng.normal(size=(3, hidden)), rng.normal(size=(hidden, 2))
    whole = torch.tanh(torch.from_numpy(X) @ torch.from_numpy(A)) @ torch.from_numpy(C)
    for part in group.run(divided.two_layers, X, A, C):
        assert np.allclose(part, whole.numpy(), rtol=1e-12, atol=1e-14)


def test_shared_statistics_are_those_of_one_batch_norm_and_separate_ones_are_not(group, rng):
    X = rng.normal(size=(12, 3)) + np.arange(12)[:, None]  # the shards differ
    normalized = normalization.compare_batch_norm(group, X)
    whole = torch.nn.BatchNorm1d(3, affine=False).double()(torch.from_numpy(X)).numpy()
    assert np.allclose(normalized.whole, whole, rtol=1e-12, atol=1e-13)
    assert normalized.shared_is_whole
    assert normalized.off > 0.5
    assert normalized.variance_ratio < 0.5
    with pytest.raises(ValueError, match="11 rows of `X` must divide evenly among 2"):
        normalization.compare_batch_norm(group, X[:11])


@pytest.mark.parametrize("offset", [1e4, 1e8])
def test_a_small_variance_beside_a_large_mean_is_shared_in_full(group, rng, offset):
    X = rng.normal(size=(12, 3))
    shifted = np.concatenate(group.run(normalization.normalize_together, X + offset))
    plain = np.concatenate(group.run(normalization.normalize_together, X))
    np.testing.assert_allclose(shifted, plain, rtol=0, atol=1e-14 * offset)


# One exchange only.


def test_the_pieces_are_fitted_as_by_scikit_learn(rng):
    X, y = rng.normal(size=(3, 80, 2)), (rng.random((3, 80)) < 0.4) * 1.0
    ours = one_shot.fit(X, y)
    for piece in range(3):
        oracle = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10, max_iter=1_000)
        assert np.allclose(ours[piece], oracle.fit(X[piece], y[piece]).coef_[0], atol=1e-5)


def test_a_separable_piece_is_an_error_and_no_estimate():
    X = np.linspace(-1, 1, 10)[:, None]
    with pytest.raises(ValueError, match="A piece of 10 rows has no estimate"):
        one_shot.fit(X, (X[:, 0] > 0) * 1.0)
