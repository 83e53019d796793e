"""The sandbox: what each layer keeps out, that it proves itself, and that it fails closed."""

import ast
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import venv
from dataclasses import replace
from pathlib import Path

import pytest

from dlcourse.grading.sandbox import bubblewrap, cgroups, files, host, scratch, self_test
from dlcourse.grading.sandbox.execution import (
    Executor,
    MissingFunction,
    SandboxUnavailable,
    StudentError,
)
from dlcourse.grading.sandbox.inside import confine, landlock
from dlcourse.grading.sandbox.limits import Limits
from dlcourse.grading.sandbox.unprotected import Unprotected, UnprotectedRun
from tests import ROOT
from tests.library.grading import samples
from tests.library.grading.attacks import homework, weak_zygote, world
from tests.library.grading.samples import NAMES

# For what is to succeed: a busy machine may take its time over it.
WIDE = replace(Limits(), call_cpu_seconds=60.0, call_wall_seconds=120.0)

READ_CELL = "def read(path):\n    return open(path).read(20)\ndef double(x):\n    return 2 * x"


# ----------------------------------------------------------------------- files and namespaces


def test_only_python_and_this_package_are_shown():
    shown = files.visible()
    assert files.PACKAGE in shown
    assert not any(Path(__file__).is_relative_to(path) for path in shown)
    assert not any(Path.home() == path or path == Path("/") for path in shown)
    assert all(not a.is_relative_to(b) for a in shown for b in shown if a != b)
    assert not any(Path(sys.prefix).is_relative_to(path) for path in shown)


def test_packages_of_other_pythons_are_taken_out(tmp_path, monkeypatch):
    own, other = (tmp_path / f"lib/python{version}/site-packages" for version in (3, 4))
    for folder in (own, other):
        (folder / "dlcourse/grading").mkdir(parents=True)
        (folder / "dlcourse/grading/master.py").touch()
    monkeypatch.setattr(sys, "path", [str(own), str(tmp_path)])
    monkeypatch.setattr(files, "visible", lambda: [tmp_path / "lib"])
    hidden = files.hidden([])
    assert other in hidden
    assert own not in hidden
    assert own / "dlcourse/grading/master.py" in hidden


def test_a_hidden_module_is_hidden_in_every_form_and_place(tmp_path, monkeypatch):
    for name in ("six.py", "six.cpython-311.so", "__pycache__/six.cpython-311.pyc", "sixty.py"):
        path = tmp_path / "site-packages" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "site-packages")])
    hidden = {p.name for p in files.hidden(["six"]) if p.is_relative_to(tmp_path)}
    assert hidden == {"six.py", "six.cpython-311.so", "__pycache__"}
    left = files.rebuilt([tmp_path / "site-packages" / name for name in hidden])
    assert left == {tmp_path / "site-packages": [tmp_path / "site-packages/sixty.py"]}


