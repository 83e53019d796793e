"""What public tools count, beside the package."""
