"""The work of `neutral calibrate`: calibrates models to snapshots and stores the results."""
