"""Ranking channels, and counting what each step of the pruning order answers."""
