"""Claims about training runs, judged."""
