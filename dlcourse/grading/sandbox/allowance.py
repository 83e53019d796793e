"""Time that a submission may take: CPU seconds decide, wall-clock seconds are the backstop.

What the machine takes is not the submission's. Nothing is charged beyond what was asked for: a
grader that was stopped, or had to wait for a processor, finds its clock where it left it. And the
time that the fork was ready to run, and was not let, is taken off.
"""

import contextlib
import os
import time
from pathlib import Path

_LEAST_WAIT_SECONDS = 0.002
_LONGEST_WAIT_SECONDS = 1.0  # a grader that was stopped charges at most this
_LOOK_SECONDS = 0.05  # of waiting, after which it is asked how much of it was the machine's


class TimeUp(Exception):
    """An allowance is spent."""


class Budget:
    """Wall-clock seconds that are left of one hand-in, whatever it spends them on."""

    def __init__(self, wall_seconds: float):
        self.wall_seconds = self.left = wall_seconds


class Delays:
    """How long a process was ready and not let run, by its most delayed thread.

    The second number of schedstat; where the kernel shows none, nothing was delayed.
    """

    def __init__(self, pid: int):
        self.pid = pid
        self.seen = {}  # nanoseconds that its threads waited for a processor, when last seen

    def newly_seconds(self) -> float:
        """Since the last call."""
        before, self.seen = self.seen, {}
        for path in Path(f"/proc/{self.pid}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError, IndexError):
                self.seen[path] = int(path.read_text().split()[1])
        new = (delay - before.get(path, 0) for path, delay in self.seen.items())
        return max(new, default=0) / 1e9


class Allowance:
    """CPU seconds of one fork and wall-clock seconds out of a budget, from now on."""

    def __init__(self, fork, cpu_seconds: float, wall_seconds: float, budget: Budget):
        self.fork, self.cpu_seconds, self.budget = fork, cpu_seconds, budget
        self.wall_seconds = self.wall_left = wall_seconds
        self.cpu_start, self.asked_at = fork.cpu_seconds(), time.monotonic()
        self.granted, self.unsettled = 0.0, 0.0

    def __call__(self) -> float:
        """Seconds until it makes sense to ask again; raises TimeUp if either is spent."""
        self._charge()
        cpu_left = self.cpu_seconds - (self.fork.cpu_seconds() - self.cpu_start)
        if cpu_left <= 0:
            raise TimeUp(f"more than {self.cpu_seconds:g} seconds of computing")
        if self.wall_left <= 0:
            raise TimeUp(f"more than {self.wall_seconds:g} seconds of waiting")
        if self.budget.left <= 0:
            raise TimeUp(f"the rest of the {self.budget.wall_seconds:g} seconds of a hand-in")
        soonest = cpu_left / (os.cpu_count() or 1)  # if all its threads compute at once
        wall_left = min(self.wall_left, self.budget.left, _LONGEST_WAIT_SECONDS)
        self.granted = max(_LEAST_WAIT_SECONDS, min(soonest, wall_left))
        return self.granted

    def _charge(self):
        """Take what has passed since the last call off what is left."""
        now = time.monotonic()
        self.unsettled += min(now - self.asked_at, max(self.granted, _LEAST_WAIT_SECONDS))
        self.asked_at = now
        if self.unsettled >= min(_LOOK_SECONDS, self.wall_left, self.budget.left):
            spent = max(0.0, self.unsettled - self.fork.delays.newly_seconds())
            self.wall_left -= spent
            self.budget.left -= spent
            self.unsettled = 0.0
