"""The main job, `neutral calibrate`: snapshots to a store of calibrated models."""
