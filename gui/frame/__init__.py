"""What the views are put into: menus, questions, and the desk from which each view takes what it needs."""
