"""Measurements of speed and memory, as ratios within one run. No test asserts what is measured here."""
