"""Pricing engines: from a characteristic function to prices, each with an error estimate."""
