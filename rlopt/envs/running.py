"""The episodes that environments are in the middle of, kept so that a resumed run goes on in the same ones.

gymnasium cannot store an environment. But an episode is decided by the seed of its reset and by its actions: taken again,
they bring another copy to the same state.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tensordict import TensorDictBase
from torch import Tensor

from rlopt.states import check_tensor


@dataclass(frozen=True)
class Running:
    """Where N environments are, `L` the steps of the longest of their episodes so far."""

    episodes: Tensor
    """`[N]` int64, episodes that each has ended."""
    lengths: Tensor
    """`[N]` int64, steps of the one that it is in."""
    actions: Tensor
    """`[N, L, A]` float32; the last `lengths[n]` are of that episode."""
    observation: Tensor
    """`[N, O]` float32, what the last step showed; checked when they are taken again."""

    def steps_of(self, number: int) -> np.ndarray:
        """The actions `[lengths[number], A]` of an environment's episode."""
        length = int(self.lengths[number])
        return self.actions[number, self.actions.shape[1] - length :].numpy()


class RunningEpisodes:
    """Keeps what `Running` needs, from the batches that are collected."""

    def __init__(self, num_envs: int):
        self.steps = 0
        self.episodes = torch.zeros(num_envs, dtype=torch.int64)
        self.begun = torch.zeros(num_envs, dtype=torch.int64)
        """The step at which each running episode began."""
        self.actions: list[Tensor] = []
        """Batches `[N, T, A]`, those that end with the latest step."""
        self.observation: Tensor | None = None

    def extend(self, rollout: TensorDictBase) -> None:
        """Take a collector batch `[N, T]`."""
        action, done = rollout.get("action"), rollout.get(("next", "done")).squeeze(-1)
        length = done.shape[1]
        if done.any():
            self.episodes += done.sum(1)
            last = length - 1 - done.flip(1).int().argmax(1)  # of those with an end
            self.begun = torch.where(done.any(1), self.steps + last + 1, self.begun)
        self.steps += length
        self.actions.append(action)
        self.observation = rollout.get(("next", "observation"))[:, -1]
        oldest, kept = int(self.begun.min()), sum(batch.shape[1] for batch in self.actions)
        while kept - self.actions[0].shape[1] >= self.steps - oldest and len(self.actions) > 1:
            kept -= self.actions.pop(0).shape[1]

    def state(self) -> Running | None:
        """Where the environments are now; None before the first batch."""
        if self.observation is None:
            return None
        lengths = self.steps - self.begun
        actions = torch.cat(self.actions, dim=1)
        actions = actions[:, actions.shape[1] - int(lengths.max()) :]
        return Running(self.episodes.clone(), lengths, actions.clone(), self.observation.clone())

    def state_dict(self) -> dict[str, Any]:
        """Tensors; empty before the first batch."""
        state = self.state()
        return {} if state is None else dict(vars(state))

    def load_state_dict(
        self, state: dict[str, Any], observation_size: int | None = None, action_size: int | None = None
    ) -> None:
        """Take over what `state_dict` returned. Raises ValueError if it is of other environments, as far as sizes are given."""
        if state == {}:
            return
        running, count = Running(**state), len(self.episodes)
        check_tensor(running.episodes, "numbers of episodes", (count,), torch.int64)
        check_tensor(running.lengths, "lengths of episodes", (count,), torch.int64)
        check_tensor(running.actions, "actions of episodes", (count, None, action_size))
        check_tensor(running.observation, "observations", (count, observation_size))
        if running.lengths.min() < 0 or running.lengths.max() > running.actions.shape[1] or running.episodes.min() < 0:
            raise ValueError("lengths of episodes do not fit their actions")
        self.steps = running.actions.shape[1]
        self.episodes, self.begun = running.episodes.clone(), self.steps - running.lengths
        self.actions, self.observation = [running.actions], running.observation
