"""Single options: their terms, closed formulas, implied volatilities and static arbitrage."""
