"""Figures computed in the reader's browser, equal to the package's numbers."""
