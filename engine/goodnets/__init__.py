"""B and B' as a pair: predict, evaluate, save, check pictures."""
