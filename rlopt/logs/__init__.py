"""The record of a run: its folder, `metrics.csv`, Weights & Biases, progress, and safe files. Imports no torch."""
