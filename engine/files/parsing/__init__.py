"""What parses strangers' HDF5 files and pictures; it runs in the reader's process alone, see engine.quarantine."""
