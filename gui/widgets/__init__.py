"""What several views share: figures, pictures, messages, theme, icons."""
