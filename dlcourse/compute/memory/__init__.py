"""Bytes of training and inference: states, activations, caches, and how they are divided."""
