"""Observations as an environment gives them, as the vectors that rlopt learns from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Dict, Tuple
from gymnasium.wrappers import FlattenObservation

from rlopt.envs.spec import EnvSpec
from rlopt.errors import UserError


def observation_space(spec: EnvSpec) -> gym.Space:
    """The space of an environment's own observations, before they are flattened. Raises UserError if it cannot be made."""
    with closing(spec.make()) as env:
        return env.env.observation_space if isinstance(env, FlattenObservation) else env.observation_space


def flatten_observations(space: gym.Space, observation: Any, name: str = "observation") -> np.ndarray:
    """One observation of a space, or any batch of them, as float32 `[..., O]`, in the order of gymnasium's `flatten`.

    A batch of a Dict is a dict of batches, as vector environments give it. Raises UserError for what is not of the space.
    """
    if isinstance(space, Box):
        values = as_numbers(observation, name)
        own = len(space.shape)
        batch = values.shape[: values.ndim - own]
        if values.shape[values.ndim - own :] != space.shape:
            raise UserError(f"{name} has the shape {list(values.shape)}, and must end in {list(space.shape)}.")
        return values.reshape(*batch, math.prod(space.shape))
    if isinstance(space, Dict):
        missing = [key for key in space if not isinstance(observation, Mapping) or key not in observation]
        if missing:
            raise UserError(f"{name} must be a dict with {', '.join(map(str, space))}; {missing[0]} is missing.")
        parts = [flatten_observations(part, observation[key], f"{name}[{key!r}]") for key, part in space.items()]
    elif isinstance(space, Tuple):
        if not isinstance(observation, tuple | list) or len(observation) != len(space):
            raise UserError(f"{name} must be a tuple of {len(space)}.")
        pairs = zip(space, observation, strict=True)
        parts = [flatten_observations(part, value, f"{name}[{index}]") for index, (part, value) in enumerate(pairs)]
    else:
        raise UserError(f"{name} is of the space {space}, which rlopt does not flatten.")
    if len({part.shape[:-1] for part in parts}) > 1:
        raise UserError(f"The parts of {name} are batches of different sizes.")
    return np.concatenate(parts, axis=-1)


def as_numbers(observation: Any, name: str = "observation") -> np.ndarray:
    """A float32 array. Raises UserError for what is none."""
    try:
        return np.asarray(observation, np.float32)
    except (TypeError, ValueError) as error:
        raise UserError(f"{name} is a {type(observation).__name__}, not an array of numbers.") from error
