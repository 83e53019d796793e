"""Record what the tests prove: a plugin of pytest that `tests/conftest.py` registers.

A test says by its marker which labels of the book it proves, and how. When every marked test of
the repository has run, however the run was distributed, the results go to `_build/ledger.json`,
from which the site takes its badges. A run of fewer leaves the record as it is.
"""

from collections import defaultdict

import pytest

from tools import proofs, statements

WHOLE = {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}  # of a run that did not break off
RANK = {"skipped": 0, "passed": 1, "failed": 2}  # of the phases of a test the worst one counts


def worse(one, other):
    return max(one, other, key=RANK.get)


class Ledger:
    """Gathers reports, also those that workers send, and writes the record at the end."""

    def __init__(self, root):
        self.root = root
        self.sources = proofs.digest(root)  # of what the tests are going to see
        self.outcomes = {}  # test case -> worst outcome
        self.proved = defaultdict(set)  # test -> pairs (label, way)
        self.evaluated = defaultdict(set)  # test -> the displays that it evaluates
        self.faults = []
        self.said = ""

    @pytest.hookimpl
    def pytest_itemcollected(self, item):
        pairs = [
            (label, marker.kwargs["by"])
            for marker in item.iter_markers("proves")
            for label in marker.args
            if marker.kwargs.get("by") in proofs.WAYS
        ]
        if pairs or any(item.iter_markers("erratum")):  # the errata page shows its result
            item.user_properties.append(("proves", pairs))  # it travels with the reports

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report):
        for name, pairs in report.user_properties:
            kept = {"proves": self.proved, "evaluated": self.evaluated}.get(name)
            if kept is not None:
                kept[report.nodeid.partition("[")[0]].update(map(tuple, pairs))
        if report.when == "call" or report.outcome != "passed":
            is_expected = hasattr(report, "wasxfail")  # neither a success nor a failure
            outcome = "skipped" if is_expected else report.outcome
            known = self.outcomes.get(report.nodeid, "skipped")
            self.outcomes[report.nodeid] = worse(known, outcome)

    @pytest.hookimpl
    def pytest_sessionfinish(self, session):
        if hasattr(session.config, "workerinput"):
            return
        ran = {case.partition("[")[0] for case in self.outcomes}
        marked = {marker.test for marker in proofs.markers(self.root)}
        if session.exitstatus not in WHOLE or marked - ran:
            if marked & ran:
                self.said = f"left as it was: {len(marked - ran)} proofs did not run"
            return
        found = self.results()
        proofs.write(self.root, found, self.sources)
        self.said = f"{len(marked)} proofs in {proofs.FILE}"
        self.faults = list(faults_of_results(found, statements.read(self.root)))
        if self.faults:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def results(self):
        """One `Proof` a test that proves, evaluates or shows an erratum, its cases counted."""
        tests = [*self.proved, *(test for test in self.evaluated if test not in self.proved)]
        counts = {test: dict.fromkeys(RANK, 0) for test in tests}
        for case, outcome in self.outcomes.items():
            test = case.partition("[")[0]
            if test in counts:
                counts[test][outcome] += 1
        return [
            proofs.Proof(
                test,
                tuple(sorted(self.proved.get(test, ()))),
                **counts[test],
                evaluated=tuple(sorted(self.evaluated.get(test, ()))),
            )
            for test in tests
        ]

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter):
        if self.faults:
            terminalreporter.section("what the book states and no test proved", red=True)
        for fault in self.faults:
            terminalreporter.write_line(fault)
        if self.said:
            terminalreporter.write_line(f"ledger: {self.said}")


def faults_of_results(found, book):
    """Sentences on the labels whose proofs are there and did not hold."""
    pairs = proofs.by_label(found)
    for statement in (statement for page in book.values() for statement in page):
        mine = pairs.get(statement.label, [])
        if mine and not proofs.that_count(mine):
            results = ", ".join(f"{proof.test} {proof.result}" for proof, _ in mine)
            yield (
                f"{statement.page}: nothing proved `{statement.label}` in this run ({results}). "
                "Cure: mend the test, or what it tests; until then it has no badge."
            )
