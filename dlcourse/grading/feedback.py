"""What a student reads about the visible tests: of one question, or of all."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CheckedTest:
    """How one visible test went, in lines that a student reads."""

    claim: str
    is_passed: bool
    lines: tuple[str, ...] = ()
    points: float = 0


@dataclass(frozen=True, repr=False)
class Feedback:
    """How the visible tests of one question went; prints itself."""

    question: str
    tests: tuple[CheckedTest, ...]
    problem: str = ""  # why no test could say more

    @property
    def is_passed(self) -> bool:
        return not self.problem and all(test.is_passed for test in self.tests)

    @property
    def points(self) -> float:
        return sum(test.points for test in self.tests)

    @property
    def earned(self) -> float:
        return sum(test.points for test in self.tests if test.is_passed)

    @property
    def verdict(self) -> str:
        n_passed = sum(test.is_passed for test in self.tests)
        return self.problem or f"{n_passed} of {len(self.tests)} visible tests pass."

    def __repr__(self):
        lines = [f"{self.question}: {self.verdict}"]
        for test in self.tests if not self.problem else ():
            lines += [f"{'pass' if test.is_passed else 'FAIL'}  {test.claim}"]
            lines += [f"      {line}" for line in test.lines]
        if self.is_passed:
            lines.append("The hidden tests ask the same of other inputs.")
        return "\n".join(lines)


@dataclass(frozen=True, repr=False)
class Summary:
    """How the visible tests of all questions went, with points; prints itself."""

    homework: str
    questions: tuple[Feedback, ...]
    out_of: float = 0  # points of the homework, those of hidden tests included; 0 if not known

    def __repr__(self):
        n_passed = sum(question.is_passed for question in self.questions)
        points = sum(question.points for question in self.questions)
        lines = [
            f"{self.homework}: {n_passed} of {len(self.questions)} questions pass their visible "
            f"tests, {sum(q.earned for q in self.questions):g} of {points:g} points."
        ]
        for q in self.questions:
            mark = "pass" if q.is_passed else "FAIL"
            lines.append(f"{mark}  {q.question}  {q.earned:g} of {q.points:g} points: {q.verdict}")
        if self.out_of > points:
            lines.append(f"The hidden tests decide about {self.out_of - points:g} points more.")
        return "\n".join(lines)
