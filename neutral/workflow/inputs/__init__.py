"""Market files to markets: one underlying at one time each."""
