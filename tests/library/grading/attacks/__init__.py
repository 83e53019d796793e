"""Hostile submissions: what each wants, and the weak grader against which it gets it."""
