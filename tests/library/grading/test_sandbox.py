"""The sandbox: what each layer keeps out, that it proves itself, and that it fails closed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dlcourse.grading.sandbox import bubblewrap, cgroups, files, host, self_test
from dlcourse.grading.sandbox.execution import (
    Executor,
    MissingFunction,
    SandboxUnavailable,
    StudentError,
)
from dlcourse.grading.sandbox.inside import confine, landlock
from dlcourse.grading.sandbox.limits import Limits
from tests import ROOT
from tests.library.grading.attacks import homework, weak_zygote, world

READ_CELL = "def read(path):\n    return open(path).read(20)\ndef double(x):\n    return 2 * x"


# ----------------------------------------------------------------------- files and namespaces


def test_only_python_and_this_package_are_shown():
    shown = files.visible()
    assert files.PACKAGE in shown
    assert not any(Path(__file__).is_relative_to(path) for path in shown)
    assert not any(Path.home() == path or path == Path("/") for path in shown)
    assert all(not a.is_relative_to(b) for a in shown for b in shown if a != b)


def test_hidden_paths_are_taken_out_of_what_is_readable(tmp_path):
    for name in ("a/one.py", "a/b/two.py", "c/three.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    readable, listable = files.without([tmp_path], [tmp_path / "a/b"])
    assert set(readable) == {tmp_path / "a/one.py", tmp_path / "c"}
    assert listable == [tmp_path, tmp_path / "a"]


@pytest.mark.parametrize("name", ["numpy", "dlcourse", "dlcourse.nothing", "os.path"])
def test_only_modules_of_this_package_can_be_hidden(name):
    with pytest.raises(ValueError, match="dlcourse.optim"):
        Executor(hidden_modules=[name])


WHERE = ["bubblewrap", "landlock"]


@pytest.fixture
def where(request, monkeypatch):
    """Make this machine one with, or without, bubblewrap."""
    if request.param == "landlock":
        monkeypatch.setattr(bubblewrap.shutil, "which", lambda name: None)
    return request.param


@pytest.mark.parametrize("where", WHERE, indirect=True)
def test_the_sandbox_holds_its_own_proof(where, tmp_path, monkeypatch):
    secret = tmp_path / "secret"
    secret.write_text("canary")
    tmp_path.chmod(0o755)
    monkeypatch.setenv("GRADER_SECRET", "canary")
    with Executor() as executor:
        assert executor.isolation_used == where
        with executor.run([READ_CELL, "import os\nos.environ"], seed_material=b"") as student:
            assert student.double(21) == 42
            assert "canary" not in student.outcomes[1].stdout
            assert "MPLBACKEND" in student.outcomes[1].stdout
            with pytest.raises(StudentError, match="FileNotFoundError|PermissionError"):
                student.read(str(secret))


@pytest.mark.parametrize("where", WHERE, indirect=True)
def test_hidden_modules_are_not_there(where):
    source = Path(files.PACKAGE, "losses.py")
    seen = "def seen(path):\n    try: return open(path).read()\n    except OSError: return ''"
    cells = [seen, "from dlcourse.losses import SquaredError", "from dlcourse import tables"]
    with Executor(hidden_modules=["dlcourse.losses", "dlcourse.optim"]) as executor:
        assert executor.isolation_used == where
        source = executor.zygote.shown(source)
        with executor.run(cells, seed_material=b"") as student:
            assert [o.error is None for o in student.outcomes] == [True, False, True]
            assert student.seen(str(source)) == ""
    with Executor() as executor, executor.run(cells, seed_material=b"") as student:
        assert [o.error for o in student.outcomes] == [None, None, None]
        assert "class SquaredError" in student.seen(str(source))


def test_landlock_keeps_the_files_of_the_user_from_being_written(monkeypatch, tmp_path):
    monkeypatch.setattr(bubblewrap.shutil, "which", lambda name: None)
    cells = ["def spoil(path):\n    open(path, 'w').write('x')"]
    kept = tmp_path / "kept"
    kept.write_text("kept")
    with Executor() as executor, executor.run(cells, seed_material=b"") as student:
        for path in (str(kept), str(tmp_path / "new"), "/tmp/new", files.__file__):
            with pytest.raises(StudentError, match="PermissionError"):
                student.spoil(path)
    assert kept.read_text() == "kept"


def test_a_bubblewrap_that_fails_is_replaced_by_landlock(monkeypatch):
    monkeypatch.setattr(bubblewrap.shutil, "which", lambda name: "/bin/false")
    with Executor() as executor:
        assert executor.isolation_used == "landlock"


def test_root_without_its_rights_takes_a_user_namespace(monkeypatch):
    monkeypatch.setattr(bubblewrap, "_may_mount", lambda: False)
    with Executor() as executor, executor.run([READ_CELL], seed_material=b"") as student:
        assert executor.isolation_used == "bubblewrap"
        assert student.double(2) == 4


def test_a_signal_without_a_name_is_reported_by_its_number(monkeypatch):
    monkeypatch.setattr(bubblewrap.shutil, "which", lambda name: None)
    cells = ["import os\nos.kill(os.getpid(), 40)", READ_CELL]
    with Executor() as executor, executor.run(cells, seed_material=b"") as student:
        assert student.outcomes[0].error.text == "The process got signal 40."
        assert student.double(2) == 4


def test_landlock_of_an_old_kernel_is_refused(monkeypatch):
    monkeypatch.setattr(landlock, "version", lambda: 2)
    with pytest.raises(SandboxUnavailable, match=r"version 3 is needed \(Linux 6.2\), got"):
        landlock.ruleset(["/usr"], [], [])


def test_the_mounts_of_a_fork_are_its_own():
    cells = ["open('/tmp/mine', 'w').write('x')", homework.LISTING, "open('/mine', 'w')"]
    with Executor() as executor:
        for _ in range(2):
            with executor.run(cells[::-1], seed_material=b"") as student:
                assert student.outcomes[1].stdout.startswith("[]")
                assert student.outcomes[0].error.type == "OSError"
                assert student.outcomes[2].error is None
    assert not Path("/tmp/mine").exists()


# -------------------------------------------------------------------------- the ordinary user

AS_USER = """
import shutil, sys
from dlcourse.grading.sandbox.execution import Executor
from dlcourse.grading.sandbox import bubblewrap
import os
assert os.getuid() != 0
if sys.argv[1] == "landlock":
    bubblewrap.shutil.which = lambda name: None
