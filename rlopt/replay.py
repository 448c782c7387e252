"""The replay buffer: TorchRL's, holding one packed time step of all seeds per element."""

from __future__ import annotations

from typing import Any

import torch
from tensordict import TensorDictBase
from torchrl.data import LazyTensorStorage, ReplayBuffer

from rlopt.transition import Transition


class SeedReplayBuffer:
    """Uniform replay for S seeds at once: `len` counts transitions per seed.

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
        self.buffer = ReplayBuffer(storage=LazyTensorStorage(capacity, device=self.device), generator=self.generator)

    def __len__(self) -> int:
        return len(self.buffer)

    def extend(self, rollout: TensorDictBase) -> None:
        """Store a collector batch `[S*E, T]`, seed-major: E*T elements."""
        packed = Transition.from_tensordict(rollout).pack()  # [S*E, T, D]
        elements = packed.reshape(self.num_seeds, -1, packed.shape[-1]).transpose(0, 1)  # [E*T, S, D]
        self.buffer.extend(elements.to(self.device, non_blocking=True))

    def sample(self, num_updates: int, batch_size: int) -> torch.Tensor:
        """Packed batches `[U, S, B, D]` for U updates, all gathered at once, with replacement."""
        packed = self.buffer.sample(num_updates * batch_size)
        return packed.view(num_updates, batch_size, self.num_seeds, -1).transpose(1, 2).contiguous()

    def state_dict(self) -> dict[str, Any]:
        """The stored elements, oldest first, and the state of the index generator."""
        return {"elements": self._ordered(), "generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned into an empty buffer."""
        if state["elements"] is not None:
            self.buffer.extend(state["elements"].to(self.device))
        self.generator.set_state(state["generator"].cpu())

    def _ordered(self) -> torch.Tensor | None:
        if len(self) == 0:
            return None
        elements = self.buffer[:]
        # a full buffer overwrites from the start: the writer's cursor is where the oldest element stands
        cursor = self.buffer.write_count % len(self)
        return torch.cat([elements[cursor:], elements[:cursor]])
