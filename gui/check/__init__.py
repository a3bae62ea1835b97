"""Pictures in, verdicts out."""