with Executor() as executor:
    with executor.run(["def f(x): return x + 1", "print(open('/etc/passwd').read())"],
                      seed_material=b"") as student:
        print(executor.isolation_used, student.f(41), student.outcomes[1].error is not None)
"""


def as_ordinary_user(command):
    """`command` as a user without rights, in whose eyes Python is readable."""
    if os.getuid() != 0:
        return command
    box, shown = ["bwrap", "--dev-bind", "/", "/"], files.visible()
    closed = {p for path in shown for p in path.parents if not p.stat().st_mode & 0o001}
    moved = [path for path in shown if closed & {*path.parents}]
    for directory in sorted(closed):
        box += ["--tmpfs", str(directory)]
    for directory in sorted({p for path in moved for p in path.parents}):
        box += ["--perms", "0755", "--dir", str(directory)]
    for path in moved:
        box += ["--ro-bind", str(path), str(path)]
    box += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--die-with-parent", "--"]
    user = ["--reuid=65534", "--regid=65534", "--clear-groups"]
    return [*box, "setpriv", *user, *command]


@pytest.mark.parametrize("kind", WHERE)
def test_an_ordinary_user_gets_the_same_sandbox(kind):
    command = as_ordinary_user([sys.executable, "-W", "error", "-c", AS_USER, kind])
    environment = {**os.environ, "PYTHONPATH": str(files.PACKAGE.parent), "HOME": "/tmp"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, env=environment)
    assert done.stdout.split() == [kind, "42", "True"], done.stderr[-2000:]


# ------------------------------------------------------------------- proof, and failing closed


@pytest.mark.parametrize(
    ("weakness", "kind", "finding"),
    [
        ("open", "untrusted marks", "it can read a file of the grader"),
        ("no filter", "bubblewrap", "it can open a socket"),
        ("shared files", "bubblewrap", "it can find files of an earlier submission"),
        ("no limits", "bubblewrap", "take too much memory"),
    ],
)
def test_the_self_test_finds_what_is_left_out(weakness, kind, finding, monkeypatch):
    visible = files.visible()
    monkeypatch.setattr(files, "visible", lambda: [*visible, ROOT / "tests"])
    monkeypatch.setattr(host.Zygote, "program", (weak_zygote.__name__, weakness))
    zygote = host.Zygote(kind, world.LIMITS, False, [])
    try:
        with pytest.raises(SandboxUnavailable, match=finding):
            self_test.prove(zygote)
    finally:
        zygote.close()


def test_the_environment_of_the_grader_must_not_show(monkeypatch):
    given = host.Zygote.environment
    monkeypatch.setattr(
        host.Zygote, "environment", lambda self: {**given(self), "GRADER_SECRET": "canary"}
    )
    zygote = host.Zygote("bubblewrap", Limits(), False, [])
    monkeypatch.setattr(host.Zygote, "environment", given)
    monkeypatch.setenv("GRADER_SECRET", "canary")
    try:
        with pytest.raises(SandboxUnavailable, match="GRADER_SECRET"):
            self_test.prove(zygote)
    finally:
        zygote.close()


def test_without_a_sandbox_nothing_runs(monkeypatch):
    monkeypatch.setattr(bubblewrap.shutil, "which", lambda name: None)
    monkeypatch.setattr(self_test, "prove", _refuse)
    before = world.descendants()
    with pytest.raises(SandboxUnavailable, match="apt install bubblewrap") as refusal:
        Executor().__enter__()
    assert "untrusted marks" in str(refusal.value)
    assert world.descendants() == before


def _refuse(zygote):
    raise SandboxUnavailable(f"{zygote.isolation}: it can read a file of the grader")


def test_marks_that_cannot_be_trusted_must_be_asked_for(monkeypatch):
    monkeypatch.setattr(bubblewrap.shutil, "which", lambda name: None)
    monkeypatch.setattr(self_test, "prove", _refuse)
    with Executor(isolation="untrusted marks") as executor:
        assert executor.isolation_used == "untrusted marks"
        with executor.run([READ_CELL], seed_material=b"") as student:
            assert student.double(2) == 4
            with pytest.raises(MissingFunction):
                student.triple(2)
    with pytest.raises(ValueError, match="'strict' or 'untrusted marks'"):
        Executor(isolation="none")


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_other_systems_are_told_what_to_do(platform, monkeypatch):
    monkeypatch.setattr("sys.platform", platform)
    with pytest.raises(SandboxUnavailable, match="Docker, a virtual machine or WSL 2"):
        Executor().__enter__()


@pytest.mark.parametrize("name", ["fresh_files", "give_up_rights", "limit_resources"])
def test_a_fork_that_cannot_be_confined_runs_nothing(name, monkeypatch):
    """Each step raises where the kernel says no, and the fork then ends before the notebook."""
    visible = files.visible()
    monkeypatch.setattr(files, "visible", lambda: [*visible, ROOT / "tests"])
    monkeypatch.setattr(host.Zygote, "program", (weak_zygote.__name__, f"failing {name}"))
    assert hasattr(confine, name)
    zygote = host.Zygote("bubblewrap", Limits(), False, [])
    try:
        with pytest.raises(SandboxUnavailable, match=f"was not confined. OSError: no {name}"):
            self_test.prove(zygote)
    finally:
        zygote.close()


# ------------------------------------------------------------------------------ nothing is left


def test_an_executor_leaves_no_process_and_no_group():
    before = world.descendants()
    with Executor() as executor:
        group = executor.zygote.group
        scratch = executor.zygote.scratch
        assert world.descendants() - before
        with executor.run([READ_CELL], seed_material=b"") as student:
            student.double(1)
    assert world.descendants() == before
    assert not scratch.exists()
    assert group is None or not any(path.exists() for path in group.directories)


def test_a_killed_grader_takes_its_sandbox_along():
    script = (
        "from dlcourse.grading.sandbox.execution import Executor\n"
        "with Executor() as executor:\n"
        "    with executor.run(['def spin():\\n    while True: pass'], seed_material=b'') as s:\n"
        "        print('ready', flush=True)\n"
        "        s.spin()\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(files.PACKAGE.parent)}
    others = world.descendants()  # such as a tracker of an earlier test's workers
    grader = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment
    )
    with grader:
        assert grader.stdout.readline() == "ready\n"
        family = world.descendants() - others
        assert len(family) > 2
        grader.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 300
    while family & world.processes().keys() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not family & world.processes().keys()


# ------------------------------------------------------------------------------ control groups


def fake_tree(tmp_path, monkeypatch, version):
    """A tree of control groups that is plain files, and the caller's place in it."""
    own = {"": "user/session"} if version == 2 else {"memory": "user", "pids": "user"}
    monkeypatch.setattr(cgroups, "_own_paths", lambda: own)
    places = ["user/session"] if version == 2 else ["memory/user", "pids/user"]
    for place in places:
        (tmp_path / place).mkdir(parents=True)
    if version == 2:
        (tmp_path / "user/cgroup.subtree_control").write_text("cpu memory pids\n")
    return tmp_path


