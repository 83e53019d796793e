"""Files that are whole or not there: written beside their place first, then moved into it."""

import os
import re
from pathlib import Path

NAME = re.compile(r"\..*\.(\d+)\.partial")


def beside(path: Path) -> Path:
    """Where this process writes what will be `path`; another one may write it at the same time."""
    return path.with_name(f".{path.name}.{os.getpid()}.partial")


def sweep(folder: Path):
    """Remove what killed processes left half written in `folder` and below."""
    for path in folder.rglob(".*.partial"):
        match = NAME.fullmatch(path.name)
        if match and not Path("/proc", match[1]).exists():
            path.unlink(missing_ok=True)
