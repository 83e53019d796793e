"""What the figures of all chapters share: the style, live figures."""
