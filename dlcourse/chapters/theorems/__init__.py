"""Figures of the bench of theorems."""
