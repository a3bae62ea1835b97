"""The GoodNets that answer the thresholds, and what to take home."""
