"""Projects: the page that opens with none, saving and opening them, files that moved or changed."""
