"""What speaks for a backdoor, found with clean images alone, and the verdict on it."""
