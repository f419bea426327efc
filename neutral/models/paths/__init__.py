"""Schemes that move paths of a process step by step."""
