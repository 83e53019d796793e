"""Data-parallel training on two processes: exact, divided, and gone wrong."""
