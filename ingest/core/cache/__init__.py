"""Cache tuning: what other cache policies would have cost, the lowest bill a log allows, and where writes came from.

Pure: numpy arrays in, results out; no database, no clock. Start at `log.CacheLog` and `compare.compare`.
"""
