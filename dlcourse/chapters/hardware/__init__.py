"""Figures of devices, rooflines and export rules."""
