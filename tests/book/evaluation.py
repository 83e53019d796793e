"""The fixture `displayed`: a test binds numbers to a display, and is put to the test itself.

    @pytest.mark.proves("eq-adam-mean", by="independent")
    def test_the_mean_is_the_recursion_of_torch(displayed, rng):
        ...
        assert displayed("eq-adam-mean").holds({"m": kept, r"\\beta_1": 0.9, "g": g, "k": k})

When the test has passed, the display's mutants (`tools/formula/mutants.py`) are asked the same. One
that answers as the display does was not noticed: the test fails, unless `seals/displays.yml` says
why no number can tell the two apart. The display itself is asked again too, and must answer as
before. So a test may not be parametrized: it asks in a loop. Where a hypothesis is hurt it asks
`fails` in place of `holds`, which tells mutants that claim less.
"""

import pytest

from tools import formula, seals
from tools.formula.mutants import BOUND, mutants
from tools.formula.trial import Trial


@pytest.fixture
def displayed(request):
    """Reads a label's display, and at the end tries whether the test would see it changed."""
    marked = {label for marker in request.node.iter_markers("proves") for label in marker.args}
    trials = {}
    if hasattr(request.node, "callspec"):
        pytest.fail("a test that evaluates a display asks in a loop: it is not parametrized")

    def read(label):
        if "." not in label and label not in marked:
            pytest.fail(f'mark the test with @pytest.mark.proves("{label}", by="...")')
        display = formula.displayed(label)
        return trials.setdefault(label, Trial(display.label, display.tex))

    yield read
    if request.node.stash.get(FAILED, False):
        return
    found = {label: noticed(trial) for label, trial in trials.items()}
    rows = [(label, *counts) for label, (_, *counts) in found.items()]
    request.node.user_properties.append(("evaluated", rows))  # it travels with the report
    faults = [fault for said, *_ in found.values() for fault in said]
    if faults:
        pytest.fail("\n".join(faults), pytrace=False)


FAILED = pytest.StashKey[bool]()


class Outcome:
    """Tells the fixture whether its test has passed."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item, call):
        report = yield
        if report.when == "call":
            item.stash[FAILED] = report.failed
        return report


def noticed(trial, listed=None):
    """(faults, number of mutants, number of survivors, sides of its bounds that are held).

    Mutants that cannot be read or computed are told from the display by that, whatever is bound:
    they are not counted.
    """
    listed = seals.displays() if listed is None else listed
    reasons = listed["survivors"].get(trial.label, {})
    is_one_sided = trial.label in listed["one_sided"]
    outcomes = [(what, trial.outcome(tex)) for what, tex in mutants(trial.tex)]
    survivors = [what for what, outcome in outcomes if outcome == "survives"]
    n_told = sum(outcome == "told" for _, outcome in outcomes)
    loose = [what for what in survivors if what.startswith(BOUND)]
    free = {*reasons, *(loose if is_one_sided else ())}
    faults = [
        f"{trial.label}: the test does not notice when {what}. Cure: bind other numbers or ask "
        "once more (of a bound, tight=True where it is attained); or list it with the reason in "
        f"{seals.DISPLAYS}, where `{'one_sided' if what in loose else 'survivors'}` are."
        for what in survivors
        if what not in free
    ]
    stale = [what for what in reasons if what not in survivors]
    stale += ["its bound moves"] if is_one_sided and not loose else []
    faults += [
        f"{trial.label}: the test does notice when {what}. Cure: take it out of {seals.DISPLAYS}."
        for what in stale
    ]
    if not all(answer for question, *_, answer in trial.asked if question != "value"):
        faults.append(f"{trial.label} did not hold, or fail, once when it was asked")
    if trial.outcome(trial.tex) != "survives":
        faults.append(
            f"{trial.label} answers otherwise when it is asked again, so that nothing is known of "
            "its mutants. Cure: bind lists, no generators, and arrays that the test leaves alone."
        )
    elif not n_told:
        faults.append(f"{trial.label}: no mutant is false. Cure: bind names, in place of phrases.")
    has_bounds = any(what.startswith(BOUND) for what, _ in outcomes)
    sides = ("one" if loose else "both") if has_bounds else ""
    return faults, n_told + len(survivors), len(survivors), sides
