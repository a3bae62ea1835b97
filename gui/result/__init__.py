"""What the results on show are of, and the best of them, above all tabs."""
