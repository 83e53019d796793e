"""Runs every attack against the weak grader that it names, in a box of its own.

The box is another bubblewrap: what these attacks do, they do, so their disk is read-only but for
a /tmp in memory, and their processes end with it. The harms come back as JSON.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from unittest import mock

from dlcourse.grading.sandbox import files, host, protocol, reported, submission_run, values
from dlcourse.grading.sandbox.allowance import TimeUp
from dlcourse.grading.sandbox.execution import Executor
from dlcourse.grading.sandbox.limits import Limits
from dlcourse.grading.sandbox.proxy import CellError, CellOutcome
from tests import ROOT
from tests.library.grading.attacks import homework, weak_zygote, world

# Where the proof is that limits do not hold, they are short. Elsewhere they are wide, so that an
# attack gets what it wants on a busy machine too.
SHORT = replace(
    world.LIMITS,
    notebook_wall_seconds=0.8,
    call_wall_seconds=0.5,
    submission_wall_seconds=0.8,
    n_restarts=0,
)
SMALL_INTEGERS = sys.get_int_max_str_digits()


def limits_of(attack: world.Attack) -> Limits:
    return SHORT if attack.harm == "time" else world.WIDE


def end_seconds(limits: Limits) -> float:
    """When even a weak grader is stopped."""
    return world.most_seconds(limits) + 0.5


def boxed(command: list[str], secret: str) -> list[str]:
    """`command` where it can reach nothing that outlives it."""
    box = "bwrap --ro-bind / / --dev /dev --proc /proc --tmpfs /tmp --tmpfs /var/tmp --unshare-pid"
    rights = ["--cap-add", "ALL"] if os.getuid() == 0 else []
    for place in (ROOT, Path(sys.prefix)):  # either may lie below the /tmp just covered
        rights += ["--ro-bind", str(place), str(place)]
    ends = ["--die-with-parent", "--setenv", "WORLD_SECRET", secret, "--chdir", str(ROOT)]
    ends += ["--setenv", "MPLCONFIGDIR", "/tmp/matplotlib"]
    return [*box.split(), *rights, *ends, "--", *command]


class WeakExecutor(Executor):
    """A sandbox with steps left out, and no self-test that would find it."""

    def __init__(self, weakness):
        super().__init__(world.WIDE)
        self.weakness = weakness

    def __enter__(self):
        self.zygote = self._proven("untrusted marks" if self.weakness == "open" else "bubblewrap")
        return self

    def _proven(self, kind):
        weak = type("Weak", (host.Zygote,), {"program": (weak_zygote.__name__, self.weakness)})
        zygote = weak if self.weakness in weak_zygote.LEFT_OUT else host.Zygote
        hidden = (lambda modules: []) if self.weakness == "shown" else files.hidden
        with mock.patch.object(files, "hidden", hidden):
            return zygote(kind, self.limits, False)


class TrustingChannel(protocol.Channel):
    """Takes what it is told for true: lengths, and that more will come while bytes come."""

    limits = SHORT

    def _wait(self, event, patience):
        if not self._poll(event, self.limits.call_wall_seconds):
            raise TimeUp("no byte in a while")
        if time.monotonic() > patience.asked_at + end_seconds(self.limits):
            raise TimeUp("enough of that")


class NoEndAllowance(submission_run.Allowance):
    """Never gives up, until the proof is long enough."""

    def __call__(self):
        if time.monotonic() > self.asked_at + end_seconds(SHORT):
            raise TimeUp("enough of that")
        return 0.05


def _trusting_exchange(self, order):
    allowance = self._allowance(60.0, 60.0)
    self.channel.send(order, allowance)
    try:
        return self.channel.receive(allowance)
    except (EOFError, ValueError) as error:
        raise RuntimeError("The other end always answers.") from error


def _whole_outcome(message, limits):
    error = message["error"] and CellError(*message["error"])
    plots = tuple(values.decode(plot) for plot in message["plots"])
    return CellOutcome(message["stdout"], message["stderr"], error, plots)


PATCHES = {
    "trusting": [
        (submission_run, "Channel", TrustingChannel),
        (submission_run.SubmissionRun, "_exchange", _trusting_exchange),
        (protocol, "MAX_FRAME_BYTES", 2**32),
        (protocol, "MAX_ITEMS", 10**9),
        (protocol, "unpack", json.loads),
        (values, "MAX_KEYS", 10**9),
    ],
    "stopping": [(submission_run, "Allowance", NoEndAllowance)],
    "trusting output": [(reported, "outcome", _whole_outcome)],
}


@contextlib.contextmanager
def patched(weakness, limits):
    """The host's checks replaced by trust, for a while."""
    TrustingChannel.limits = limits
    patches = PATCHES.get(weakness, [])
    before = [getattr(owner, name) for owner, name, _ in patches]
    sys.set_int_max_str_digits(0 if weakness == "trusting" else SMALL_INTEGERS)
    for owner, name, weaker in patches:
        setattr(owner, name, weaker)
    try:
        yield
    finally:
        for (owner, name, _), strong in zip(patches, before, strict=True):
            setattr(owner, name, strong)
        sys.set_int_max_str_digits(SMALL_INTEGERS)


