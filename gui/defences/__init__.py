"""Scan, repair, and all defences side by side."""
