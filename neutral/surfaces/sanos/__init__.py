"""SANOS surfaces: discrete distributions in convex order, smoothed by a kernel."""
