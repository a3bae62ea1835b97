"""Whole jobs, from the files a person picked to what can be shown and saved."""
