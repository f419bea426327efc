"""Reads files of market data into markets, each with the quotes of one underlying at one time."""
