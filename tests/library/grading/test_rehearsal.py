"""`submit-check` and the grader agree: what one says of the visible tests, the other does.

Each notebook here is honest work with a peculiarity. Which of them get their points is no matter
here; that a student is told beforehand is.
"""

import json

import pytest
from typer.testing import CliRunner

from dlcourse.cli import app
from dlcourse.grading.marking import rehearsal
from dlcourse.grading.marking.visible import Visible, loading_cell
from dlcourse.grading.release import checks_source
from dlcourse.grading.sandbox.execution import Executor, SandboxUnavailable
from tests import ROOT
from tests.library.grading.samples import EMPTY, all_empty, homework, notebook

RETURNED = {  # in place of the right gradient `g`, an array of floats
    "array": "g",
    "list": "g.tolist()",
    "tuple": "tuple(g)",
    "list of numpy floats": "[np.float64(x) for x in g]",
    "list of arrays": "[np.array(x) for x in g]",
    "single precision": "g.astype(np.float32)",
    "half precision": "g.astype(np.float16)",
    "extended precision": "g.astype(np.longdouble)",
    "extended scalars": "[np.longdouble(x) for x in g]",
    "masked array": "np.ma.masked_array(g)",
    "masked entry": "np.ma.masked_array(g, mask=g == g[0])",
    "matrix": "np.asmatrix(g)",
    "column": "g[:, None]",
    "deque": "__import__('collections').deque(g)",
    "fractions": "[__import__('fractions').Fraction(x) for x in g.tolist()]",
    "decimals": "[__import__('decimal').Decimal(x) for x in g.tolist()]",
    "generator": "(x for x in g)",
    "map": "map(float, g)",
    "truth values": "g > 0",
    "tensor": "__import__('torch').tensor(g)",
    "tensor with a gradient": "__import__('torch').tensor(g, requires_grad=True)",
    "tensor of bfloat16": "__import__('torch').tensor(g).bfloat16()",
    "series": "__import__('pandas').Series(g)",
    "what can be an array": "Arraylike(g)",
    "subclass": "g.view(Own)",
    "object array": "g.astype(object)",
    "complex": "g + 0j",
    "text": "str(g)",
    "array of texts": "g.astype(str)",
    "nothing": "None",
    "method": "g.copy",
    "dictionary": "dict(enumerate(g))",
    "set": "set(g.tolist())",
    "frozen set": "frozenset(g.tolist())",
    "buffer": "memoryview(g)",
    "standard array": "__import__('array').array('d', g)",
    "pair": "(g, g)",
    "named tuple": "__import__('collections').namedtuple('Pair', 'a b')(*g[[0, -1]])",
    "not a number": "g * np.nan",
    "reversed view": "g[::-1][::-1]",
    "big-endian": "g.astype('>f8')",
    "itself": "Own.itself(g)",
}
CLASSES = """
class Arraylike:
    def __init__(self, values):
        self.values = values
    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype)
    def __len__(self):
        return len(self.values)

class Own(np.ndarray):
    @staticmethod
    def itself(g):
        found = [g]
        found.append(found)
        return found
"""
DONE = {  # before it returns the right gradient
    "another program": "import subprocess; subprocess.run(['true'], check=True)",
    "another program, caught": "import os\ntry: os.system('true')\nexcept OSError: pass",
    "pool": "from multiprocessing import Pool\nwith Pool(2) as pool: pool.map(abs, [1])",
    "pool of threads": "from concurrent.futures import ThreadPoolExecutor as T\n"
    "with T(4) as pool: list(pool.map(abs, [1]))",
    "event loop": "import asyncio\nasync def f(): return 1\nasyncio.run(f())",
    "32 threads": "import threading; done = threading.Event()\n"
    "for _ in range(32): threading.Thread(target=done.wait, daemon=True).start()\ndone.set()",
    "8 threads": "import threading; done = threading.Event()\n"
    "for _ in range(8): threading.Thread(target=done.wait, daemon=True).start()\ndone.set()",
    "own process": "open('/proc/self/status').read()",
    "648 MB": "np.ones(81_000_000)",
    "160 MB": "np.ones(20_000_000)",
    "4.5 seconds": "from time import process_time as now\nt = now()\nwhile now() < t + 4.5: pass",
    "half a second": "from time import process_time as now\nt = now()\nwhile now() < t + 0.5: pass",
    "a nap": "import time; time.sleep(0.3)",
    "null device": "import os; print('quiet', file=open(os.devnull, 'w'))",
    "random device": "import os; os.urandom(8); open('/dev/urandom', 'rb').read(4)",
    "torch": "import torch; torch.ones(2) @ torch.ones(2)",
    "autograd": "import torch; x = torch.ones(2, requires_grad=True); (x @ x).backward()",
    "input": "input()",
    "prints": "print('X' * 100_000); print(X)",
    "warning": "import warnings; warnings.warn('beware')",
    "warnings as errors": "import warnings; warnings.simplefilter('error'); warnings.warn('no')",
    "plot": "import matplotlib.pyplot as plt; plt.plot(beta); plt.show()",
    "plot in a file": "import matplotlib.pyplot as plt; plt.plot(beta); plt.savefig('a.png')",
    "other folder": "import os; os.chdir('/')",
    "a file": "open('notes.txt', 'w').write('1'); assert open('notes.txt').read() == '1'",
    "array in a file": "np.save('a.npy', beta); np.load('a.npy')",
    "temporary file": "import tempfile; tempfile.TemporaryFile().write(b'1')",
    "temporary folder": "from tempfile import mkdtemp; open(mkdtemp() + '/a', 'x')",
    "home": "import pathlib; (pathlib.Path.home() / 'a').write_text('1')",
    "environment": "import os; os.environ['HOME']; os.environ['USER']",
    "global random state": "np.random.seed(0); np.random.normal(); import random; random.random()",
    "progress bar": "from tqdm.auto import tqdm\nfor _ in tqdm(range(3)): pass",
    "widget": "import ipywidgets",
    "own IPython": "get_ipython().run_line_magic('matplotlib', 'inline')",
    "network": "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9')",
    "alarm": "import signal; signal.alarm(5); signal.alarm(0)",
    "unused signal": "import signal; signal.signal(signal.SIGURG, signal.SIG_IGN)",
    "deep recursion": "def f(n): return n and f(n - 1)\nf(3_000)",
    "exit": "raise SystemExit",
    "end of process": "import os; os._exit(0)",
    "changed arguments": "X *= 1.0; y += 0; beta -= 0",
    "the module that answers": "from dlcourse.losses import LogisticLoss",
    "another module of the package": "import dlcourse.gradcheck",
    "scipy": "from scipy.special import expit; expit(X @ beta)",
    "sklearn": "import sklearn.linear_model",
    "cache": "import functools; functools.lru_cache(lambda n: n)(1)",
    "pickle": "import pickle; pickle.loads(pickle.dumps(X))",
    "clock": "import datetime; datetime.datetime.now().astimezone()",
    "console": "import sys; sys.stdout.isatty(); sys.stdout.flush(); sys.stderr.write('x')",
}
CELLS = {  # beside the answers
    "package installed": "%pip install seaborn",
    "package installed by the shell": "!pip install -q seaborn",
    "magic, then the operator %": "%matplotlib inline\nnumber = (17\n% 5)\ndef f(): pass",
    "magic in a function": "%load_ext autoreload\n%autoreload 2\nz = 7 \\\n% 4",
    "timed": "%%time\nbase = 1",
    "help": "np.mean?\nbase = 2",
    "own check": "check = None",
    "summary": "check()",
    "fails": "1 / 0",
    "wrong syntax": "def broken(:\n    pass",
    "flood": "for _ in range(10):\n    print('line ' * 20_000)",
    "many plots": "import matplotlib.pyplot as plt\nfor i in range(25): plt.figure()",
    "a function lost": "del gradient",
    "overwritten": "sum = max = len = 3",
    "wrong numbers": "np.set_printoptions(precision=2)\nnp.seterr(all='raise')",
    "warnings as errors": "import warnings\nwarnings.simplefilter('error')",
    "interrupts swallowed": "try:\n    raise KeyboardInterrupt\nexcept BaseException:\n    pass",
    "quits": "quit()",
    "import of a file": "import helpers_of_mine",
}


