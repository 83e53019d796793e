"""The set-up: one lock for all, bounds that break nobody, clear words when it fails."""

import ast
import contextlib
import shutil
import subprocess
import sys
import tomllib
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests import ROOT
from tools import browser, environment

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pins():
    """Versions that the lock gives this machine, by name."""
    lines = [line for name in environment.LOCKS for line in (ROOT / name).read_text().splitlines()]
    locked = [Requirement(line) for line in lines]
    here = [entry for entry in locked if not entry.marker or entry.marker.evaluate()]
    return {canonicalize_name(entry.name): entry.specifier for entry in here}


def declared():
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    return [Requirement(line) for group in groups for line in group]


def test_the_lock_satisfies_every_declared_bound():
    locked = pins()
    for requirement in declared():
        if requirement.name != "dlcourse":
            pin = next(iter(locked[canonicalize_name(requirement.name)]))
            assert pin.operator == "=="
            assert requirement.specifier.contains(pin.version), requirement


def test_the_metadata_gives_lower_bounds_only():
    operators = {spec.operator for requirement in declared() for spec in requirement.specifier}
    assert operators == {">="}


def test_the_lock_takes_no_cuda_and_torch_stands_apart():
    lock = (ROOT / "requirements.lock").read_text()
    assert "torch==" not in lock
    assert not [line for line in lock.splitlines() if line.startswith(("nvidia", "triton", "cuda"))]
    assert (ROOT / "requirements-torch.lock").read_text() == "torch==2.13.0\n"


def test_what_is_installed_is_what_is_locked():
    command = [sys.executable, "-m", "uv", "pip", "install", "--dry-run", "--offline"]
    locks = [argument for name in environment.LOCKS for argument in ("-r", ROOT / name)]
    run = subprocess.run([*command, *locks], capture_output=True, text=True)
    assert "Would make no changes" in run.stderr, run.stderr


def test_conda_users_get_the_lock():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())
    *packages, pip = conda["dependencies"]
    assert packages == ["python=3.11", "pip"]
    assert [line for line in pip["pip"] if line.startswith("-r")] == [
        f"-r {name}" for name in environment.LOCKS
    ]
    assert "--editable ." in pip["pip"]


def test_the_set_up_needs_the_standard_library_only():
    tree = ast.parse((ROOT / "tools" / "environment.py").read_text())
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else
                     [alias.name for alias in node.names])
    }  # fmt: skip
    assert imported <= sys.stdlib_module_names


