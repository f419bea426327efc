"""A fuzzer of everything that reads files: market data, configurations and stored results.

`make fuzz SEED=1 N=1000000` runs it, or `python -m fuzz` with the folder of tests in PYTHONPATH. Each input
follows from the seed and its number alone, so `make fuzz SEED=1 ONLY=4711` repeats one.
"""
