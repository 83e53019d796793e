"""Linear models: least squares, what its estimates do over repeated samples, its three errors."""
