"""Data-parallel training on torch.distributed, and what communication costs."""
