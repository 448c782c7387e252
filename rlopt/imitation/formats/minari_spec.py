"""The environment that a Minari dataset describes, which need not be installed here."""

from __future__ import annotations

import json
from typing import Any

import gymnasium as gym
import numpy as np

from rlopt.envs.spec import EnvSpec, as_spec, base_id
from rlopt.envs.variants import register_variants
from rlopt.errors import UserError, warn

HARMLESS = {"FlattenObservation", "RecordEpisodeStatistics", "RecordVideo", "TimeLimit", "OrderEnforcing"}
"""Wrappers that change nothing that is recorded, or what the file says anyway."""
ENVIRONMENT = "rlopt_environment"
"""Where `to_minari` keeps arguments and time limit of an environment that gymnasium does not know: JSON, a pair."""


def minari_spec(dataset: Any, env: Any) -> EnvSpec:
    """The environment as the dataset describes it, which need not be installed here."""
    register_variants()
    space = dataset.action_space
    if not isinstance(space, gym.spaces.Box) or not space.is_bounded():
        raise UserError(f"{dataset.id} has the action space {space}: rlopt needs a Box with finite bounds.")
    recorded, given = dataset.env_spec, None if env is None else as_spec(env)
    env_id = dataset.storage.metadata.get("env_id") or (recorded.id if recorded else None)
    changed = sorted({wrapper.name for wrapper in recorded.additional_wrappers} - HARMLESS) if recorded else []
    if changed:
        message = f"{dataset.id} was recorded with the wrappers {', '.join(changed)}, which rlopt does not add"
        if given is None:
            raise UserError(f"{message}: register an environment with them, and name it with --env.")
        warn(f"{message}: make sure that {given.env_id} has them.")
    if given is not None and (env_id is None or base_id(env_id) == base_id(given.env_id) or changed):
        env_id = given.env_id
    if env_id is None:
        warn(f"{dataset.id} does not name its environment, nor its arguments and wrappers: say it with --env.")
    known = gym.registry.get(base_id(env_id or ""))
    usual = known.kwargs if known else {}
    kwargs, limit = {}, None
    if recorded:
        kwargs, limit = dict(recorded.kwargs), recorded.max_episode_steps
    elif ENVIRONMENT in dataset.storage.metadata:
        kwargs, limit = json.loads(dataset.storage.metadata[ENVIRONMENT])
    elif given is not None:
        kwargs, limit = dict(given.kwargs), given.max_episode_steps
    changes = {key: value for key, value in kwargs.items() if key not in usual or usual[key] != value}
    kwargs = {key: value for key, value in changes.items() if key != "render_mode"}
    if kwargs != (dict(given.kwargs) if given is not None and given.env_id == env_id else {}):
        warn(
            f"{dataset.id} was recorded in {env_id} with the arguments {kwargs or '(none)'}: they come along as env_kwargs."
        )
    low, high = (bound.astype(np.float32).reshape(-1) for bound in (space.low, space.high))
    observation_size = gym.spaces.flatdim(dataset.observation_space)
    return EnvSpec(env_id or dataset.id, observation_size, len(low), low, high, limit or 0, kwargs=kwargs)
