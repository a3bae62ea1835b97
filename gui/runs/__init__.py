"""Finished runs: a list to choose from, and those chosen beside each other."""