def naive_grade(cells, variant, place) -> world.Report:
    """Grade in the process of the student's code; the parent reads the last line."""
    report, limits = world.Report(), place.limits
    order = {"cells": cells, "variant": variant, "secret": place.secret}
    order["test_seconds"] = limits.call_wall_seconds
    environment = {
        **os.environ,
        "HOME": str(place.paths["HOME"]),
        "WORLD_FILE": str(place.paths["SECRET"]),
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": "/tmp/matplotlib",
    }
    with tempfile.TemporaryFile("w+b") as output, tempfile.TemporaryFile("w+b") as text:
        text.write(json.dumps(order).encode())
        text.seek(0)
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.library.grading.attacks.naive"],
            stdin=text, stdout=output, stderr=output, env=environment, start_new_session=True,
        )  # fmt: skip
        usage, report.seconds = _awaited(process, output, end_seconds(limits))
        report.grown_bytes = 1024 * usage.ru_maxrss
        output.seek(0)
        report.feedback = output.read().decode(errors="replace")
    report.n_bytes = len(report.feedback)
    try:
        report.mark = json.loads(report.feedback.rstrip().rpartition("\n")[2])["mark"]
    except (ValueError, KeyError, TypeError):
        report.failure = "no result"
    return report


def _awaited(process, output, most_seconds):
    """What the process has used, and its seconds since it began to speak.

    It is killed when the proof is long enough; to import what it needs it has any time.
    """
    start, pid = None, 0
    while not pid:
        if start is None and os.fstat(output.fileno()).st_size:
            start = time.monotonic()
        if start is not None and time.monotonic() - start > most_seconds:
            os.kill(process.pid, signal.SIGKILL)
        time.sleep(0.01)
        pid, process.returncode, usage = os.wait4(process.pid, os.WNOHANG)
    return usage, time.monotonic() - start if start else 0.0


def harms_of(attack: world.Attack, executors: dict[str, WeakExecutor]) -> list[str]:
    """What `attack` does to the weak grader that it names."""
    before, limits = set(world.processes()), limits_of(attack)
    naive_name, _, variant = attack.weak.partition(", ")
    if naive_name == "in process":

        def graded(cells):
            return naive_grade(cells, variant, place)
    else:
        if attack.weak not in executors:
            executors[attack.weak] = WeakExecutor(attack.weak).__enter__()

        def graded(cells):
            with patched(attack.weak, limits):
                executors[attack.weak].limits = limits
                return world.grade(executors[attack.weak], cells)

    most_seconds = world.most_seconds(limits)
    with world.World(lambda: set(world.processes()), limits, most_seconds) as place:
        report = graded(place.fill(attack.cells))
        next_report = world.Report(mark=homework.FULL_MARK)
        if naive_name != "in process":  # which takes a new process for each submission
            limits = world.WIDE
            next_report = graded(world.NEXT)
        harms = place.harms(attack, report, next_report)
    if next_report.failure and attack.weak in executors:
        executors.pop(attack.weak).__exit__()
    for pid in set(world.processes()) - before - world.descendants():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)  # of this box: nothing outside is visible
    return sorted(harms)


def main():
    """Print the harms of each attack as JSON."""
    files.visible = lambda visible=files.visible: [*visible(), ROOT / "tests"]
    executors, harms = {}, {}
    only = sys.argv[1:]
    for attack in world.attacks():
        if not only or attack.name in only:
            harms[attack.name] = harms_of(attack, executors)
    for executor in executors.values():
        executor.__exit__()
    print(json.dumps(harms))


if __name__ == "__main__":
    main()
