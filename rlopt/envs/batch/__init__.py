"""Copies of an environment that are stepped all at once."""
