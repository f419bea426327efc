"""Starts of a calibration: from the data, from simpler models, from a global search."""
