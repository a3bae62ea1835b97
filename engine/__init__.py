"""GoodNet's engine: everything between files and verdicts. Knows nothing of any window."""