def with_answer(question, source):
    cells = notebook(homework())
    for cell in cells["cells"]:
        if cell["id"] == f"answer-{question}":
            cell["source"] += source
    return cells


def returning(expression):
    wrap = "\nright = gradient\ndef gradient(X, y, beta):\n    g = right(X, y, beta)\n"
    return with_answer("q2", CLASSES + wrap + f"    return {expression}")


def doing(body):
    indented = "".join(f"    {line}\n" for line in body.split("\n"))
    wrap = f"\nright = gradient\ndef gradient(X, y, beta):\n{indented}"
    return with_answer("q2", wrap + "    return right(X, y, beta)")


def beside(source):
    cells = notebook(homework())
    cells["cells"].append({"cell_type": "code", "metadata": {}, "id": "more", "source": source})
    return cells


def checks_changed(change):
    cells = notebook(homework())
    for cell in cells["cells"]:
        if cell["id"] == "checks":
            cell["source"] = change(cell["source"])
    return cells


def answers_in_the_checks_cell():
    answer = homework().question("q1").solution
    cells = checks_changed(lambda source: f"{source}\n\n{answer}")
    cells["cells"] = [cell for cell in cells["cells"] if cell["id"] != "answer-q1"]
    return cells


WHOLE = {
    "finished": lambda: notebook(homework()),
    "untouched": lambda: notebook(homework(), all_empty(homework())),
    "one left out": lambda: notebook(homework(), {"q3": EMPTY}),
    "one wrong": lambda: notebook(homework(), {"q4": "start left out"}),
    "answer in the checks cell": answers_in_the_checks_cell,
    "more in the checks cell": lambda: checks_changed(lambda source: f"{source}\nextra = 1"),
    "comment above the checks": lambda: checks_changed(lambda source: f"# mine\n{source}"),
    "checks cell that fails": lambda: checks_changed(lambda source: f"import nothing\n{source}"),
    "metadata dropped": lambda: notebook(homework()) | {"metadata": {}},
    "older checks": lambda: checks_changed(
        lambda s: "\n".join(line for line in s.split("\n") if "grader=" not in line)
    ),
}
NOTEBOOKS = (
    {f"returns {name}": (returning, what) for name, what in RETURNED.items()}
    | {f"does {name}": (doing, what) for name, what in DONE.items()}
    | {f"cell {name}": (beside, what) for name, what in CELLS.items()}
    | {f"whole {name}": (lambda make: make(), what) for name, what in WHOLE.items()}
)
NUMBERS = {name: f"{number:03}" for number, name in enumerate(NOTEBOOKS)}


