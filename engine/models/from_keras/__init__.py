"""What other Keras versions and formats note otherwise, in the words of a Keras 3 archive."""
