"""What people look at: figures, the HTML report, and what figures mean in words."""
