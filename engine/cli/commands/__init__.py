"""The commands, a file each: what it does (SUMMARY), its options (add_options) and the work (run)."""
