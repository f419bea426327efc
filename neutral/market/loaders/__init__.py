"""Loaders: market files of every layout to quotes."""
