"""Set up `.venv` from the lock, once: `python tools/environment.py [--browser]`.

Runs on a bare Python 3.11 or newer, so it imports the standard library only. A second call finds
the stamp of the first and ends at once. `--browser` also makes sure of a Chromium for the tests.
On Linux the first call also makes sure of bubblewrap, which grading homework needs.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts" if os.name == "nt" else "bin") / "python"
STAMP = VENV / "dlcourse-stamp"
LOCKS = ["requirements.lock", "requirements-torch.lock"]
OLDEST_PYTHON = (3, 11)
NEEDED_GB = 4.5  # measured: 1.9 in .venv, as much again in uv's cache where files cannot be linked
BROWSERS = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"]


def stamp():
    """Digest of all that decides what the environment holds."""
    digest = hashlib.sha256(f"{sys.version} {ROOT}".encode())
    for name in [*LOCKS, "pyproject.toml"]:
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def check_python():
    if sys.version_info < OLDEST_PYTHON:
        sys.exit(
            f"dlcourse needs Python {OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} or newer, this is "
            f"{sys.version.split()[0]} at {sys.executable}.\n"
            "Name a newer one: make PYTHON=python3.12 ..."
        )


def check_disk():
    free_gb = shutil.disk_usage(ROOT).free / 1e9
    if free_gb < NEEDED_GB:
        sys.exit(
            f"Setting up needs {NEEDED_GB} GB of free disk space, {ROOT} has {free_gb:.1f} GB.\n"
            "Free some, or clone the repository to another disk."
        )


def run(*command):
    """Run a step of the set-up; its own output says what went wrong."""
    if subprocess.run([str(part) for part in command]).returncode:
        sys.exit("Setting up .venv failed: see the message above, then run the command again.")


def locked_uv():
    """The pin of uv, which installs the rest."""
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return next(line for line in lines if line.startswith("uv=="))


def torch_source():
    """Options for torch's CPU build: from the folder of wheels that pip knows, else PyTorch's."""
    folder = os.environ.get("PIP_FIND_LINKS")
    return ["--find-links", folder] if folder else ["--torch-backend", "cpu"]


def install():
    print("Setting up .venv from requirements.lock", flush=True)
    if not PYTHON.exists():
        run(sys.executable, "-m", "venv", VENV)
    run(PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", locked_uv())
    uv = [PYTHON, "-m", "uv", "pip"]
    locks = [ROOT / name for name in LOCKS]
    run(*uv, "sync", "--python", PYTHON, "--compile-bytecode", *torch_source(), *locks)
    run(*uv, "install", "--python", PYTHON, "--no-deps", "--quiet", "--editable", ROOT)
    STAMP.write_text(stamp())


def ensure_sandbox():
    """Install bubblewrap where that needs no further rights; elsewhere say how to, and go on."""
    if not sys.platform.startswith("linux") or shutil.which("bwrap"):
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print("Installing bubblewrap, the sandbox of the grader", flush=True)
        for step in (["update"], ["install", "-y", "--no-install-recommends", "bubblewrap"]):
            subprocess.run(["apt-get", "-qq", *step], stdout=subprocess.DEVNULL)
    if not shutil.which("bwrap"):
        print(
            "bubblewrap is missing: the book and the package work, grading homework does not.\n"
            "Install it: sudo apt-get install bubblewrap, sudo dnf install bubblewrap, "
            "or sudo pacman -S bubblewrap."
        )


def ensure_browser():
    """Find a Chromium, or have Playwright fetch one; say what to install where neither works."""
    if any(shutil.which(name) for name in BROWSERS):
        return
    command = [PYTHON, "-m", "playwright", "install", "--only-shell", "chromium"]
    if subprocess.run([str(part) for part in command]).returncode:
        sys.exit(
            "The tests open every page in Chromium, and none was found or could be fetched.\n"
            "Install it: apt-get install chromium, brew install chromium, or dnf install chromium."
        )


if __name__ == "__main__":
    check_python()
    if not (STAMP.exists() and STAMP.read_text() == stamp()):
        check_disk()
        install()
        ensure_sandbox()
    if "--browser" in sys.argv[1:]:
        ensure_browser()
