"""What an agent learns from: a batch of transitions, and its packed form in the replay buffer.

Shape letters, here and everywhere: `S` seeds, `E` environments per seed, `T` steps, `B` batch per seed,
`K` critics, `O` observation, `A` action.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from tensordict import TensorDictBase
from torch import Tensor


class Transition(NamedTuple):
    """Transitions (s, a, r, s', terminated) of every seed; fields share their leading shape, usually `[S, B]`.

    `terminated` says that s' is a final state of the task; a time limit (truncation) does not count, because the
    value of s' goes on behind it.
    """

    observation: Tensor  #: `[..., O]` float32
    action: Tensor  #: `[..., A]` float32, in [-1, 1]
    reward: Tensor  #: `[...]` float32
    next_observation: Tensor  #: `[..., O]` float32
    terminated: Tensor  #: `[...]` float32, 0 or 1

    @classmethod
    def from_tensordict(cls, data: TensorDictBase) -> Transition:
        """Read TorchRL's key names. `("next", "reward")` may be missing (expert data): it reads as zero."""
        terminated = data.get(("next", "terminated")).squeeze(-1).float()
        reward = data.get(("next", "reward"), None)
        return cls(
            observation=data.get("observation"),
            action=data.get("action"),
            reward=torch.zeros_like(terminated) if reward is None else reward.squeeze(-1),
            next_observation=data.get(("next", "observation")),
            terminated=terminated,
        )

    def with_reward(self, reward: Tensor) -> Transition:
        """The same transitions with another reward. (`_replace` does not survive torch.compile in torch 2.11.)"""
        return Transition(self.observation, self.action, reward, self.next_observation, self.terminated)

    def joined_with(self, other: Transition) -> Transition:
        """Both batches as one `[S, B + B']`, this one's transitions first."""
        return Transition(*(torch.cat(pair, 1) for pair in zip(self, other, strict=True)))

    def mixed_with(self, expert: Transition | None, ratio: float) -> tuple[Transition, int]:
        """This batch with its last part, a share `ratio` of it, replaced by the expert's first transitions.

        Returns also how many at its beginning are still its own, the policy's: at least one.
        """
        size = self.reward.shape[1]
        kept = max(1, size - round(ratio * size))
        if expert is None or kept == size:
            return self, size
        parts = zip(self, expert, strict=True)
        return Transition(*(torch.cat([own[:, :kept], e[:, : size - kept]], 1) for own, e in parts)), kept

    def pack(self) -> Tensor:
        """One tensor `[..., D]`, D = 2O + A + 2: a buffer then gathers one tensor, not five."""
        columns = (self.observation, self.next_observation, self.action)
        return torch.cat([*columns, self.reward.unsqueeze(-1), self.terminated.unsqueeze(-1)], dim=-1)

    @classmethod
    def unpack(cls, packed: Tensor, observation_size: int) -> Transition:
        """Views into a packed tensor `[..., 2O + A + 2]`; nothing is copied. A is 0 where actions were not recorded."""
        action_size = packed.shape[-1] - 2 * observation_size - 2
        observation, next_observation, action, reward, terminated = packed.split(
            [observation_size, observation_size, action_size, 1, 1], dim=-1
        )
        return cls(observation, action, reward.squeeze(-1), next_observation, terminated.squeeze(-1))

    def __repr__(self) -> str:
        return f"Transition(observation={tuple(self.observation.shape)}, action={tuple(self.action.shape)})"
