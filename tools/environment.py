"""Set up what the two commands need, once: `python tools/environment.py [--tests]`.

Runs on a bare Python 3.11 or newer, so it imports the standard library only. Both commands need
`.venv` from the lock; a second call finds the stamp of the first. `--tests` also makes sure of a
Chromium, and on Linux of bubblewrap. What pip cannot install comes from the system's package
manager where that needs no password; else the set-up ends with the line to type.
"""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts" if os.name == "nt" else "bin") / "python"
STAMP = VENV / "dlcourse-stamp"
LOCKS = ["requirements.lock", "requirements-torch.lock"]
OLDEST_PYTHON = (3, 11)
NEEDED_GB = 4.5  # measured: 1.9 in .venv, as much again in uv's cache where files cannot be linked
DOWNLOAD_SECONDS = 300  # 110 MB from Playwright: a line of 3 Mbit/s needs these
PROBE_SECONDS = 900  # more than the time that tools/browser.py gives each of its candidates
UNASKED = "DEBIAN_FRONTEND=noninteractive"
APT_VENV = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
# Of each package manager: the options to install with, and the packages that hold what is needed.
MANAGERS = {
    "apt-get": (
        "install -y -qq --no-install-recommends",
        {
            "browser": "chromium fonts-dejavu-core",
            "driver": "libatomic1",
            "sandbox": "bubblewrap",
            "venv": APT_VENV,
        },
    ),
    "dnf": (
        "install -y",
        {
            "browser": "chromium dejavu-sans-fonts",
            "driver": "libatomic",
            "sandbox": "bubblewrap",
        },
    ),
    "zypper": (
        "-n install",
        {"browser": "chromium dejavu-fonts", "driver": "libatomic1", "sandbox": "bubblewrap"},
    ),
    "pacman": ("-S --noconfirm", {"browser": "chromium ttf-dejavu", "sandbox": "bubblewrap"}),
    "brew": ("install --cask", {"browser": "google-chrome"}),
}


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


def rights():
    """What goes before a command that needs root: nothing, `sudo -n`, or None without the right."""
    if os.name == "posix" and os.geteuid() == 0:
        return []
    asked = ["sudo", "-n", "true"]
    may = shutil.which("sudo") and not subprocess.run(asked, capture_output=True).returncode
    return ["sudo", "-n"] if may else None


def install_lines(*needs):
    """Of the package manager of this machine, the commands that bring what is needed."""
    for manager, (options, packages) in MANAGERS.items():
        names = [name for need in needs for name in packages.get(need, "").split()]
        if names and shutil.which(manager):
            line = [manager, *options.split(), *names]
            return [["apt-get", "update", "-qq"], line] if manager == "apt-get" else [line]
    return []


