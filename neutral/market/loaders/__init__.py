"""Loaders, which read market data files of every layout into tables of quotes."""
