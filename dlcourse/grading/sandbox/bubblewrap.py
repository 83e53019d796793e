"""The command line of bubblewrap: a machine that holds folders of libraries, read-only.

As root, bubblewrap keeps the few rights that the zygote needs to give each fork its own mounts
and then to become nobody. An ordinary user gets them inside a user namespace, where they reach
nothing outside. Reference: bwrap(1), version 0.5 on.
"""

import os
import re
import shutil
from pathlib import Path

from dlcourse.grading.sandbox import files
from dlcourse.grading.sandbox.failures import SandboxUnavailable
from dlcourse.grading.sandbox.inside.confine import NOBODY, WRITABLE

_NAMESPACES = "--unshare-pid --unshare-net --unshare-ipc --unshare-uts --unshare-cgroup-try"
_EFFECTIVE, _SYS_ADMIN = re.compile(r"^CapEff:\s*(\w+)", re.MULTILINE), 1 << 21
_ELSEWHERE = "/elsewhere"  # where what lies below /tmp is shown
_RIGHTS_OF_ROOT = ("CAP_SYS_ADMIN", "CAP_SETUID", "CAP_SETGID", "CAP_KILL")


def prefix(environment: dict[str, str], hidden_paths: list[Path]) -> list[str]:
    """What to put before a command so that it runs inside; raises SandboxUnavailable without it."""
    program = shutil.which("bwrap")
    if program is None:
        raise SandboxUnavailable("bubblewrap is not installed: `apt install bubblewrap`")
    arguments = [program, *_NAMESPACES.split(), "--die-with-parent", "--new-session", "--clearenv"]
    arguments += ["--hostname", "sandbox", *_user()]
    for name, value in environment.items():
        arguments += ["--setenv", name, value]
    visible = files.visible()
    devices = [Path(device) for device in files.DEVICES]
    for directory in sorted({p for path in [*visible, *devices] for p in inside(path).parents}):
        arguments += ["--perms", "0755", "--dir", str(directory)]  # else only root might enter
    for path in visible:
        arguments += _shown(path)
    for device in files.DEVICES:
        arguments += ["--dev-bind", device, device]
    arguments += _taken_out(hidden_paths, visible)
    return [*arguments, "--tmpfs", WRITABLE, "--chdir", WRITABLE, "--remount-ro", "/", "--"]


def _taken_out(hidden_paths, visible):
    """Folders that hold a hidden file are built anew from the rest, hidden folders are covered."""
    shown = [path for path in hidden_paths if any(path.is_relative_to(root) for root in visible)]
    rebuilt = files.rebuilt(shown)
    arguments = []
    for folder, entries in rebuilt.items():
        arguments += ["--tmpfs", str(inside(folder))]
        for entry in entries:
            arguments += _shown(entry)
    for path in shown:
        if path.is_dir() and path.parent not in rebuilt:
            arguments += ["--tmpfs", str(inside(path)), "--remount-ro", str(inside(path))]
    for folder in rebuilt:
        arguments += ["--remount-ro", str(inside(folder))]
    return arguments


def inside(path: Path) -> Path:
    """Where the sandbox shows `path`: in its place, unless the private /tmp would cover it."""
    return Path(_ELSEWHERE, *path.parts[1:]) if path.is_relative_to(WRITABLE) else path


def _user():
    if _may_mount():
        return [word for right in _RIGHTS_OF_ROOT for word in ("--cap-add", right)]
    user = ["--unshare-user", "--uid", str(NOBODY), "--gid", str(NOBODY)]
    return [*user, "--cap-add", "CAP_SYS_ADMIN"]


def _may_mount():
    """Whether this is root with its rights; root of a container often has lost them."""
    status = Path("/proc/self/status").read_text()
    return os.getuid() == 0 and bool(int(_EFFECTIVE.search(status)[1], 16) & _SYS_ADMIN)


def _shown(path):
    if path.is_symlink():  # /lib -> usr/lib; what it leads to may not be for showing
        target = path.readlink()
        return ["--symlink", str(inside(target)), str(inside(path))]
    return ["--ro-bind", str(path), str(inside(path))]