def install_packages(need):
    """Whether the system's package manager has brought what is needed, without a question."""
    lines = install_lines(need)
    before = [] if lines and lines[0][0] == "brew" else rights()  # brew refuses root
    if not lines or before is None:
        return False
    print("Installing:", " ".join(lines[-1]), flush=True)
    silent = [*before, "env", UNASKED]
    for line in lines:  # the last one decides: a source that is down fails the update only
        step = subprocess.run([*silent, *line], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return step.returncode == 0


def typed(*lines):
    """The sentence that says what to type, where the set-up may not or did not install."""
    needs_root = rights() != [] and lines[0][0] != "brew"
    sudo = "sudo " if needs_root and shutil.which("sudo") else ""
    as_root = " as root" if needs_root and not sudo else ""
    line = " && ".join(f"{sudo}{' '.join(line)}" for line in lines)
    return f"Type this{as_root}, then the command again:\n    {line}"


def how_to_install(*needs):
    """The sentence for what is needed; on an unknown system, what it is called elsewhere."""
    if lines := install_lines(*needs):
        return typed(*lines)
    names = {packages[needs[0]] for _, packages in MANAGERS.values() if needs[0] in packages}
    return f"Install it with your package manager, where it is called: {', '.join(sorted(names))}."


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
    if not PYTHON.with_name("pip").exists():  # not `python`: a venv that failed half-way has that
        ensure_venv()
        run(sys.executable, "-m", "venv", VENV)
    run(PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", locked_uv())
    uv = [PYTHON, "-m", "uv", "pip"]
    locks = [ROOT / name for name in LOCKS]
    run(*uv, "sync", "--python", PYTHON, "--compile-bytecode", *torch_source(), *locks)
    run(*uv, "install", "--python", PYTHON, "--no-deps", "--quiet", "--editable", ROOT)
    STAMP.write_text(stamp())


def ensure_venv():
    """Debian's Python comes without the module that puts pip into a `.venv`."""
    if not find_spec("ensurepip") and not install_packages("venv"):
        sys.exit(f"Python cannot make a .venv: ensurepip is missing.\n{how_to_install('venv')}")


def ensure_sandbox():
    """The tests of the grader need bubblewrap, on Linux."""
    if not sys.platform.startswith("linux") or shutil.which("bwrap"):
        return
    if not install_packages("sandbox"):
        sys.exit(f"The tests of the grader need bubblewrap.\n{how_to_install('sandbox', 'driver')}")


def ensure_driver():
    """Playwright drives the browser with a Node whose one library a bare Debian lacks."""
    starts = [str(PYTHON), "-m", "playwright", "--version"]
    if subprocess.run(starts, capture_output=True).returncode:
        if not install_packages("driver") or subprocess.run(starts).returncode:
            sys.exit(f"Playwright, which drives the browser, fails.\n{how_to_install('driver')}")


def fetch_browser():
    """Whether Playwright's download ended well in time; what it has started ends with it."""
    command = [str(PYTHON), "-m", "playwright", "install", "--only-shell", "chromium"]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        return process.wait(DOWNLOAD_SECONDS) == 0
    except BaseException as end:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if not isinstance(end, subprocess.TimeoutExpired):
            raise
        print(f"Playwright's download has not ended in {DOWNLOAD_SECONDS} seconds.", flush=True)
        return False


def libraries():
    """The command of root that adds the libraries which Playwright's download lacks."""
    return [str(PYTHON), "-m", "playwright", "install-deps", "chromium"]


def add_libraries():
    """Whether root has added them."""
    before = rights()
    command = [*(before or []), "env", UNASKED, *libraries()]
    return before is not None and subprocess.run(command).returncode == 0


def browser_refusal():
    """None if a browser opens a page, else what each one said."""
    command = [str(PYTHON), str(ROOT / "tools" / "browser.py")]
    try:
        probe = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_SECONDS)
    except subprocess.TimeoutExpired:
        return "A browser was started and never answered."
    return (probe.stderr or "No browser starts.") if probe.returncode else None


def ensure_browser():
    """A Chromium that starts: one that is there, Playwright's, the package manager's, or an end."""
    ensure_driver()
    if not browser_refusal():
        return
    print("Fetching a Chromium for the tests", flush=True)
    fetched = fetch_browser()
    if fetched and not browser_refusal():
        return
    if fetched and add_libraries() and not browser_refusal():  # before apt: Ubuntu's is a stub
        return
    if install_packages("browser") and not browser_refusal():
        return
    cure = typed(libraries()) if fetched else how_to_install("browser")
    sys.exit(
        f"{browser_refusal()}\nThe tests open every page in Chromium, and none was found, fetched "
        f"or could be installed.\n{cure}"
    )


if __name__ == "__main__":
    check_python()
    if sys.argv[1:] not in ([], ["--tests"]):
        sys.exit(f"The only option is --tests, this is {' '.join(sys.argv[1:])}.")
    if not (STAMP.exists() and STAMP.read_text() == stamp()):
        check_disk()
        install()
    if sys.argv[1:]:
        ensure_sandbox()
        ensure_browser()
