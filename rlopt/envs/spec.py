"""What the library needs to know of an environment, and how one is made. Loads gymnasium, but no torch."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from rlopt.envs.variants import register_variants
from rlopt.errors import UserError

if TYPE_CHECKING:
    import gymnasium as gym


@dataclass(frozen=True, eq=False)
class EnvSpec:
    """An environment, looked up once; every function that takes an environment takes this or an id."""

    env_id: str
    observation_size: int
    action_size: int
    action_low: np.ndarray
    """`[A]`, in the environment's units."""
    action_high: np.ndarray
    """`[A]`, in the environment's units."""
    max_episode_steps: int | None = None
    """The time limit; None: there is none."""

    @property
    def sizes(self) -> tuple[int, int]:
        """O and A."""
        return self.observation_size, self.action_size

    def to_env_units(self, action: np.ndarray) -> np.ndarray:
        """Actions `[..., A]` from [-1, 1] to the environment's bounds."""
        return self.action_low + 0.5 * (action + 1) * (self.action_high - self.action_low)

    def make(self) -> gym.Env:
        """One such environment."""
        return make_env(self.env_id)


@contextmanager
def _quiet_mujoco(env_id: str) -> Iterator[None]:
    """Send what MuJoCo's compiler says of gymnasium's model files to the log; a user cannot change those files."""
    import gymnasium as gym

    entry_point = gym.spec(env_id).entry_point
    if isinstance(entry_point, str) and not entry_point.startswith("rlopt.") and "mujoco" not in entry_point:
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
    import gymnasium as gym

    register_variants()
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
    from gymnasium.spaces import Box

    env = make_env(env_id)
    observation, action = env.observation_space, env.action_space
    limit = env.spec.max_episode_steps if env.spec is not None else None
    env.close()
    if not isinstance(action, Box):
        kind = type(action).__name__
        raise UserError(
            f"{env_id} has a {kind} action space; rlopt needs a continuous one (Box): choose another --env."
        )
    if not isinstance(observation, Box) or len(observation.shape) != 1:
        raise UserError(f"{env_id} observes {observation}; rlopt needs a flat vector (a one-dimensional Box).")
    if len(action.shape) != 1 or not np.isfinite(action.low).all() or not np.isfinite(action.high).all():
        raise UserError(
            f"{env_id} has the action space {action}; rlopt needs a one-dimensional Box with finite bounds."
        )
    low, high = action.low.astype(np.float32), action.high.astype(np.float32)
    return EnvSpec(env_id, observation.shape[0], action.shape[0], low, high, limit)


def as_spec(env: str | EnvSpec) -> EnvSpec:
    """The environment of an id, or the one given."""
    return env_spec(env) if isinstance(env, str) else env


def env_seeds(seeds: Sequence[int], num_envs: int) -> list[int]:
    """A reset seed for each of `num_envs` environments of every seed, seed-major; the same whatever the other seeds are."""
    return [int(n) for seed in seeds for n in np.random.SeedSequence(seed).generate_state(num_envs)]
