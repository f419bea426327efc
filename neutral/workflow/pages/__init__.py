"""HTML pages about results: one file each, with its pictures inside."""
