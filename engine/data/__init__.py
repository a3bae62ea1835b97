"""A stranger's images become a Dataset: read, checked, streamed."""
