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
        return [what for what, tex in mutants(self.tex) if self.outcome(tex) == "survives"]

    def outcome(self, tex: str) -> str:
        """Whether a mutant `survives`, is `told` by an answer that differs, or only `unread`.

        `unread`: no answer differs, and one cannot be read or computed. It tells the two apart,
        and says nothing of the numbers that are bound.
        """
        mutant, is_read = Display(self.label, tex), True
        for question, names, options, answer in self.asked:
            try:
                other = getattr(mutant, question)(*names, **options)
            except Exception:  # what cannot be computed is told from what can
                is_read = False
                continue
            if not _is_alike(other, answer):
                return "told"
        return "survives" if is_read else "unread"


def _is_alike(other, answer):
    if isinstance(answer, Verdict):
        return bool(other) == bool(answer)
    return np.shape(other) == np.shape(answer) and np.allclose(other, answer, rtol=1e-9, atol=0)
