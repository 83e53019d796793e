"""Adam taken apart: what each part does, where it fails, and what a penalty does in it."""
