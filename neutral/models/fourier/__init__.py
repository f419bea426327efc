"""Models given by their characteristic function."""
