"""Cells on the machines of a Ray cluster. Nothing here imports Ray before it is asked for."""
