"""Gradient descent on quadratics and beyond: paths, rates, a live figure."""
