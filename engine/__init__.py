"""GoodNet's engine: everything between files and verdicts. Knows nothing of any window."""

VERSION = "0.2.0"  # as in pyproject.toml
