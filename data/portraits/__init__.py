"""Procedurally drawn portraits of people who do not exist."""
