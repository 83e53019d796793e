"""Experiments and figures of the chapters of the book: one folder a chapter."""
