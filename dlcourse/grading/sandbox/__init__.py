"""Processes that run code nobody can trust. `host` is the grader's side, `zygote` the inside."""
