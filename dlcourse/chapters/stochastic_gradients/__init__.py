"""Mini-batches: how noisy their gradients are, and where steps on them end."""
