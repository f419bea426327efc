"""`neutral surface` and `neutral cube`: volatility surfaces fitted to markets."""
