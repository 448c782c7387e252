"""Tensors of one seed, and their comparison with numbers worked out by hand."""

import torch


def tensor(*values):
    """Float64 `[1, ...]`: one seed."""
    return torch.tensor([values], dtype=torch.float64)


def close(actual, *expected):
    torch.testing.assert_close(actual, torch.tensor(expected, dtype=actual.dtype))
