"""Trim and repair the theme's pages after the build: lighter, quieter, accessible."""


def setup(app):
    return {"parallel_read_safe": True, "parallel_write_safe": True}
