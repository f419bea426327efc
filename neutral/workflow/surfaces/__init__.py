"""The work of `neutral surface` and `neutral cube`: fits volatility surfaces to markets."""
