"""A finished run as files and back: its folder, what is kept of it, reopening."""
