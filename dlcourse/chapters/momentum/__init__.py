"""Momentum at work: where it converges, how its forms differ, what it saves, what noise does."""
