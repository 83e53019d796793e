"""Whether a test would have noticed: the mutants of a display under the numbers that it bound."""

from dataclasses import dataclass, field

import numpy as np

from tools.formula.displayed import Display, Verdict
from tools.formula.mutants import mutants


@dataclass(frozen=True)
class Trial(Display):
    """A display that remembers what it was asked, and answers as the display does."""

    asked: list = field(default_factory=list)

    def holds(self, names, *worlds, **options):
        return self._remembered("holds", names, worlds, options)

    def fails(self, names, *worlds, **options):
        return self._remembered("fails", names, worlds, options)

    def value(self, names, *worlds, **options):
        return self._remembered("value", names, worlds, options)

    def _remembered(self, question, names, worlds, options):
        asked = (dict(names), *worlds)  # as they are: the test may go on to fill in others
        answer = getattr(Display(self.label, self.tex), question)(*asked, **options)
        self.asked.append((question, asked, options, answer))
        return answer

    def survivors(self) -> list[str]:
        """Mutants that answer every question as the page does: what was done, and where."""
        return [what for what, tex in mutants(self.tex) if self._answers_alike(tex)]

    def _answers_alike(self, tex):
        mutant = Display(self.label, tex)
        return all(_is_alike(mutant, *asked) for asked in self.asked)


def _is_alike(mutant, question, names, options, answer):
    try:
        other = getattr(mutant, question)(*names, **options)
    except Exception:  # what cannot be read or computed is told from what can
        return False
    if isinstance(answer, Verdict):
        return bool(other) == bool(answer)
    return np.shape(other) == np.shape(answer) and np.allclose(other, answer, rtol=1e-9, atol=0)
