"""Menus, the questions the window asks, help."""
