"""The pruning curve, live."""
