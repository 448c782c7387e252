"""From gymnasium to TorchRL: one environment holding the copies of all seeds.

Inside the library actions lie in [-1, 1] and everything is float32; both change here, at the edge.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from tensordict import TensorDict, TensorDictBase
from torch import Tensor
from torchrl.data import Bounded, Composite, Unbounded
from torchrl.data.tensor_specs import Binary
from torchrl.envs import EnvBase

from rlopt import variants as _variants  # noqa: F401  (registers them)
from rlopt.errors import UserError


@dataclass(frozen=True)
class EnvSpec:
    """What the library needs to know of an environment."""

    env_id: str
    observation_size: int
    action_size: int
    action_low: np.ndarray
    """`[A]`, in the environment's units."""
    action_high: np.ndarray
    """`[A]`, in the environment's units."""

    def to_env_units(self, action: np.ndarray) -> np.ndarray:
        """Actions `[..., A]` from [-1, 1] to the environment's bounds."""
        return self.action_low + 0.5 * (action + 1) * (self.action_high - self.action_low)


@contextmanager
def _quiet_mujoco(env_id: str) -> Iterator[None]:
    """Send what MuJoCo's compiler says of gymnasium's model files to the log; a user cannot change those files."""
    entry_point = gym.spec(env_id).entry_point
    if isinstance(entry_point, str) and "mujoco" not in entry_point:
        yield
        return
    import mujoco

    previous = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(logging.getLogger("rlopt.mujoco").info)
    try:
        yield
    finally:
        mujoco.set_mju_user_warning(previous)


def make_env(env_id: str) -> gym.Env:
    """One gymnasium environment. Raises UserError, with gymnasium's suggestion, where the id is unknown."""
    try:
        with _quiet_mujoco(env_id), warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of old versions, which a user asked for by name
            return gym.make(env_id, disable_env_checker=True)
    except gym.error.DependencyNotInstalled as error:
        raise UserError(f"Environment {env_id} needs a package that is not installed: {error}") from error
    except (gym.error.Error, ImportError) as error:  # ImportError: versions that gymnasium has retired
        reason = " ".join(str(error).split()).rstrip(".")
        raise UserError(f"Environment {env_id!r} cannot be made: {reason}" + "." * (reason[-1:] != "?")) from error


@cache
def env_spec(env_id: str) -> EnvSpec:
    """Look an environment up. Raises UserError if rlopt cannot train on it."""
    env = make_env(env_id)
    observation, action = env.observation_space, env.action_space
    env.close()
    if not isinstance(action, gym.spaces.Box):
        kind = type(action).__name__
        raise UserError(
            f"{env_id} has a {kind} action space; rlopt needs a continuous one (Box): choose another --env."
        )
    if not isinstance(observation, gym.spaces.Box) or len(observation.shape) != 1:
        raise UserError(f"{env_id} observes {observation}; rlopt needs a flat vector (a one-dimensional Box).")
    if len(action.shape) != 1 or not np.isfinite(action.low).all() or not np.isfinite(action.high).all():
        raise UserError(
            f"{env_id} has the action space {action}; rlopt needs a one-dimensional Box with finite bounds."
        )
    low, high = action.low.astype(np.float32), action.high.astype(np.float32)
    return EnvSpec(env_id, observation.shape[0], action.shape[0], low, high)


def env_seeds(seeds: Sequence[int], num_envs: int) -> list[int]:
    """A reset seed for each of `num_envs` copies of every seed, seed-major; a seed gets the same ones in any company."""
    return [int(n) for seed in seeds for n in np.random.SeedSequence(seed).generate_state(num_envs)]


class _VectorEnv(SyncVectorEnv):
    """Steps its copies in turn, and drops their info dicts, whose merging costs more than a light environment's step."""

    def _add_info(self, vector_infos: dict, env_info: dict, env_num: int) -> dict:
        return vector_infos


