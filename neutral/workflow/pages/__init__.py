"""Writes HTML pages about results; each is a single file that contains its figures."""
