"""From gymnasium to TorchRL: one environment that holds those of all seeds.

Inside the library actions lie in [-1, 1] and everything is float32; both change here, at the edge.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from tensordict import TensorDict, TensorDictBase
from torch import Tensor
from torchrl.data import Bounded, Composite, Unbounded
from torchrl.data.tensor_specs import Binary
from torchrl.envs import EnvBase

from rlopt.envs.spec import EnvSpec, as_spec, env_seeds
from rlopt.errors import UserError


class _VectorEnv(SyncVectorEnv):
    """Steps its environments in turn, without their info dicts: merging them costs more than a light environment's step."""

    def _add_info(self, vector_infos: dict, env_info: dict, env_num: int) -> dict:
        return vector_infos


class TorchEnv(EnvBase):
    """N = S*E gymnasium environments as one TorchRL environment of batch `[N]`, seed-major.

    Keys of a step: `observation [N, O]`, `action [N, A]` in [-1, 1]; under `next`: `observation`, `reward [N, 1]`,
    `terminated`, `truncated`, `done [N, 1]`, and `episode_return`, `episode_length [N, 1]` of the running episode.
    One whose episode ends is reset at once; `("next", "observation")` stays the episode's true last one.

    Args:
        env: an id or a spec.
        reset_seeds: N seeds of the first reset.
    """

    def __init__(self, env: str | EnvSpec, reset_seeds: Sequence[int]):
        self.env_info = as_spec(env)
        num_envs = len(reset_seeds)
        super().__init__(device=torch.device("cpu"), batch_size=[num_envs])
        self.reset_seeds: list[int | None] | None = list(reset_seeds)
        makers = [self.env_info.make] * num_envs
        # autoreset modes of gymnasium would show the reset observation in place of the last one, or add a dead step
        self.vector_env = _VectorEnv(makers, copy=False, autoreset_mode=AutoresetMode.DISABLED)
        self.is_closed = False  # a new EnvBase is True, and would not close them
        self.episode_return = np.zeros((num_envs, 1), np.float32)
        self.episode_length = np.zeros((num_envs, 1), np.int64)

        def flag() -> Binary:
            return Binary(1, shape=(num_envs, 1), dtype=torch.bool)

        observation_size, action_size = self.env_info.observation_size, self.env_info.action_size
        self.observation_spec = Composite(
            observation=Unbounded(shape=(num_envs, observation_size)),
            episode_return=Unbounded(shape=(num_envs, 1)),
            episode_length=Unbounded(shape=(num_envs, 1), dtype=torch.int64),
            shape=(num_envs,),
        )
        self.action_spec = Bounded(-1.0, 1.0, shape=(num_envs, action_size))
        self.reward_spec = Unbounded(shape=(num_envs, 1))
        self.done_spec = Composite(done=flag(), terminated=flag(), truncated=flag(), shape=(num_envs,))

    def _set_seed(self, seed: int | None) -> None:
        self.reset_seeds = None if seed is None else [*env_seeds([seed], self.batch_size.numel())]

    def _state(self, observation: np.ndarray) -> TensorDict:
        """What a step starts from; `observation` is copied, because gymnasium reuses its array."""
        flags = torch.zeros(*self.batch_size, 1, dtype=torch.bool)
        return TensorDict(
            {
                "observation": torch.from_numpy(observation.astype(np.float32)),
                "episode_return": torch.from_numpy(self.episode_return.copy()),
                "episode_length": torch.from_numpy(self.episode_length.copy()),
                "done": flags,
                "terminated": flags.clone(),
                "truncated": flags.clone(),
            },
            batch_size=self.batch_size,
        )

    def _reset(self, tensordict: TensorDictBase | None = None, **kwargs: Any) -> TensorDict:
        mask = None if tensordict is None else tensordict.get("_reset", None)
        if mask is None:
            observation, _ = self.vector_env.reset(seed=self.reset_seeds)
            self.reset_seeds = None  # later episodes go on from each environment's own random state
            self.episode_return[:], self.episode_length[:] = 0, 0
            return self._state(observation)
        return self._state(self._reset_some(mask.numpy().reshape(-1)))

    def _reset_some(self, mask: np.ndarray) -> np.ndarray:
        observation, _ = self.vector_env.reset(options={"reset_mask": mask})
        self.episode_return[mask], self.episode_length[mask] = 0, 0
        return observation

    def _step(self, tensordict: TensorDictBase) -> TensorDict:
        action = self.env_info.to_env_units(tensordict.get("action").numpy())
        observation, reward, terminated, truncated, _ = self.vector_env.step(action)
        step_reward = reward.astype(np.float32)[:, None]
        self.episode_return += step_reward
        self.episode_length += 1
        if not (np.isfinite(observation).all() and np.isfinite(reward).all()):
            self._complain(observation, reward)
        return TensorDict(
            {
                "observation": torch.from_numpy(observation.astype(np.float32)),
                "episode_return": torch.from_numpy(self.episode_return.copy()),
                "episode_length": torch.from_numpy(self.episode_length.copy()),
                "reward": torch.from_numpy(step_reward),
                "done": torch.from_numpy((terminated | truncated)[:, None]),
                "terminated": torch.from_numpy(terminated[:, None]),
                "truncated": torch.from_numpy(truncated[:, None]),
            },
            batch_size=self.batch_size,
        )

    def _complain(self, observation: np.ndarray, reward: np.ndarray) -> None:
        """Raise UserError with the first environment and step that gave NaN or infinity."""
        for what, values in (("observation", observation), ("reward", reward[:, None])):
            for index in np.flatnonzero(~np.isfinite(values).all(axis=1))[:1]:
                raise UserError(
                    f"{self.env_info.env_id} gave NaN or infinity as its {what}, in environment number {index} at step "
                    f"{int(self.episode_length[index, 0])} of an episode: the environment has to be mended."
                )

    def step_and_maybe_reset(self, tensordict: TensorDictBase) -> tuple[TensorDictBase, TensorDictBase]:
        """As EnvBase's, without its bookkeeping for nested and partial steps, which costs ten times this step."""
        following = self._step(tensordict)
        tensordict.set("next", following)
        done = following.get("done").squeeze(-1).numpy()
        if done.any():
            return tensordict, self._state(self._reset_some(done))
        keys = ("observation", "episode_return", "episode_length", "done", "terminated", "truncated")
        return tensordict, following.select(*keys)

    def close(self, *, raise_if_closed: bool = True) -> None:
        """Close the environments."""
        if not self.is_closed:
            self.vector_env.close()
        super().close(raise_if_closed=raise_if_closed)


def as_seeds(data: Tensor, num_seeds: int) -> Tensor:
    """View an environment batch `[S*E, ...]` as `[S, E, ...]`."""
    return data.view(num_seeds, -1, *data.shape[1:])