class TorchEnv(EnvBase):
    """N = S*E copies of a gymnasium environment as one TorchRL environment of batch `[N]`, seed-major.

    Keys of a step: `observation [N, O]`, `action [N, A]` in [-1, 1]; under `next`: `observation`, `reward [N, 1]`,
    `terminated`, `truncated`, `done [N, 1]`, and `episode_return`, `episode_length [N, 1]` of the running episode.
    A copy whose episode ends is reset at once; `("next", "observation")` stays the episode's true last one.

    Args:
        env_id: a gymnasium id.
        reset_seeds: N seeds, one a copy, of the first reset.
    """

    def __init__(self, env_id: str, reset_seeds: Sequence[int]):
        self.env_info = env_spec(env_id)
        num_copies = len(reset_seeds)
        super().__init__(device=torch.device("cpu"), batch_size=[num_copies])
        self.reset_seeds: list[int | None] | None = list(reset_seeds)
        makers = [lambda: make_env(env_id)] * num_copies
        # autoreset modes of gymnasium would show the reset observation in place of the last one, or add a dead step
        self.vector_env = _VectorEnv(makers, copy=False, autoreset_mode=AutoresetMode.DISABLED)
        self.episode_return = np.zeros((num_copies, 1), np.float32)
        self.episode_length = np.zeros((num_copies, 1), np.int64)

        def flag() -> Binary:
            return Binary(1, shape=(num_copies, 1), dtype=torch.bool)

        observation_size, action_size = self.env_info.observation_size, self.env_info.action_size
        self.observation_spec = Composite(
            observation=Unbounded(shape=(num_copies, observation_size)),
            episode_return=Unbounded(shape=(num_copies, 1)),
            episode_length=Unbounded(shape=(num_copies, 1), dtype=torch.int64),
            shape=(num_copies,),
        )
        self.action_spec = Bounded(-1.0, 1.0, shape=(num_copies, action_size))
        self.reward_spec = Unbounded(shape=(num_copies, 1))
        self.done_spec = Composite(done=flag(), terminated=flag(), truncated=flag(), shape=(num_copies,))

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
            self.reset_seeds = None  # later episodes go on from each copy's own random state
            self.episode_return[:], self.episode_length[:] = 0, 0
            return self._state(observation)
        return self._state(self._reset_copies(mask.numpy().reshape(-1)))

    def _reset_copies(self, mask: np.ndarray) -> np.ndarray:
        observation, _ = self.vector_env.reset(options={"reset_mask": mask})
        self.episode_return[mask], self.episode_length[mask] = 0, 0
        return observation

    def _step(self, tensordict: TensorDictBase) -> TensorDict:
        action = self.env_info.to_env_units(tensordict.get("action").numpy())
        observation, reward, terminated, truncated, _ = self.vector_env.step(action)
        step_reward = reward.astype(np.float32)[:, None]
        self.episode_return += step_reward
        self.episode_length += 1
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

    def step_and_maybe_reset(self, tensordict: TensorDictBase) -> tuple[TensorDictBase, TensorDictBase]:
        """As EnvBase's, without its bookkeeping for nested and partial steps, which costs ten times this step."""
        following = self._step(tensordict)
        tensordict.set("next", following)
        done = following.get("done").squeeze(-1).numpy()
        if done.any():
            return tensordict, self._state(self._reset_copies(done))
        keys = ("observation", "episode_return", "episode_length", "done", "terminated", "truncated")
        return tensordict, following.select(*keys)

    def close(self, *, raise_if_closed: bool = True) -> None:
        """Close the copies."""
        if not self.is_closed:
            self.vector_env.close()
        super().close(raise_if_closed=raise_if_closed)


def as_seeds(data: Tensor, num_seeds: int) -> Tensor:
    """View an environment batch `[S*E, ...]` as `[S, E, ...]`."""
    return data.view(num_seeds, -1, *data.shape[1:])