def test_hidden_paths_are_taken_out_of_what_is_readable(tmp_path):
    for name in ("a/one.py", "a/b/two.py", "c/three.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    readable, listable = files.without([tmp_path], [tmp_path / "a/b"])
    assert set(readable) == {tmp_path / "a/one.py", tmp_path / "c"}
    assert listable == [tmp_path, tmp_path / "a"]


@pytest.mark.parametrize("name", ["numpy", "dlcourse", "dlcourse.nothing", "os.path", "sys"])
def test_what_cannot_be_hidden_is_refused(name):
    with pytest.raises(ValueError, match="dlcourse.optim"):
        Executor(hidden_modules=[name])


def test_torch_is_withheld_whole_or_not_at_all():
    with pytest.raises(ValueError, match="cannot withhold a part"):
        Executor(with_torch=True, hidden_modules=["torch.optim"])
    Executor(hidden_modules=["a_package_that_is_not_installed"])


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


ALL_MODULES = """
import importlib, pkgutil, sys, dlcourse
for name in [n for n, module in sys.modules.items() if module is None]:
    del sys.modules[name]
def importable():
    found = []
    for module in pkgutil.walk_packages(dlcourse.__path__, "dlcourse.", onerror=lambda name: None):
        try:
            importlib.import_module(module.name)
        except (ImportError, PermissionError):
            continue
        found.append(module.name)
    return found
"""


def imported_by(source):
    """Modules of this package that trusted code imports."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)]
    names = {f"{node.module}.{alias.name}" for node in nodes for alias in node.names}
    return {name for name in names | {node.module for node in nodes} if name != "dlcourse"}


@pytest.mark.parametrize("where", WHERE, indirect=True)
@pytest.mark.parametrize("name", NAMES)
def test_no_oracle_of_a_homework_can_be_imported_where_it_is_graded(name, where):
    wanted = samples.homework(name)
    with Executor(WIDE, hidden_modules=wanted.flagged) as executor:
        assert executor.isolation_used == where
        with executor.run([ALL_MODULES], seed_material=b"") as student:
            found = {*student.importable()}
    assert {"dlcourse.gradcheck", "dlcourse.datasets", "dlcourse.grading.check"} <= found
    assert imported_by(wanted.oracle) & found <= {"dlcourse.gradcheck"}
    answers = ("losses", "optim", "linear", "chapters", "grading.master", "grading.marking", "cli")
    assert not [n for n in found if n.removeprefix("dlcourse.").startswith(answers)]


@pytest.mark.parametrize("where", WHERE, indirect=True)
def test_an_import_that_is_withheld_says_why(where):
    cells = ["import sklearn.linear_model", "import scipy.optimize", "import scipy.special\n1"]
    modules = ("sklearn", "scipy.optimize")
    with Executor(hidden_modules=modules) as executor:
        with executor.run(cells, seed_material=b"") as student:
            for outcome, module in zip(student.outcomes[:2], modules, strict=True):
                assert outcome.error.type == "ModuleNotFoundError"
                assert f"{module} answers a question of this homework" in outcome.error.text
            assert student.outcomes[2].error is None


LOOK_UPS = """
import importlib.util, sys
def looked_up():
    return [str(importlib.util.find_spec(n)) for n in ("sklearn", "scipy.optimize")]
def loaded():
    return sorted(n for n, m in sys.modules.items() if m and n.startswith("scipy.optimize"))
"""


class Rehearsed(Unprotected):
    """As `submit-check` runs a notebook where there is no sandbox."""

    def new_run(self, *about):
        run = UnprotectedRun(*about)
        run.watch = lambda position: None
        return run


@pytest.mark.parametrize("kind", [Executor, Rehearsed])
def test_a_library_that_asks_for_a_withheld_module_is_told_that_it_is_not_there(kind):
    with kind(hidden_modules=["sklearn", "scipy.optimize"]) as executor:
        with executor.run([LOOK_UPS], seed_material=b"") as student:
            assert student.looked_up() == ["None", "None"]
            assert student.loaded() == []


def test_torch_can_be_warm_while_what_it_could_use_is_withheld():
    pytest.importorskip("torch")  # its optimizers ask for sklearn, and do without
    flagged = samples.homework("logistic_regression").flagged
    cells = [
        "import torch\ndef step():\n    w = torch.nn.Parameter(torch.ones(1))\n"
        "    (3 * w).backward()\n    torch.optim.SGD([w], lr=1).step()\n    return w"
    ]
    with Executor(with_torch=True, hidden_modules=flagged) as executor:
        with executor.run(cells, seed_material=b"") as student:
            assert student.step().tolist() == [-2.0]


def test_links_that_lead_in_a_circle_among_what_was_handed_in_stop_no_run(tmp_path):
    (tmp_path / "anna.ipynb").symlink_to("ben.ipynb")
    (tmp_path / "ben.ipynb").symlink_to("anna.ipynb")
    (tmp_path / "carl").symlink_to(tmp_path)
    with Executor(private=[tmp_path, tmp_path / "anna.ipynb"]) as executor:
        assert executor.zygote.is_alive()


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


@pytest.mark.parametrize("where", WHERE, indirect=True)
def test_private_files_that_would_be_shown_stop_the_run(where, tmp_path, monkeypatch):
    tmp_path.chmod(0o755)
    (tmp_path / "submissions").mkdir()
    (tmp_path / "submissions/anna.ipynb").write_text("{}")
    visible = files.visible()
    monkeypatch.setattr(files, "visible", lambda: [*visible, tmp_path])
    with pytest.raises(SandboxUnavailable, match="submissions lies in a folder of libraries"):
        Executor(private=[tmp_path / "submissions"]).__enter__()
    monkeypatch.setattr(files, "shared_with", lambda paths: [])
    with pytest.raises(SandboxUnavailable, match=r"can read a file of the grader, .*submissions"):
        Executor(private=[tmp_path / "submissions"]).__enter__()
    with pytest.raises(SandboxUnavailable, match=r"can read a file of the grader, .*anna.ipynb"):
        Executor(private=[tmp_path / "submissions/anna.ipynb"]).__enter__()


def test_masters_that_would_be_shown_stop_the_run(monkeypatch):
    visible = files.visible()
    monkeypatch.setattr(files, "visible", lambda: [*visible, samples.HOMEWORK])
    with pytest.raises(SandboxUnavailable, match=r"master.ipynb lies in a folder of libraries"):
        Executor().__enter__()


THREADS = """
import threading
threading.stack_size(2**16)
def start(n):
    stop, n_started = threading.Event(), 0
    try:
        for _ in range(n):
            threading.Thread(target=stop.wait, daemon=True).start()
            n_started += 1
    except RuntimeError: pass
    stop.set()
    return n_started
"""


@pytest.mark.parametrize("where", WHERE, indirect=True)
def test_threads_are_limited_without_control_groups_and_for_root_too(where, monkeypatch):
    monkeypatch.setattr(cgroups, "around", lambda *limits: None)
    with Executor(WIDE) as executor, executor.run([THREADS], seed_material=b"") as student:
        assert executor.zygote.group is None
        assert student.start(4) == 4
        if executor.zygote.counts_own_threads:  # not those of the user's other programs
            assert WIDE.n_processes - 6 <= student.start(300) <= WIDE.n_processes


def test_the_user_of_a_fork_is_one_that_there_is(monkeypatch):
    assert host.user_of_forks("bubblewrap") != 0
    assert host.user_of_forks("landlock") != 0
    monkeypatch.setattr(os, "getuid", lambda: 0)
    monkeypatch.setattr(Path, "read_text", lambda self: "0 1000 1\n")  # of a rootless container
    assert host.user_of_forks("landlock") == 0


LOCKS = """
import fcntl
def lock(path):
    global file
    file = open(path, "rb")
    fcntl.flock(file, fcntl.LOCK_SH)
    for start in range(10_000):
        fcntl.lockf(file, fcntl.LOCK_SH, 1, 2 * start)
    return True
"""


@pytest.mark.parametrize("where", WHERE, indirect=True)
def test_no_lock_on_a_shown_file_is_a_sign_to_another_submission(where):
    path = Path(os.__file__)
    with Executor(WIDE) as executor, executor.run([LOCKS], seed_material=b"") as student:
        assert student.lock(str(executor.zygote.shown(path)))
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held = [line.split()[5] for line in Path("/proc/locks").read_text().splitlines()]
        assert not any(row.endswith(f":{path.stat().st_ino}") for row in held)


HONEST = ["import os\nopen(os.devnull, 'w').write('x')", "import torch\ntorch.ones(2).sum()"]


@pytest.mark.parametrize("where", WHERE, indirect=True)
def test_honest_cells_find_the_devices_and_torch(where):
    with Executor() as executor, executor.run(HONEST, seed_material=b"") as student:
        assert [outcome.error for outcome in student.outcomes] == [None, None]


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
    cells = ["def f(x): return x + 1", "print(open('/etc/passwd').read())",
             "import os; open(os.devnull, 'w').close()", "import torch"]
    with executor.run(cells, seed_material=b"") as student:
        errors = [outcome.error is not None for outcome in student.outcomes]
        print(executor.isolation_used, student.f(41), errors)
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
    assert done.stdout == f"{kind} 42 [False, True, False, False]\n", done.stderr[-2000:]


# ------------------------------------------------- a virtual environment around a whole course

AROUND = """
import os, sys
from pathlib import Path
from dlcourse.grading.sandbox import bubblewrap
from dlcourse.grading.sandbox.execution import Executor
kind, course = sys.argv[1], Path(sys.prefix)
if kind == "landlock":
    bubblewrap.shutil.which = lambda name: None
private = [course / "hw1.bundle.json", course / "submissions", course / "grades", course]
search = '''
import os
def read(path):
    return open(path).read()
def names(path):
    return sorted(os.listdir(path))
def canaries(top):
    found = []
    for folder, _, files in os.walk(top):
        if "site-packages" not in folder:
            found += [f for f in files if f.endswith((".json", ".ipynb", ".sqlite", ".txt"))]
    return found
'''
with Executor(private=private) as executor:
    assert executor.isolation_used == kind
    with executor.run([search], seed_material=b"") as student:
        for path in ("hw1.bundle.json", "submissions/anna.ipynb", "grades/results.sqlite",
                     "lib/notes.txt", "bin/answers.json"):
            assert (course / path).read_text() == "canary"
            for place in (course / path, executor.zygote.shown(course / path)):
                try:
                    print("read", student.read(str(place)))
                except Exception as error:
                    assert "Error" in str(error), error
        for place in (course, course / "submissions", course / "lib"):
            try:
                print("listed", student.names(str(executor.zygote.shown(place))))
            except Exception as error:
                assert "Error" in str(error), error
        print("found", student.canaries(str(executor.zygote.shown(course))))
"""


@pytest.fixture
def course():
    """A course folder that is a virtual environment, its packages those of this one."""
    folder = Path(tempfile.mkdtemp(prefix="course-", dir="/var/tmp"))
    folder.chmod(0o755)
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    own = next(path for path in files.packages() if (path / "numpy").is_dir())
    (packages / "own.pth").write_text(f"{own}\n")
    secrets = ("hw1.bundle.json", "submissions/anna.ipynb", "grades/results.sqlite")
    for name in (*secrets, "lib/notes.txt", "bin/answers.json"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("canary")
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("user", ["root", "ordinary"])
@pytest.mark.parametrize("kind", WHERE)
def test_an_environment_around_the_course_shows_its_packages_only(kind, user, course):
    command = [str(course / "bin/python"), "-c", AROUND, kind]
    command = as_ordinary_user(command) if user == "ordinary" else command
    environment = {**os.environ, "PYTHONPATH": str(files.PACKAGE.parent), "HOME": "/tmp"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    library = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    listed = f"listed ['bin', 'lib', 'pyvenv.cfg']\nlisted ['{library}']\n"
    assert done.stdout == (listed if kind == "bubblewrap" else "") + "found []\n"


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


ELSEWHERE = """
import sys
sys.modules.update(fcntl=None, resource=None)
sys.platform = "win32"
from dlcourse.grading.sandbox.execution import Executor, SandboxUnavailable
try:
    Executor(hidden_modules=["dlcourse.losses"]).__enter__()
except SandboxUnavailable as refusal:
    print(refusal)
"""


def test_where_linux_is_not_its_modules_are_not_missed():
    command = [sys.executable, "-c", ELSEWHERE]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "WSL 2" in done.stdout


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


HOLDS = (
    "import time\nfrom dlcourse.grading.sandbox.scratch import scratch\n"
    "with scratch() as folder:\n    print(folder, flush=True)\n    time.sleep(3000)"
)


def test_folders_of_killed_graders_go_with_the_next_run(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    environment = {**os.environ, "PYTHONPATH": str(files.PACKAGE.parent), "TMPDIR": str(tmp_path)}
    graders = [
        subprocess.Popen([sys.executable, "-c", HOLDS], stdout=-1, text=True, env=environment)
        for _ in range(2)
    ]
    killed, living = (Path(grader.stdout.readline().strip()) for grader in graders)
    graders[0].kill()
    graders[0].wait()
    assert killed.exists()
    with scratch.scratch() as own:
        assert not killed.exists()
        assert living.exists()
        assert own.exists()
    assert {*tmp_path.iterdir()} == {living}
    graders[1].kill()
    for grader in graders:
        grader.communicate()
    with Executor():
        pass
    assert not [*tmp_path.iterdir()]


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
