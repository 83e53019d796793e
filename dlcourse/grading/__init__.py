"""Homework: release it, check it at once, grade submissions that nobody can trust."""
