"""Mini-batches: how they are drawn, how noisy their gradients are, and where steps on them end."""
