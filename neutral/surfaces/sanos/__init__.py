"""SANOS surfaces: discrete laws in convex order, smoothed."""
