"""Architectures: parameters and operations of networks, counted exactly."""
