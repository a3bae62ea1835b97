"""What a person looks into: what a file is, what a channel sees, where a network looks."""
