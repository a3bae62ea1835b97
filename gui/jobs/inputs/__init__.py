"""Jobs that choose what to work on: files put into their roles, labels given their names."""
