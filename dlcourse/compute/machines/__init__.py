"""Devices, their rooflines, prices and the rules of their export."""
