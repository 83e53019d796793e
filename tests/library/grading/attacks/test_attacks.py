"""Every attack fails on the real grader, and each does its harm to the weak one that it names."""

import json
import py_compile
import secrets
import subprocess
import sys

import pytest

from dlcourse import losses
from dlcourse.grading.sandbox import bubblewrap
from dlcourse.grading.sandbox.execution import Executor
from tests.library.grading.attacks import homework, weak, world

ATTACKS = {attack.name: attack for attack in world.attacks()}
CLASSES = (
    """
patched comparison functions; objects that are always equal; __array_function__ impostors;
__array_ufunc__ impostors; patched test framework; patched builtins; patched IPython; patched json;
AST rewriting; frame walks; gc walks; reading tests; reading siblings; reading secrets from disk;
reading secrets from /proc; reading secrets from the environment; forging file descriptors;
forging frames; pickled code; sockets, loopback included; exit; abort; segfault;
kill of the parent; endless loops; loops that swallow interrupts; sleeping in a call;
memory bombs; memory bombs, shared mmap; fork bombs; output floods; huge return values;
recursive return values; wrong-dtype return values; NaN-laden return values; files left;
shared memory left; startup files left; daemons left; writes to siblings;
writes to results and store; mutated arguments and expected values;
leaks of hidden inputs through output; leaks of hidden inputs through exceptions;
leaks of hidden inputs through plots; withheld modules; side channels
""".replace("\n", " ")
    .strip()
    .split("; ")
)


@pytest.fixture(scope="module")
def bytecode():
    """What Python leaves beside a module that the grader has imported."""
    py_compile.compile(losses.__file__)


@pytest.fixture(scope="module", params=["bubblewrap", "landlock"])
def executor(request, bytecode):
    """The sandbox of this machine, and that of one without bubblewrap."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "landlock":
            patch.setattr(bubblewrap.shutil, "which", lambda name: None)
        with Executor(world.LIMITS, hidden_modules=world.WITHHELD) as executor:
            assert executor.isolation_used == request.param
            yield executor


@pytest.fixture(scope="module")
def weak_harms(bytecode):
    """What each attack does to its weak grader, in two boxes at once."""
    boxes = []
    for names in ([*ATTACKS][::2], [*ATTACKS][1::2]):
        command = [sys.executable, "-m", "tests.library.grading.attacks.weak", *names]
        boxed = weak.boxed(command, f"canary{secrets.token_hex(8)}")
        pipe = subprocess.PIPE
        boxes.append(subprocess.Popen(boxed, stdout=pipe, stderr=pipe, text=True))
    harms = {}
    for box in boxes:
        said, complaint = box.communicate(timeout=3000)
        assert box.returncode == 0, complaint[-3000:]
        harms |= json.loads(said.splitlines()[-1])
    return harms


def test_the_suite_covers_every_class():
    kinds = {attack.kind for attack in ATTACKS.values()}
    assert not set(CLASSES) - kinds
    assert len(ATTACKS) >= 58
    assert sum(attack.at_design for attack in ATTACKS.values()) >= 10


def test_the_honest_submission_gets_full_marks(executor):
    report = world.grade_next(executor)
    assert (report.mark, report.failure) == (homework.FULL_MARK, "")


@pytest.mark.parametrize("name", ATTACKS)
def test_attack_does_no_harm(name, executor):
    attack = ATTACKS[name]
    most_seconds = world.most_seconds(world.LIMITS) + world.BUSY_SECONDS
    with world.World(world.descendants, world.LIMITS, most_seconds) as place:
        report = world.grade(executor, place.fill(attack.cells))
        next_report = world.grade_next(executor)
        assert place.harms(attack, report, next_report) == set()


@pytest.mark.parametrize("name", ATTACKS)
def test_attack_is_real(name, weak_harms):
    assert ATTACKS[name].harm in weak_harms[name]
