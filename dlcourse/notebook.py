"""What a chapter shows besides figures: quoted source, claims that hold, numbers for its prose."""

import ast
import html
import inspect
import textwrap
from collections.abc import Mapping

import numpy as np
from IPython.display import display


class Quote:
    """Source of a function or class as it stands in the package, without its docstring.

    The stored output is compared with the source at every test run, so a quote is never stale.

    >>> from dlcourse import _checks
    >>> Quote(_checks.positive)
    # dlcourse._checks
    def positive(value, name):
        if not (is_number(value) and value > 0):
            raise ValueError(f"`{name}` must be a positive number, got {value!r}.")
    """

    def __init__(self, thing):
        self.thing = thing

    @property
    def source(self):
        source = textwrap.dedent(inspect.getsource(self.thing))
        lines, hidden = source.splitlines(), set()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
                start, end = node.body[0].lineno, node.body[0].end_lineno
                blank_follows = lines[end : end + 1] == [""]
                hidden.update(range(start, end + 1 + blank_follows))
        return "\n".join(line for i, line in enumerate(lines, start=1) if i not in hidden)

    def __repr__(self):
        return f"# {self.thing.__module__}\n{self.source}"

    def _repr_markdown_(self):
        return f"```python\n{self!r}\n```"


class claims:  # a call that prints itself, as a chapter writes it
    """Sentences about the results above, each with whether it holds: a folded list with ticks.

    A chapter that stops being true stops building: raises `AssertionError` with the sentences that
    do not hold, and `TypeError` where the truth of a sentence is no single bool, such as an array
    of them: write `np.all(...)`, or say for how many it holds.

    >>> claims({"Two is even": 2 % 2 == 0})
    ✓ Two is even
    """

    def __init__(self, sentences: Mapping[str, bool]):
        for sentence, holds in sentences.items():
            if not isinstance(holds, bool | np.bool_):
                raise TypeError(
                    f"`{sentence}` must come with True or False, got {type(holds).__name__}. "
                    "Several? `np.all(...)`."
                )
        broken = [sentence for sentence, holds in sentences.items() if not holds]
        if broken or not sentences:
            raise AssertionError(f"This does not hold: {'; '.join(broken) or 'nothing is claimed'}")
        self.sentences = list(sentences)

    def __repr__(self):
        return "\n".join(f"✓ {sentence}" for sentence in self.sentences)

    def _repr_html_(self):
        n = len(self.sentences)
        what = "1 claim about these results, checked" if n == 1 else f"{n} claims, each checked"
        items = "".join(f"<li>✓ {html.escape(sentence)}</li>" for sentence in self.sentences)
        return (
            f'<details class="dl-claims"><summary>✓ {what}</summary>'
            f'<ul style="list-style:none">{items}</ul></details>'
        )


def glue(**numbers):
    """Hand numbers to the prose: `{glue:text}` roles of the page print them.

    Give strings, rounded as they shall be read: `glue(max_step=f"{step:.3f}")`. A full float would
    differ between processors in its last digits.

    Raises `TypeError` for anything but a string.
    """
    for name, text in numbers.items():
        if not isinstance(text, str):
            raise TypeError(
                f"`{name}` must be a string, rounded as it shall be read, got "
                f'{type(text).__name__}. Use an f-string such as f"{{{name}:.3g}}".'
            )
        display(
            # The role evaluates what it finds: unquoted, 2,000 would be read as the pair (2, 0).
            {
                "application/papermill.record/text/plain": repr(text),
                "text/plain": f"{name} = {text}",
            },
            metadata={"scrapbook": {"name": name, "mime_prefix": "application/papermill.record/"}},
            raw=True,
        )
