"""Muon taken apart: orthogonalization, matrix regression, digits, attention."""