@pytest.mark.parametrize(
    ("version", "files_"),
    [
        (2, {"memory.max": "1000", "pids.max": "7"}),
        (1, {"memory.limit_in_bytes": "1000", "pids.max": "7"}),
    ],
)
def test_a_group_gets_the_limits_of_either_version(version, files_, tmp_path, monkeypatch):
    group = cgroups.around(1000, 7, root=fake_tree(tmp_path, monkeypatch, version))
    found = {p.name: p.read_text() for d in group.directories for p in d.iterdir()}
    assert found == files_
    group.add(123)
    assert group.processes() == [123]
    parents = {directory.parent.relative_to(tmp_path) for directory in group.directories}
    expected = {"user"} if version == 2 else {"memory/user", "pids/user"}
    assert {str(parent) for parent in parents} == expected


def test_groups_of_killed_graders_are_swept_away(tmp_path, monkeypatch):
    tree = fake_tree(tmp_path, monkeypatch, 1)
    dead, alive = (tree / "pids/user" / f"dlcourse-{pid}-ab" for pid in (2**22 + 1, os.getpid()))
    for directory in (dead, alive):
        directory.mkdir()
    cgroups.around(1000, 7, root=tree)
    assert not dead.exists()
    assert alive.exists()


def test_without_the_right_to_make_groups_there_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(cgroups, "_own_paths", lambda: {"": "user"})
    assert cgroups.around(1000, 7, root=tmp_path) is None


def test_a_real_group_limits_the_sandbox_where_groups_can_be_made():
    with Executor() as executor:
        group = executor.zygote.group
        if group is None:  # then nobody may make one
            assert not os.access(cgroups.ROOT / "memory", os.W_OK)
        else:
            limits = [*group.directories[0].glob("memory.*max*")]
            assert limits
            assert len(group.processes()) == 1
