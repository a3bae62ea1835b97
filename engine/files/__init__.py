"""HDF5, pictures and atomic saving; every byte is distrusted."""
