"""Where a calibration begins: starts from the data, from simpler models, from a global search."""
