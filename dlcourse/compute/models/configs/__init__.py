"""Published configurations read into architectures."""
