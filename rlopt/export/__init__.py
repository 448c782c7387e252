"""Policies in files that other programs run: ONNX, torch's export, plain arrays."""
