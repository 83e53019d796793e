"""One submission in its fork: run the cells, call the functions, start afresh when it is stuck.

A student's endless loop in one question shall not cost the points of the next. So a call that
runs out of time, or ends the process, ends the fork; the next call finds a fresh one, in which
the cells have run again but for those that never came back.
"""

import hashlib
import os
import secrets
import signal
from collections.abc import Sequence

from dlcourse.grading.sandbox import reported, values
from dlcourse.grading.sandbox.allowance import Allowance, Budget, TimeUp
from dlcourse.grading.sandbox.failures import (
    BadValue,
    CallTimeout,
    KilledFromOutside,
    ProtocolError,
    SandboxUnavailable,
    StudentError,
    StudentGone,
)
from dlcourse.grading.sandbox.host import START_SECONDS
from dlcourse.grading.sandbox.inside.confine import most_cpu_seconds
from dlcourse.grading.sandbox.limits import Limits
from dlcourse.grading.sandbox.protocol import Channel
from dlcourse.grading.sandbox.proxy import CellError, CellOutcome

KILLED = "was killed"
DYING_SECONDS = 2.0  # from closing its end to being gone, a thousand times what that takes


class SubmissionRun:
    """The state of one submission between its first cell and the end of its last test."""

    def __init__(self, zygote, cells: Sequence[str], seed_material: bytes, limits: Limits):
        self.zygote, self.limits = zygote, limits
        self.room = reported.Room.of(limits)
        self.cells, self.seed_material = [*cells], seed_material
        self.budget = Budget(limits.submission_wall_seconds)
        self.n_starts, self.verdict = 0, None
        self.fork, self.channel, self.last_host_pid = None, None, None
        self._outcomes = [None] * len(self.cells)
        self._skipped = set()
        self.names = frozenset()

    @property
    def outcomes(self) -> tuple[CellOutcome, ...]:
        not_run = CellOutcome(error=CellError("NotRun", "The cells before it took all starts."))
        return tuple(outcome or not_run for outcome in self._outcomes)

    def start(self):
        """Run the notebook; each start skips the cells that did not come back in an earlier one."""
        while self.fork is None and self.verdict is None:
            if self.n_starts > self.limits.n_restarts:
                self.verdict = "the notebook never came to its end"
            elif self.budget.left <= 0:
                self.verdict = "its time is over"
            else:
                self.n_starts += 1
                self._run_cells()

    def _run_cells(self):
        index = next((i for i in range(len(self.cells)) if i not in self._skipped), None)
        try:
            allowance = self._open()
            self._send_notebook(allowance)
            while True:
                message = self._receive(allowance)
                if "names" in message:
                    self.names = frozenset(reported.names(message["names"]))
                    return
                if index is None or message.get("cell") != index:
                    raise ProtocolError("It answered for another cell.")
                if self._outcomes[index] is None:
                    self._outcomes[index] = self._kept(reported.outcome(message, self.room))
                later = (i for i in range(index + 1, len(self.cells)) if i not in self._skipped)
                index = next(later, None)
        except TimeUp as error:
            self._lose(index, CellError("TimeLimit", f"The notebook took {error}."))
        except EOFError:
            self._lose(index, CellError("Crash", f"The process {self._death()}."))
        except ProtocolError as error:
            self._condemn(error)

    def _open(self):
        self.fork = self.zygote.spawn()
        self.last_host_pid = self.fork.host_pid
        self.channel = self._connected()
        self._greet()
        limits = self.limits
        return self._allowance(limits.notebook_cpu_seconds, limits.notebook_wall_seconds)

    def _allowance(self, cpu_seconds, wall_seconds):
        return Allowance(self.fork, cpu_seconds, wall_seconds, self.budget)

    def _greet(self):
        """Nothing of the submission goes to a fork that has not said it is confined."""
        try:
            # The submission has not begun: none of this is its time.
            patience = Allowance(self.fork, START_SECONDS, START_SECONDS, Budget(START_SECONDS))
            message = self.channel.receive(patience)
        except (TimeUp, EOFError, ProtocolError) as error:
            message = {"refused": [type(error).__name__, "it did not get ready"]}
        if "ready" not in message:
            self.end()
            refusal = ": ".join(map(str, message.get("refused", ["no reason given"])))
            raise SandboxUnavailable(f"{self.zygote.isolation}: a fork was not confined. {refusal}")

    def _send_notebook(self, allowance):
        try:
            self.channel.send(self._order(), allowance)
        except ValueError as error:
            raise ProtocolError(f"The notebook is too large: {error}.") from None

    def _order(self):
        """What the notebook gets. Of the seed a hash, for the tests may draw from the same key."""
        kept = [None if i in self._skipped else cell for i, cell in enumerate(self.cells)]
        return {
            "cells": kept,
            "seed_material": values.encode(hashlib.sha256(self.seed_material).digest()),
            "output_bytes": self.limits.output_bytes,
            "plot_bytes": self.limits.plot_bytes,
        }

    def _lose(self, index, error):
        """Cell `index` did not come back: record it and leave it out of the next start."""
        self._stop()
        if index is not None and self._outcomes[index] is None:
            self._outcomes[index] = CellOutcome(error=error)
            self._skipped.add(index)

    def _kept(self, outcome):
        """The outcome of a cell; what it holds is no longer free for the cells to come."""
        self.room = self.room.after(outcome)
        return outcome

    def _condemn(self, error):
        """The process sent what nobody asked for: no more starts."""
        self._stop()
        self.verdict = f"it broke the protocol ({error})"

    def call(self, name: str, args: tuple, kwargs: dict, wants_args: bool) -> list:
        """[result] or [result, arguments afterwards]; fails as `proxy.StudentFunction` says.

        That is, it raises CallTimeout, StudentGone, StudentError or BadValue.
        """
        order = {
            "id": secrets.token_hex(8),
            "name": name,
            "args": values.encode(args),
            "kwargs": values.encode(kwargs),
            "wants_args": wants_args,
        }
        self.start()
        if self.verdict:
            raise StudentGone(f"The notebook cannot be called: {self.verdict}.")
        try:
            return _returned(order, self._exchange(order))
        except TimeUp as error:
            self._stop()
            raise CallTimeout(f"`{name}` took {error}.") from None
        except EOFError:
            raise StudentGone(f"`{name}` ended the process: it {self._death()}.") from None
        except ProtocolError as error:
            self._condemn(error)
            raise StudentGone(f"The notebook cannot be called: {self.verdict}.") from None

    def _exchange(self, order):
        if self.channel.has_unread():
            raise self._unasked()
        allowance = self._allowance(self.limits.call_cpu_seconds, self.limits.call_wall_seconds)
        self.channel.send(order, allowance)
        reply = self._receive(allowance)
        if reply.get("id") != order["id"]:
            raise ProtocolError("It answered another call.")
        return reply

    def _connected(self):
        return Channel(self.fork.channel)

    def _receive(self, allowance):
        return self.channel.receive(allowance)

    def _unasked(self):
        """EOFError if the process has ended between calls, else ProtocolError."""
        self.channel.receive(lambda: 0.0)
        return ProtocolError("It spoke before it was asked.")

    def _death(self):
        """How the fork ended that hung up. Raises `KilledFromOutside` if it was not by itself.

        Nothing inside can send the signal that cannot be caught: what dies of it met a limit of
        its own, or the machine killed it. A fork that hung up and goes on is ended here.
        """
        fork = self.fork
        if fork is None:
            return "had ended before"
        try:
            allowance = self._allowance(DYING_SECONDS, DYING_SECONDS)
            while not fork.has_ended(allowance()):
                pass
        except TimeUp:
            return self._stop()
        has_met_limit = (
            fork.cpu_seconds() >= most_cpu_seconds(self.limits) or self.zygote.was_out_of_memory()
        )
        manner = self._stop()
        if manner == KILLED and not has_met_limit:
            raise KilledFromOutside("a process of the sandbox was killed from outside")
        return manner

    def _stop(self):
        """End the fork, and say how it ended."""
        if self.fork is None:
            return "had ended before"
        fork, self.fork, self.channel = self.fork, None, None
        return _manner(self.zygote.end(fork))

    def end(self):
        """End what is left of the submission."""
        self._stop()


def _returned(order, reply):
    name = order["name"]
    if "unsendable" in reply:
        raise BadValue(f"`{name}` returned no data: {reported.described(reply['unsendable'])[1]}.")
    if "result" not in reply:
        raise StudentError(*reported.described(reply.get("raised")))
    returned = values.decode(reply["result"])
    if type(returned) is not list or len(returned) != 1 + order["wants_args"]:
        raise ProtocolError("A result is a list of the value, and the arguments if asked for.")
    return returned


def _manner(status):
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"ended itself with status {code}"
    named = {known.value: known.name for known in signal.Signals}  # some have no name
    name = named.get(-code, f"signal {-code}")
    return KILLED if name == "SIGKILL" else f"got {name}"
