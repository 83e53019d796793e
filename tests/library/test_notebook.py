import json

import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from myst_nb.core.variables import format_plain_text

from dlcourse import _checks, losses, notebook
from dlcourse.notebook import Quote, claims, glue


def documented(x):
    """Gone."""
    y = "stays"  # stays too
    return x + y


class Documented:
    """Gone, and the line below.

    All of it.
    """

    field: int = 1

    def method(self):
        """Gone as well."""
        return self.field


def test_a_quote_is_the_source_without_its_docstring():
    assert Quote(documented).source == (
        'def documented(x):\n    y = "stays"  # stays too\n    return x + y'
    )


def test_a_quoted_class_loses_every_docstring_and_keeps_the_rest():
    assert Quote(Documented).source == (
        "class Documented:\n    field: int = 1\n\n    def method(self):\n        return self.field"
    )


@pytest.mark.parametrize(
    "thing", [_checks.positive, losses.SquaredError, losses.SquaredError.__call__]
)
def test_a_quote_runs_and_does_what_the_original_does(thing):
    compile(Quote(thing).source, "quote", "exec")
    assert '"""' not in Quote(thing).source


def test_a_quote_says_where_it_is_from():
    assert repr(Quote(_checks.positive)).startswith(
        "# dlcourse._checks\ndef positive(value, name):"
    )


def test_on_a_page_a_quote_is_a_block_of_python():
    text = Quote(documented)._repr_markdown_()
    assert text.startswith("```python\n# ")
    assert text.endswith("return x + y\n```")


def test_glue_stores_text_under_its_name():
    InteractiveShell.instance()
    with capture_output() as captured:
        glue(share="12.50", count="2,000")
    first, second = captured.outputs
    assert first.data["text/plain"] == "share = 12.50"
    assert first.metadata["scrapbook"]["name"] == "share"
    assert second.data["text/plain"] == "count = 2,000"
    json.dumps([first.data, first.metadata])  # a notebook is JSON


@pytest.mark.parametrize("text", ["2,000", "0.50", "12.5%", "1e-08", "it's", "three"])
def test_the_page_shows_glued_text_to_the_letter(text):
    InteractiveShell.instance()
    with capture_output() as captured:
        glue(number=text)
    stored = captured.outputs[0].data["application/papermill.record/text/plain"]
    assert format_plain_text(stored, "") == text  # what MyST-NB's role prints


@pytest.mark.parametrize("number", [0.1, 3, None])
def test_glue_refuses_what_is_not_rounded_text(number):
    with pytest.raises(TypeError, match='`share` must be a string.*f"{share:.3g}"'):
        glue(share=number)


def test_only_quotes_claims_and_glue_are_offered():
    offered = {name for name, thing in vars(notebook).items() if _is_ours(thing)}
    assert offered == {"Quote", "claims", "glue"}


def _is_ours(thing):
    return getattr(thing, "__module__", None) == notebook.__name__


def test_claims_that_hold_are_ticked_and_escaped():
    shown = claims({"a < b": True, "The mean is right": np.bool_(True)})
    assert repr(shown) == "✓ a < b\n✓ The mean is right"
    assert "<li>✓ a &lt; b</li>" in shown._repr_html_()
    assert "2 claims" in shown._repr_html_()


def test_a_claim_that_does_not_hold_is_named_and_no_other():
    with pytest.raises(AssertionError, match=r"This does not hold: b; d$"):
        claims({"a": True, "b": False, "c": True, "d": np.bool_(False)})


@pytest.mark.parametrize("holds", [np.array([True, True]), 1, None, "yes", [True]])
@pytest.mark.bad_input
def test_a_claim_is_true_or_false_and_nothing_between(holds):
    with pytest.raises(TypeError, match="must come with True or False"):
        claims({"a": holds})


def test_an_empty_list_of_claims_claims_nothing():
    with pytest.raises(AssertionError, match="nothing is claimed"):
        claims({})
