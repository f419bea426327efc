"""`neutral surface` and `neutral cube`: volatility surfaces of markets."""
