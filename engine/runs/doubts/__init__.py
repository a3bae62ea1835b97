"""What is doubtful about the input of a run, and what may have caused it."""
