"""The replay buffer: TorchRL's, holding one packed time step of all seeds per element."""

from typing import Any

import torch
from tensordict import TensorDictBase
from torchrl.data import LazyTensorStorage, ReplayBuffer

from rlopt.transition import Transition

RECENT_FRAMES = 10_000
"""Frames per seed that count as recent."""


class SeedReplayBuffer:
    """Replay for S seeds at once, uniform or with a share of recent data: `len` counts transitions per seed.

    An element is one time step of all seeds, `[S, D]` with D = 2O + A + 2 (`Transition.pack`), in a TorchRL
    `ReplayBuffer`. A sample of all updates of a collector batch is one gather.

    Args:
        capacity: transitions per seed; the oldest are overwritten.
        observation_size: O.
        action_size: A.
        num_seeds: S.
        seed: of the sampled indices.
        device: where the transitions live and indices are drawn.
    """

    def __init__(
        self,
        capacity: int,
        observation_size: int,
        action_size: int,
        *,
        num_seeds: int = 1,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ):
        self.observation_size, self.action_size, self.num_seeds = observation_size, action_size, num_seeds
        self.device = torch.device(device)
        self.generator = torch.Generator(self.device).manual_seed(seed)
        self.buffer = ReplayBuffer(storage=LazyTensorStorage(capacity, device=self.device))

    def __len__(self) -> int:
        return len(self.buffer)

    def extend(self, rollout: TensorDictBase) -> None:
        """Store a collector batch `[S*E, T]`, seed-major: E*T elements."""
        packed = Transition.from_tensordict(rollout).pack()  # [S*E, T, D]
        elements = packed.reshape(self.num_seeds, -1, packed.shape[-1]).transpose(0, 1)  # [E*T, S, D]
        self.buffer.extend(elements.to(self.device, non_blocking=True))

    def sample(self, num_updates: int, batch_size: int, recent_ratio: float = 0.0) -> torch.Tensor:
        """Packed batches `[U, S, B, D]` for U updates, all gathered at once, with replacement.

        `recent_ratio` of every batch is of the newest `RECENT_FRAMES` alone (after Wang and Ross, 2019, arXiv 1906.04009),
        spread evenly over it, so that any part of a batch has that share of them; the rest is of all.
        """
        shape = (num_updates, batch_size)
        # every 1 / recent_ratio-th
        recent = (torch.arange(batch_size + 1, device=self.device) * recent_ratio).floor().diff() > 0
        age = torch.where(recent, self._draw(min(RECENT_FRAMES, len(self)), shape), self._draw(len(self), shape))
        packed = self.buffer[(self._cursor - 1 - age) % len(self)]  # [U, B, S, D]
        return packed.transpose(1, 2).contiguous()

    def _draw(self, high: int, shape: tuple[int, int]) -> torch.Tensor:
        return torch.randint(high, shape, device=self.device, generator=self.generator)

    def state_dict(self) -> dict[str, Any]:
        """The stored elements, oldest first, and the state of the index generator."""
        return {"elements": self._ordered(), "generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned into an empty buffer."""
        if state["elements"] is not None:
            self.buffer.extend(state["elements"].to(self.device))
        self.generator.set_state(state["generator"].cpu())

    @property
    def _cursor(self) -> int:
        """Where the oldest element stands: a full buffer overwrites from the start."""
        return self.buffer.write_count % len(self)

    def _ordered(self) -> torch.Tensor | None:
        if len(self) == 0:
            return None
        elements = self.buffer[:]
        return torch.cat([elements[self._cursor :], elements[: self._cursor]])
