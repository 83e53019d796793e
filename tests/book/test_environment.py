"""The set-up: one lock for all, bounds that break nobody, clear words when it fails."""

import ast
import shutil
import subprocess
import sys
import tomllib
from collections import namedtuple
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests import ROOT
from tools import environment

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


def test_a_missing_sandbox_is_installed_or_asked_for(monkeypatch, capsys):
    steps, found = [], {"apt-get"}
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(shutil, "which", lambda name: name if name in found else None)
    monkeypatch.setattr(subprocess, "run", lambda step, **options: steps.append(step))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    environment.ensure_sandbox()
    assert not steps
    assert "sudo apt-get install bubblewrap" in capsys.readouterr().out
    monkeypatch.setattr("os.geteuid", lambda: 0)
    environment.ensure_sandbox()
    assert ["update", "install"] == [step[2] for step in steps]
    found.add("bwrap")
    environment.ensure_sandbox()
    assert len(steps) == 2


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
