"""What several views share: tables, pictures, messages, theme, icons."""
