"""Policies to look at: episodes that are drawn, on a screen or in a file."""
