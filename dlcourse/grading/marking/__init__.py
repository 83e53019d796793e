"""From hand-ins to marks: collecting, grading, storing, reporting."""
