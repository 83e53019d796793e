"""Solvers of least squares compared: conditioning, storage, sampling."""
