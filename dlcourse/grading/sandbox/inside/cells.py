"""The notebook itself: runs the cells, keeps what they print and draw, answers the calls.

Everything here shares a process with the student's code, which may replace any of it. So nothing
here decides anything: what it sends is data that the grader checks.
"""

import ast
import builtins
import contextlib
import io
import linecache
import random
import sys
import types
import warnings

import numpy as np

from dlcourse.grading.sandbox import values
from dlcourse.grading.sandbox.inside import whereabouts, withheld
from dlcourse.grading.sandbox.inside.magics import plain_python
from dlcourse.grading.sandbox.protocol import Pipe

MAX_NAMES = 5000
MAX_ERROR_CHARACTERS = 2000
MAX_PLOTS = 20


class CappedText(io.TextIOBase):
    """A stream that keeps its first `n_characters` and counts the rest."""

    def __init__(self, n_characters: int):
        self.parts, self.room, self.n_cut = [], n_characters, 0

    def writable(self):
        return True

    def write(self, text):
        kept = text[: self.room]
        self.parts.append(kept)
        self.room -= len(kept)
        self.n_cut += len(text) - len(kept)
        return len(text)

    def text(self):
        notice = f"\n... {self.n_cut} characters cut\n" if self.n_cut else ""
        return "".join(self.parts) + notice


class Notebook:
    """A namespace in which cells run and functions are called."""

    def __init__(self, seed_material: bytes, output_bytes: int, plot_bytes: int):
        module = types.ModuleType("__main__")
        sys.modules["__main__"] = module
        self.namespace = vars(module)
        self.namespace.update(
            __builtins__=builtins, display=_display, get_ipython=lambda: _NoIPython()
        )
        self.output_room, self.plot_room = output_bytes, plot_bytes
        _seed_everything(seed_material)

    def run_cell(self, index: int, source: str) -> dict:
        """What running one cell printed and drew, and how it failed."""
        stdout, stderr = CappedText(self.output_room), CappedText(self.output_room)
        with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
            error = self._run(f"<cell {index + 1}>", _on_its_lines(source))
            plots = self._plots()
        texts = stdout.text(), stderr.text()
        self.output_room = max(0, self.output_room - sum(map(len, texts)))
        return {"stdout": texts[0], "stderr": texts[1], "error": error, "plots": plots}

    def _run(self, name, source):
        # Where a traceback and `inspect.getsource` look for the lines of a cell.
        linecache.cache[name] = (len(source), None, source.splitlines(True), name)
        try:
            tree = ast.parse(source, name)
            last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
            exec(compile(tree, name, "exec"), self.namespace)
            if last is not None:
                value = eval(compile(ast.Expression(last.value), name, "eval"), self.namespace)
                if value is not None and not source.rstrip().endswith(";"):
                    print(repr(value))
        except BaseException as error:  # also SystemExit: a cell may not end the notebook
            return described(error)
        return None

    def _plots(self):
        pyplot = sys.modules.get("matplotlib.pyplot")
        pictures = []
        for number in pyplot.get_fignums()[:MAX_PLOTS] if pyplot else []:
            picture = io.BytesIO()
            with contextlib.suppress(Exception), warnings.catch_warnings(action="ignore"):
                pyplot.figure(number).savefig(picture, format="png", dpi=72)
            if 0 < len(picture.getvalue()) <= self.plot_room:
                self.plot_room -= len(picture.getvalue())
                pictures.append(values.encode(picture.getvalue()))
        if pyplot:
            pyplot.close("all")
        return pictures

    def names(self) -> list[str]:
        """Names of what can be called, first defined first."""
        found = [n for n, v in [*self.namespace.items()] if callable(v) and not n.startswith("__")]
        return found[:MAX_NAMES]

    def call(self, message: dict) -> dict:
        """Reply to one call: its result and its arguments afterwards, or how it failed."""
        sink = CappedText(0)
        try:
            with contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink):
                args = values.decode(message["args"], tensor=_as_tensor)
                kwargs = values.decode(message["kwargs"], tensor=_as_tensor)
                result = self.namespace[message["name"]](*args, **kwargs)
        except BaseException as error:
            return {"raised": described(error)}
        try:
            return {"result": values.encode([result, args] if message["wants_args"] else [result])}
        except BaseException as error:
            return {"unsendable": described(error)}


def _on_its_lines(source):
    """The Python of a cell, each line with the number that it has in the notebook."""
    python = plain_python(source)
    return "\n" * (source.count("\n") - python.count("\n")) + python


def _seed_everything(seed_material):
    """Also generators that are given no seed repeat themselves when the submission is run again."""
    seeds = np.random.SeedSequence([*seed_material])
    random.seed(seed_material)
    np.random.seed(seeds.generate_state(1)[0])
    fresh = np.random.default_rng

    def default_rng(seed=None):
        return fresh(seeds.spawn(1)[0] if seed is None else seed)

    np.random.default_rng = default_rng


def described(error: BaseException) -> list[str]:
    """Type and message of an exception, and the line of the notebook that raised it."""
    try:
        text = withheld.why(error) or str(error)
    except BaseException:
        text = "(its message cannot be read)"
    line = None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.startswith("<cell "):
            line = f"{trace.tb_frame.f_code.co_filename[1:-1]}, line {trace.tb_lineno}"
        trace = trace.tb_next
    text = text[:MAX_ERROR_CHARACTERS] + (f" ({line})" if line else "")
    return [type(error).__name__[:100], text]


def _as_tensor(array):
    import torch

    return torch.from_numpy(array)


def _display(*items, **_):
    for item in items:
        print(repr(item))


class _NoIPython:
    """Stands for IPython where there is none: every request is heard and does nothing."""

    def __getattr__(self, name):
        return lambda *args, **kwargs: None


def serve(pipe: Pipe):
    """Run the notebook that the grader sends, then answer calls until it hangs up."""
    order = pipe.receive()
    seed_material = values.decode(order["seed_material"])
    if tells := order.get("tells"):
        {"when asked": whereabouts.when_asked, "by itself": whereabouts.by_itself}[tells](pipe)
    notebook = Notebook(seed_material, order["output_bytes"], order["plot_bytes"])
    for index, source in enumerate(order["cells"]):
        if source is not None:
            pipe.send({"cell": index, **notebook.run_cell(index, source)})
    pipe.send({"names": notebook.names()})
    while True:
        message = pipe.receive()
        reply = notebook.call(message)
        try:
            pipe.send({"id": message["id"], **reply})
        except ValueError as error:  # larger than a frame
            pipe.send({"id": message["id"], "unsendable": described(error)})
