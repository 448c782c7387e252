"""Whether two readings of a file are equal, and what memory a reading takes."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch


def same(a: Any, b: Any) -> bool:
    """Whether two readings are equal, bit for bit."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.shape == b.shape and torch.equal(a, b.to(a.dtype))
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return isinstance(b, list | tuple) and len(a) == len(b) and all(map(same, a, b))
    return a == b or (isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b))


def peak_growth(act: Callable[[], Any]) -> tuple[Any, int]:
    """What `act` returns, and by how many bytes the memory of this process grew at its peak."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from now on
    before = _status("VmRSS")
    result = act()
    return result, _status("VmHWM") - before


def _status(key: str) -> int:
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key)]
    return int(line.split()[1]) * 1024
