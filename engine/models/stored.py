"""What a model file may hold at most, and how Keras calls the weights in an archive."""

from __future__ import annotations

MOST_PARAMETERS = 2_000_000_000
MOST_CONFIG_BYTES = 64 << 20
WEIGHTS = "model.weights.h5"
