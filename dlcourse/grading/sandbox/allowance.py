"""Time that a submission may take: CPU seconds decide, wall-clock seconds are the backstop."""

import os
import time

from dlcourse.grading.sandbox.host import Fork

_LEAST_WAIT_SECONDS = 0.002


class TimeUp(Exception):
    """An allowance is spent."""


class Allowance:
    """CPU seconds of one fork and wall-clock seconds, from now on."""

    def __init__(self, fork: Fork, cpu_seconds: float, wall_seconds: float):
        self.fork, self.cpu_seconds, self.wall_seconds = fork, cpu_seconds, wall_seconds
        self.cpu_start, self.wall_start = fork.cpu_seconds(), time.monotonic()

    def __call__(self) -> float:
        """Seconds until it makes sense to ask again; TimeUp if either is spent."""
        cpu_left = self.cpu_seconds - (self.fork.cpu_seconds() - self.cpu_start)
        wall_left = self.wall_seconds - (time.monotonic() - self.wall_start)
        if cpu_left <= 0:
            raise TimeUp(f"more than {self.cpu_seconds:g} seconds of computing")
        if wall_left <= 0:
            raise TimeUp(f"more than {self.wall_seconds:g} seconds of waiting")
        soonest = cpu_left / (os.cpu_count() or 1)  # if all its threads compute at once
        return max(_LEAST_WAIT_SECONDS, min(soonest, wall_left))
