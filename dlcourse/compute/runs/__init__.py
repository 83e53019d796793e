"""Training runs: their work, utilization, hours, money and carbon."""
