"""A logit taken apart: solvers, separation, brands, the three errors."""
