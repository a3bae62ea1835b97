"""Defences beyond pruning, and all of them side by side."""
