"""The record of a test run: what was proved by which test, how, and with what result.

The run writes it to `_build/ledger.json` with a digest of all that it ran on; the site reads it. A
record whose sources have changed since counts for nothing: neither does a test that did not pass.
"""

import ast
import hashlib
import json
import re
from pathlib import Path
from typing import NamedTuple

MARKER = "pytest.mark.proves"
FILE = Path("_build", "ledger.json")
WAYS = {
    "symbolic": "a symbolic identity",
    "independent": "agreement with an independent computation",
    "derivative": "derivatives against differences",
    "truth": "recovery of a known truth",
    "instances": "random instances that satisfy the hypotheses",
    "worst case": "worst cases and counterexamples",
}
SOURCES = {
    "book": {".ipynb", ".md"},
    "dlcourse": {".py", ".js"},
    "tests": {".py", ".yml"},
    "tools": {".py"},
}
LOCKS = ["requirements.lock", "requirements-torch.lock"]
# Words that a test's name has in lower case, as a sentence writes them.
NAMES = """Adam AdamW AMSGrad Armijo BERT Carlo Gauss GPT Hessian Huber Legendre Lipschitz Markov
Monte Muon Nesterov Newton PEPit Polyak QR ReLU ResNet Schulz SGD SymPy TF32 Tikhonov Xavier
XOR""".split()
NAMES = {name.lower(): name for name in NAMES} | {"torch": "PyTorch", "sklearn": "scikit-learn"}


class Evaluated(NamedTuple):
    """A display that a test evaluates, and how many of its mutants the test did not notice.

    `sides` of its bounds that a change of a hundredth turns red: `both`, `one`, or nothing.
    """

    label: str
    n_mutants: int
    n_survivors: int
    sides: str


class Proof(NamedTuple):
    """A test that proves: `proves` has pairs (label, way), the counts are its cases."""

    test: str  # tests/library/test_losses.py::test_the_losses_are_the_written_sums
    proves: tuple
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    evaluated: tuple = ()  # of `Evaluated`

    @property
    def holds(self):
        return self.passed > 0 and self.failed == 0

    @property
    def result(self):
        """The result as a reader says it: `passed`, `passed in 5 cases`, `failed`, `skipped`."""
        if not self.holds:
            return "failed" if self.failed else "skipped"
        return "passed" if self.passed == 1 else f"passed in {self.passed} cases"

    @property
    def claim(self):
        """The test's name as the sentence that it is."""
        words = self.test.rpartition("::")[2].removeprefix("test_").split("_")
        sentence = " ".join(NAMES.get(word, word) for word in words)
        return sentence[:1].upper() + sentence[1:]

    @property
    def anchor(self):
        return re.sub(r"\W+", "-", self.test.removeprefix("tests/"))


def digest(root):
    """Digest of the chapters, the package and the tests in a repository."""
    found = [
        path.relative_to(root)
        for folder, kinds in SOURCES.items()
        for path in Path(root, folder).rglob("*")
        if path.suffix in kinds
    ]
    found += [Path(name) for name in LOCKS if Path(root, name).exists()]
    total = hashlib.sha256()
    for path in sorted(found):
        if not any(part.startswith(".") for part in path.parts):  # checkpoints of an open notebook
            total.update(path.as_posix().encode() + b"\0" + Path(root, path).read_bytes() + b"\0")
    return total.hexdigest()


def write(root, proofs, sources):
    """Store the proofs of a whole run over sources that had this digest when it began."""
    record = {"sources": sources, "proofs": [proof._asdict() for proof in sorted(proofs)]}
    path = Path(root, FILE)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def read(root):
    """The proofs of the last run, or None without one that saw the sources as they are."""
    path = Path(root, FILE)
    if not path.exists():
        return None
    record = json.loads(path.read_text(encoding="utf-8"))
    if record["sources"] != digest(root):
        return None
    return [
        Proof(
            **proof
            | {"proves": tuple(map(tuple, proof["proves"]))}
            | {"evaluated": tuple(Evaluated(*row) for row in proof["evaluated"])}
        )
        for proof in record["proofs"]
    ]


def by_label(proofs):
    """label -> pairs (proof, way), in the order of the ways."""
    found = {}
    for proof in proofs:
        for label, way in proof.proves:
            found.setdefault(label, []).append((proof, way))
    order = list(WAYS)
    return {k: sorted(v, key=lambda pair: order.index(pair[1])) for k, v in found.items()}


def evaluations(proofs):
    """label -> what is known of its evaluation by tests that hold, the sharpest one."""
    found = [row for proof in proofs if proof.holds for row in proof.evaluated]
    sharpest = sorted(found, key=lambda row: (row.n_survivors, row.sides != "both"), reverse=True)
    return {row.label: row for row in sharpest}


def that_count(pairs):
    """The pairs whose tests passed; none of them where one has failed."""
    if any(proof.failed for proof, _ in pairs):
        return []
    return [(proof, way) for proof, way in pairs if proof.holds]


def summary(pairs):
    """`Checked in 2 ways: a symbolic identity; recovery of a known truth`."""
    ways = list(dict.fromkeys(WAYS[way] for _, way in pairs))
    return f"Checked in {len(ways)} way{'s' if len(ways) > 1 else ''}: {'; '.join(ways)}"


class Marker(NamedTuple):
    """`test` is `tests/test_x.py::test_y`; `way` is None where the marker does not say it."""

    test: str
    labels: tuple
    way: str | None


def markers(root):
    """The markers on tests below `root/tests`, read without importing anything."""
    for path in sorted(Path(root, "tests").rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if MARKER in text:
            yield from markers_in(ast.parse(text), path.relative_to(root).as_posix())


def markers_in(tree, name):
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            yield from markers_in(node, f"{name}::{node.name}")
        elif isinstance(node, ast.FunctionDef):
            for call in filter(is_marker, node.decorator_list):
                labels = tuple(map(written, call.args))
                ways = [written(k.value) for k in call.keywords if k.arg == "by"]
                yield Marker(f"{name}::{node.name}", labels, *ways or [None])


def evaluating(root):
    """Pairs of a label and the test that evaluates its display."""
    for path in sorted(Path(root, "tests").rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if "displayed(" not in text:
            continue
        for test in ast.walk(ast.parse(text)):
            if isinstance(test, ast.FunctionDef) and "displayed" in {a.arg for a in test.args.args}:
                for call in filter(is_evaluation, ast.walk(test)):
                    name = f"{path.relative_to(root).as_posix()}::{test.name}"
                    yield written(call.args[0]), name


def is_evaluation(node):
    is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args
    return is_call and node.func.id == "displayed"


def is_marker(node):
    return isinstance(node, ast.Call) and ast.unparse(node.func) == MARKER


def written(node):
    """A string as it is, and any other expression as its source."""
    return node.value if isinstance(node, ast.Constant) else ast.unparse(node)
