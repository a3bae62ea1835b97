"""A stranger's file becomes a Network: read as data, checked, built, taken apart."""
