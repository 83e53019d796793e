"""Refresh the stored outputs of chapters: `python tools/chapters.py [--check]`.

A chapter is stale when its code, a module of `dlcourse` that it imports (however indirectly), or
the lock has changed since its outputs were stored. The digest of all three is kept in the
notebook's metadata, so a clone knows it too. Stale chapters are executed in parallel, the longest
first, and written back only if every cell ran. `--check` names the stale and executes nothing.
"""

import ast
import asyncio
import hashlib
import math
import os
import re
import sys
import time
from pathlib import Path

import nbformat
from IPython.core.inputtransformer2 import TransformerManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "book"
CELL_TIMEOUT_SECONDS = 300
WORDS_PER_MINUTE = 150  # prose with mathematics in it
COST = re.compile(r"^\*\*Cost\*\* .*$", re.MULTILINE)


def chapters():
    """Notebooks of the book, those that took longest first."""
    return sorted(BOOK.glob("*.ipynb"), key=lambda path: (-seconds(read(path)), path.name))


def read(path):
    return nbformat.read(path, as_version=4)


def seconds(notebook):
    """How long the chapter ran when its outputs were stored; a new one may be the longest."""
    return notebook.metadata.get("dlcourse", {}).get("seconds", math.inf)


def code(notebook):
    """All code of a notebook as plain Python."""
    cells = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    return TransformerManager().transform_cell(cells)


def imported_names(source):
    """Dotted names of `dlcourse` that a source imports, each part of a from-import included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def files_of(name):
    """Files behind a dotted name: the module, each package above it, and their data files."""
    parts = name.split(".")
    for depth in range(1, len(parts) + 1):
        place = ROOT.joinpath(*parts[:depth])
        if place.with_suffix(".py").is_file():
            yield place.with_suffix(".py")
        elif (place / "__init__.py").is_file():
            yield from data_of(place)
            yield place / "__init__.py"


def data_of(package):
    """Files of a package that are no modules, in its folder and in those below that are none."""
    for path in package.iterdir():
        if path.is_file() and path.suffix != ".py":
            yield path
        elif path.is_dir() and path.name != "__pycache__" and not any(path.glob("*.py")):
            yield from data_of(path)


def files_used(source):
    """Every file of the package that running `source` reads, found without running it."""
    found, waiting = set(), [source]
    while waiting:
        names = [n for n in imported_names(waiting.pop()) if n.split(".")[0] == "dlcourse"]
        for path in {path for name in names for path in files_of(name)} - found:
            found.add(path)
            if path.suffix == ".py":
                waiting.append(path.read_text(encoding="utf-8"))
    return found


def sources_digest(notebook):
    """Digest of what the outputs of a chapter depend on."""
    source = code(notebook)
    digest = hashlib.sha256(source.encode())
    locks = [ROOT / "requirements.lock", ROOT / "requirements-torch.lock"]
    for path in sorted(files_used(source)) + locks:
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def is_stale(notebook):
    return notebook.metadata.get("dlcourse", {}).get("sources") != sources_digest(notebook)


def cost(notebook, run_seconds):
    """The sentence on what a chapter costs its reader, from its length and its measured run."""
    prose = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    minutes = math.ceil(sum(len(text.split()) for text in prose) / WORDS_PER_MINUTE / 5) * 5
    return f"**Cost** about {minutes} minutes to read, {run_seconds} s to run on one core."


async def execute(path):
    """Run every cell of a chapter and store what it shows."""
    notebook = read(path)
    start = time.perf_counter()
    # How a cell's text arrives in pieces depends on the machine's speed: one stream, one output.
    settings = {"record_timing": False, "coalesce_streams": True}
    client = NotebookClient(notebook, timeout=CELL_TIMEOUT_SECONDS, **settings)
    client.extra_arguments = ["--log-level=ERROR"]
    await client.async_execute()
    run_seconds = math.ceil(time.perf_counter() - start)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    record = {"sources": sources_digest(notebook), "seconds": run_seconds}
    notebook.metadata = nbformat.from_dict({"kernelspec": kernel, "dlcourse": record})
    notebook.cells[0].source = COST.sub(cost(notebook, run_seconds), notebook.cells[0].source)
    nbformat.write(notebook, path)


async def refresh(paths):
    """Execute chapters side by side; return the messages of those that failed."""
    failures, free_cores = [], asyncio.Semaphore(os.cpu_count())

    async def run(path, bar):
        async with free_cores:
            try:
                await execute(path)
            except (CellExecutionError, CellTimeoutError) as error:
                failures.append(f"{path.name} was left as it was: a cell failed.\n{error}")
        bar.update()

    with tqdm(total=len(paths), unit="chapter") as bar:
        await asyncio.gather(*(run(path, bar) for path in paths))
    return failures


if __name__ == "__main__":
    stale = [path for path in chapters() if is_stale(read(path))]
    names = ", ".join(path.stem for path in stale)
    if "--check" in sys.argv[1:]:
        sys.exit(f"Stored outputs are stale: {names}. Refresh: make book." if stale else 0)
    print(f"Executing what is stale: {names}" if stale else "All stored outputs are current.")
    if stale:
        sys.exit("\n".join(asyncio.run(refresh(stale))) or 0)
