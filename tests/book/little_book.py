"""A little repository with this one's Makefile, extensions and checks, to plant faults in."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests import ROOT

SETTINGS = ["Makefile", "pyproject.toml", "_config.yml", "requirements.lock"]
CHECKS = [
    "__init__.py",
    "conftest.py",
    "book/__init__.py",
    "book/evaluation.py",
    "book/ledger.py",
    "book/test_statements.py",
]
TOC = "format: jb-book\nroot: book/index\nparts:\n  - caption: Part\n    chapters:\n"


class LittleBook:
    """A repository in a folder of `parent` that shares the environment of this one.

    The path holds a space, and beside it lies what a command would hit that splits the path there.
    """

    def __init__(self, parent):
        self.neighbour = parent / "little" / "kept"
        self.neighbour.mkdir(parents=True)
        self.root = root = parent / "little book"
        root.mkdir()
        (root / ".venv").symlink_to(sys.prefix, target_is_directory=True)
        for name in SETTINGS:
            shutil.copy(ROOT / name, root)
        for name in ("_ext", "_static", "_templates"):
            shutil.copytree(ROOT / "book" / name, root / "book" / name)
        shutil.copy(ROOT / "book" / "conftest.py", root / "book")
        (root / "book" / "references.bib").touch()
        shutil.copytree(
            ROOT / "tools", root / "tools", ignore=shutil.ignore_patterns("__pycache__")
        )
        (root / "tests" / "book").mkdir(parents=True)
        for name in CHECKS:
            shutil.copy(ROOT / "tests" / name, root / "tests" / name)
        self.write("book/index.md", "# A little book")
        self.write("_toc.yml", TOC)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")

    def add_to_contents(self, *names):
        with (self.root / "_toc.yml").open("a") as contents:
            contents.writelines(f"      - file: book/{name}\n" for name in names)

    def make(self, step, checked="book", jobs=0):
        """Run a step of `make test`; its exit code and all that it prints."""
        tools = self.root / ".venv" / Path(sys.executable).parent.name
        command = ["make", step, f"BIN={tools}", f"CHECKED={checked}", f"JOBS={jobs}"]
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "MAKE"))}
        run = subprocess.run(
            command, cwd=self.root, env=inherited, capture_output=True, text=True, timeout=3000
        )
        return run.returncode, run.stdout + run.stderr
