"""Empirical risk: what a loss makes a model estimate, and how the fit flatters itself."""