def test_an_old_python_is_told_what_to_do(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    with pytest.raises(SystemExit, match=r"3\.11 or newer(.|\n)*make PYTHON="):
        environment.check_python()


def test_a_full_disk_is_told_what_is_missing(monkeypatch):
    usage = namedtuple("usage", "total used free")(100e9, 99e9, 1e9)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(SystemExit, match=r"needs .* GB of free disk space, .* has 1\.0 GB"):
        environment.check_disk()


# In a folder that is all of the path, programs that write down what they were asked. A line of
# `$MACHINE/does` says what asking for it leads to: "asked|shell command".
STUB = """#!{shell}
asked="{name} $*"
printf '%s\\n' "$asked" >> "$MACHINE/asked"
while IFS='|' read -r pattern effect; do
    case "$asked" in *"$pattern"*) eval "$effect" ;; esac
done < "$MACHINE/does"
exit 0
"""
# `env` and `sudo` run what follows the settings; sudo without a right refuses, as `sudo -n` does.
RUNS = """#!{shell}
printf '%s\\n' "{name} $*" >> "$MACHINE/asked"
[ "{name}" = sudo ] && [ -e "$MACHINE/password" ] && exit 1
while case "$1" in -n|*=*) true ;; *) false ;; esac; do shift; done
exec "$@"
"""


class Machine:
    """A made-up machine: its programs, who the user is, and what was asked of them."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.monkeypatch = folder, monkeypatch
        self.shell = shutil.which("sh")
        (folder / "bin").mkdir()
        (folder / "does").touch()
        (folder / "asked").touch()
        monkeypatch.setenv("MACHINE", str(folder))
        monkeypatch.setenv("PATH", str(folder / "bin"))
        monkeypatch.setattr(sys, "platform", "linux")
        self.add("python", "env", "true")
        monkeypatch.setattr(environment, "PYTHON", folder / "bin" / "python")
        self.user(root=True)
        self.does("browser.py", f'[ -e "{folder}/works" ] || exit 1')

    def add(self, *names):
        for name in names:
            program = self.folder / "bin" / name
            text = RUNS if name in ("env", "sudo") else STUB
            program.write_text(text.format(shell=self.shell, name=name))
            program.chmod(0o755)

    def does(self, asked, effect):
        with (self.folder / "does").open("a") as does:
            does.write(f"{asked}|{effect}\n")

    def brings_a_browser(self, asked):
        self.does(asked, f': > "{self.folder}/works"')

    def user(self, root):
        self.monkeypatch.setattr("os.geteuid", lambda: 0 if root else 1000)

    def was_asked(self, program):
        lines = (self.folder / "asked").read_text().splitlines()
        return [line for line in lines if line.split()[0] == program]


@pytest.fixture
def machine(tmp_path, monkeypatch):
    return Machine(tmp_path, monkeypatch)


def test_a_browser_that_starts_is_taken_and_nothing_is_installed(machine):
    machine.add("apt-get", "sudo")
    (machine.folder / "works").touch()
    environment.ensure_browser()
    assert not [line for line in machine.was_asked("python") if " install" in line]
    assert not machine.was_asked("apt-get")


def test_a_download_from_playwright_that_starts_ends_the_search(machine):
    machine.add("apt-get")
    machine.brings_a_browser("playwright install --only-shell chromium")
    environment.ensure_browser()
    assert not machine.was_asked("apt-get")


@pytest.mark.parametrize("download", ["exit 1", "exit 0"], ids=["unreachable", "without libraries"])
def test_a_download_that_fails_or_does_not_start_leads_root_to_apt(machine, download):
    machine.add("apt-get")
    machine.does("playwright install ", download)
    machine.brings_a_browser("apt-get install")
    environment.ensure_browser()
    update, install = machine.was_asked("apt-get")
    assert "update" in update
    assert {"-y", "chromium", "fonts-dejavu-core"} <= set(install.split())
    assert any(
        "DEBIAN_FRONTEND=noninteractive apt-get" in line for line in machine.was_asked("env")
    )


def test_a_download_that_hangs_ends_with_all_it_has_started_and_apt_is_next(machine):
    machine.add("apt-get")
    machine.monkeypatch.setattr(environment, "DOWNLOAD_SECONDS", 1)
    sleep, pid = "/bin/sleep 600", machine.folder / "pid"
    machine.does("playwright install ", f'{sleep} & echo $! > "{pid}"; wait')
    machine.brings_a_browser("apt-get install")
    environment.ensure_browser()
    assert machine.was_asked("apt-get")
    assert not is_running(int(pid.read_text()))


def is_running(pid):
    """Whether the process is there and not merely waiting to be buried."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def test_sudo_without_a_password_is_used(machine):
    machine.user(root=False)
    machine.add("apt-get", "sudo")
    machine.does("playwright install ", "exit 1")
    machine.brings_a_browser("apt-get install")
    environment.ensure_browser()
    assert [line.split()[:2] for line in machine.was_asked("sudo")] == [["sudo", "-n"]] * 3
    assert len(machine.was_asked("apt-get")) == 2


@pytest.mark.parametrize("has_sudo", [True, False])
def test_who_may_not_install_is_told_what_to_type(machine, has_sudo):
    machine.user(root=False)
    machine.add("apt-get", *["sudo"] * has_sudo)
    (machine.folder / "password").touch()
    machine.does("playwright install ", "exit 1")
    with pytest.raises(SystemExit) as end:
        environment.ensure_browser()
    sudo = "sudo " if has_sudo else ""
    assert f"\n    {sudo}apt-get update -qq && {sudo}apt-get install -y" in end.value.code
    assert ("as root" in end.value.code) is not has_sudo
    assert "chromium" in end.value.code.splitlines()[-1]
    assert not machine.was_asked("apt-get")


def test_a_downloaded_browser_gets_its_libraries_before_apt_is_asked_for_another(machine):
    machine.add("apt-get")
    machine.brings_a_browser("playwright install-deps chromium")
    environment.ensure_browser()
    assert not machine.was_asked("apt-get")
    assert "DEBIAN_FRONTEND=noninteractive" in machine.was_asked("env")[-1]


def test_an_installed_browser_that_does_not_start_ends_with_the_sentence(machine):
    machine.add("apt-get")
    machine.does("playwright install-deps", "exit 1")
    with pytest.raises(SystemExit, match="every page in Chromium"):
        environment.ensure_browser()
    assert "chromium" in machine.was_asked("apt-get")[-1]


@pytest.mark.parametrize("root", [True, False])
def test_a_playwright_that_lacks_a_library_gets_it_or_the_line_to_type(machine, root):
    machine.user(root)
    machine.add("apt-get")
    machine.does("playwright --version", f'[ -e "{machine.folder}/library" ] || exit 1')
    machine.does("apt-get install", f': > "{machine.folder}/library"')
    machine.brings_a_browser("playwright install ")
    if root:
        environment.ensure_browser()
        assert machine.was_asked("apt-get")[-1].endswith("libatomic1")
    else:
        with pytest.raises(SystemExit, match="as root(.|\n)*apt-get install .*libatomic1"):
            environment.ensure_browser()


def test_who_may_not_add_the_libraries_of_the_download_is_told_how(machine):
    machine.user(root=False)
    machine.add("apt-get")
    with pytest.raises(SystemExit) as end:
        environment.ensure_browser()
    assert "as root" in end.value.code
    assert end.value.code.endswith(
        f"\n    {environment.PYTHON} -m playwright install-deps chromium"
    )


def test_a_machine_where_nothing_starts_ends_with_the_sentence(machine):
    machine.add("apt-get")
    machine.does("browser.py", 'echo "chromium: needs snap" >&2; exit 1')
    machine.does("playwright install ", "exit 1")
    with pytest.raises(SystemExit, match="every page in Chromium(.|\n)*apt-get install"):
        environment.ensure_browser()


def test_every_package_manager_brings_what_it_knows(machine):
    for manager, (_, packages) in environment.MANAGERS.items():
        machine.add(manager)
        for need, names in packages.items():
            assert environment.install_packages(need)
            assert machine.was_asked(manager)[-1].endswith(f" {names}")
        (machine.folder / "bin" / manager).unlink()
    assert not environment.install_packages("browser")
    assert "package manager" in environment.how_to_install("browser")


def test_bubblewrap_comes_from_the_package_manager_and_only_where_it_is_missing(machine):
    machine.add("apt-get")
    environment.ensure_sandbox()
    assert machine.was_asked("apt-get")[-1].endswith("bubblewrap")
    machine.add("bwrap")
    environment.ensure_sandbox()
    assert len(machine.was_asked("apt-get")) == 2


def test_tests_without_a_sandbox_end_with_what_to_type(machine):
    machine.user(root=False)
    machine.add("apt-get")
    with pytest.raises(SystemExit, match="as root(.|\n)*apt-get install .*bubblewrap libatomic1"):
        environment.ensure_sandbox()


def test_a_python_without_ensurepip_gets_the_package_of_its_own_version(machine):
    machine.add("apt-get")
    environment.ensure_venv()
    assert not machine.was_asked("apt-get")
    machine.monkeypatch.setattr(environment, "find_spec", lambda name: None)
    environment.ensure_venv()
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    assert machine.was_asked("apt-get")[-1].endswith(version)
    machine.user(root=False)
    with pytest.raises(SystemExit, match=f"as root(.|\n)*apt-get install .*{version}"):
        environment.ensure_venv()


def test_the_browser_of_the_tests_is_the_first_that_opens_a_page(machine):
    """A stub on the path, as Ubuntu's is, is passed over; where nothing starts, each is named."""
    machine.add("chromium", "google-chrome")
    started = []

    class Chromium:
        def launch(self, executable_path="its own", channel=None, **options):
            started.append(channel or Path(executable_path).name)
            if started[-1] not in self.working:
                raise browser.Error("needs snap")
            return SimpleNamespace(new_page=lambda: SimpleNamespace(close=lambda: None))

    Chromium.working = ["its own"]
    browser.launch(SimpleNamespace(chromium=Chromium()))
    assert started == ["chromium", "google-chrome", "its own"]
    Chromium.working = []
    with pytest.raises(RuntimeError, match="chromium: needs snap(.|\n)*of Playwright: needs snap"):
        browser.launch(SimpleNamespace(chromium=Chromium()))


def test_an_unknown_option_is_refused_not_passed_over():
    """A target that asks for what the set-up does not know would run without a browser."""
    script = ROOT / "tools" / "environment.py"
    run = subprocess.run([sys.executable, script, "--browser"], capture_output=True, text=True)
    assert run.returncode
    assert "--tests" in run.stderr


def test_ci_installs_nothing_by_itself():
    """CI takes the road of every reader; else that road goes untried."""
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    commands = [line for line in lines if line and not line.startswith("#")]
    assert commands[2:] == ["make test", "make portability"]


def test_a_failed_step_leaves_no_stamp(monkeypatch, tmp_path):
    monkeypatch.setattr(environment, "STAMP", tmp_path / "stamp")
    monkeypatch.setattr(environment, "PYTHON", Path(sys.executable))
    monkeypatch.setattr(environment, "locked_uv", lambda: "no-such-package-of-that-name==0")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(SystemExit, match="Setting up .venv failed"):
        environment.install()
    assert not (tmp_path / "stamp").exists()


def test_another_lock_means_another_stamp(monkeypatch, tmp_path):
    for name in [*environment.LOCKS, "pyproject.toml"]:
        shutil.copy(ROOT / name, tmp_path)
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    before = environment.stamp()
    assert environment.stamp() == before
    with (tmp_path / "requirements.lock").open("a") as lock:
        lock.write("another-package==1.0\n")
    assert environment.stamp() != before
