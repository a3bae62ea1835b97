"""The layer's channels by rank, and what the selected one looks at."""
