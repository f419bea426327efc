"""Option quotes as padded arrays."""
