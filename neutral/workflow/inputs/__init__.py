"""From files of market data to markets: the quotes of one underlying at one time each."""
