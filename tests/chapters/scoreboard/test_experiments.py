from dlcourse.chapters.scoreboard.public_tools import comparison
from dlcourse.compute.models import architectures


def test_public_tools_are_compared_on_exact_counts():
    shown = comparison()
    for name, exact in shown.exact.items():
        assert architectures.named(name).forward_flops() == exact
    assert set(shown.factors) == {"torch", "calflops", "fvcore", "torchinfo", "ptflops"}
    assert set(shown.factors) < set(shown.versions)
    assert shown.date >= "2026"


def test_the_tools_disagree_as_the_book_says():
    factors = comparison().factors
    assert all(0.47 < factor < 0.53 for factor in factors["fvcore"].values())  # MACs called FLOPs
    assert factors["torchinfo"]["vit_b_16"] < 0.02  # blind to attention's maps
    assert factors["torch"]["vit_b_16"] < 0.7  # the fast path of its encoder layers
    assert all(abs(factors["calflops"][name] - 1) < 0.05 for name in factors["calflops"])


def test_a_tool_that_reports_multiply_adds_is_taken_at_two_flops_each():
    row = {"name": "x", "exact": 100, "reported": {"a": 100, "b": 50}}
    data = {"rows": [row], "units": {"a": "FLOPs", "b": "MACs"}, "versions": {}, "date": ""}
    shown = comparison(data)
    assert shown.factors == {"a": {"x": 1.0}, "b": {"x": 1.0}}
