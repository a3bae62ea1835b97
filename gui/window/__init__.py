"""What the window itself can do: general menus, help."""