def dlcourse(*arguments):
    return CliRunner().invoke(app, ["homework", *map(str, arguments)])


@pytest.fixture(scope="module")
def handed_in(tmp_path_factory):
    """The folder of all notebooks, half of them with the ending that some systems write."""
    folder = tmp_path_factory.mktemp("in")
    for number, (make, what) in enumerate(NOTEBOOKS.values()):
        ending = "IPYNB" if number % 2 else "ipynb"
        (folder / f"{number:03}.{ending}").write_text(json.dumps(make(what)))
    return folder


@pytest.fixture(scope="module")
def marks(handed_in, tmp_path_factory):
    """What the grader says of each visible test, by notebook: graded in one run, as a class is."""
    grades = tmp_path_factory.mktemp("grades")
    (bundle := grades / "bundle.json").write_bytes(homework().to_bytes())
    result = dlcourse("grade", bundle, handed_in, "-o", grades / "out", "--untrusted-marks")
    assert result.exit_code == 0, result.output
    visible = {
        f"{question.id[1:]}.{number}": (question.id, test.claim)
        for question in homework().questions
        for number, test in enumerate(question.tests, start=1)
        if not test.is_hidden
    }
    found = {}
    for name, number in NUMBERS.items():
        record = json.loads((grades / "out" / "students" / number / "results.json").read_text())
        passed = {test["number"]: test["status"] == "passed" for test in record["tests"]}
        found[name] = {visible[number]: passed[number] for number in visible}
    return found


@pytest.fixture(scope="module")
def sandbox():
    """One for all, as the grader has; the command starts its own."""
    visible = Visible(*loading_cell([checks_source(homework())]))
    with rehearsal._executor(visible.homework, ROOT / "nowhere", lambda now: None) as executor:
        yield executor


@pytest.fixture
def shared(sandbox, monkeypatch):
    class Same:
        def __enter__(self):
            return sandbox

        def __exit__(self, *_):
            pass

    def same(homework, folder, tell):
        return Same()

    monkeypatch.setattr(rehearsal, "_executor", same)


def said_by(found):
    claims = {(q.question, test.claim): test.is_passed for q in found.questions for test in q.tests}
    return {(id, " ".join(claim.split())): passed for (id, claim), passed in claims.items()}


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_submit_check_says_what_the_grader_does(name, handed_in, marks, shared):
    (path,) = handed_in.glob(f"{NUMBERS[name]}.*")
    found = rehearsal.rehearse(path)
    graded = {(id, " ".join(claim.split())): p for (id, claim), p in marks[name].items()}
    assert said_by(found) == graded
    assert found.is_ready == all(graded.values())
    for problem in found.problems:
        assert "cell" in problem or "not defined" in problem


def test_the_notebooks_tell_the_two_apart(marks):
    """Neither all of them pass nor all of them fail, so agreement is no accident."""
    ready = sum(all(mark.values()) for mark in marks.values())
    assert len(marks) > 100
    assert 30 < ready < len(marks) - 20


TELLING = """
    returns tensor, returns series, returns generator, returns method, does another program,
    does pool, does event loop, does 32 threads, does 8 threads, does own process, does 648 MB,
    does 160 MB, does 4.5 seconds, does torch, does input, does a file, does home, does network,
    does end of process, does the module that answers, cell own check, cell wrong syntax,
    whole answer in the checks cell, whole checks cell that fails
"""


@pytest.mark.parametrize("name", [name.strip() for name in TELLING.split(",")])
def test_without_a_sandbox_it_says_the_same(name, handed_in, marks, monkeypatch):
    def refuse(self):
        raise SandboxUnavailable("none here")

    monkeypatch.setattr(Executor, "__enter__", refuse)
    (path,) = handed_in.glob(f"{NUMBERS[name]}.*")
    found = rehearsal.rehearse(path)
    graded = {(id, " ".join(claim.split())): p for (id, claim), p in marks[name].items()}
    assert said_by(found) == graded
