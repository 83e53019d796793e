"""Evaluate the LaTeX that a page displays, at numbers that a test binds.

    names = {"m": means, r"\\beta_1": 0.9, "g": one_based(g), "k": 3}
    assert displayed("eq-adam-mean").holds(names)

`displayed` reads the display of that label from its page, so that a sign changed in the text turns
the test red. What the reader understands stands in `grammar`, `commands` and `brackets`, what the
operators mean in `values`.
"""

from tools.formula import brackets, commands  # noqa: F401  the grammar finds there what reads what
from tools.formula.displayed import Display, displayed
from tools.formula.lexer import Unread
from tools.formula.values import one_based

__all__ = ["Display", "Unread", "displayed", "one_based"]
