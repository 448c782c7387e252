"""Torch's global random numbers, as one environment has them to itself."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor


class Stream:
    """Inside a `with` block torch's global generators, of the CPU and of a device, are this stream's; outside, what they were.

    Many TorchRL environments draw from the global generators. With a stream each, what one draws depends on its own seed alone,
    and nothing else notices that it drew.

    Args:
        device: where the environment is.
    """

    def __init__(self, device: torch.device | None):
        self.device = torch.device("cpu") if device is None else device
        self.ways: list[tuple[Callable[[], Tensor], Callable[[Tensor], Any]]] = [
            (torch.get_rng_state, torch.set_rng_state)
        ]
        if self.device.type == "cuda":
            ways = partial(torch.cuda.get_rng_state, self.device), partial(torch.cuda.set_rng_state, device=self.device)
            self.ways.append(ways)
        self.restart(0)

    def restart(self, seed: int) -> None:
        """Begin again from a seed."""
        devices = [torch.device("cpu"), self.device][: len(self.ways)]
        self.states = [torch.Generator(device).manual_seed(seed).get_state() for device in devices]

    def __enter__(self) -> None:
        self.outside = [get() for get, _ in self.ways]
        self._set(self.states)

    def __exit__(self, *exception: object) -> None:
        self.states = [get() for get, _ in self.ways]
        self._set(self.outside)

    def _set(self, states: list[Tensor]) -> None:
        for (_, put), state in zip(self.ways, states, strict=True):
            put(state)
