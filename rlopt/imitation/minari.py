"""Demonstrations to Minari datasets; `formats.minari` reads them. Minari is an extra: `pip install 'rlopt[minari]'`."""

from __future__ import annotations

import json
import re
import warnings
from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from rlopt.envs.spec import base_id
from rlopt.envs.variants import register_variants
from rlopt.errors import UserError
from rlopt.imitation.demonstrations import Demonstrations
from rlopt.imitation.formats.common import library
from rlopt.imitation.formats.minari import PREFIX, from_minari
from rlopt.imitation.formats.minari import read as read_minari
from rlopt.imitation.formats.minari_spec import ENVIRONMENT

__all__ = ["PREFIX", "from_minari", "read_minari", "to_minari"]


def to_minari(demonstrations: Demonstrations, dataset_id: str) -> Any:
    """Write a Minari dataset, actions in the environment's units, and return it; `from_minari` is the inverse.

    Args:
        demonstrations: whole episodes.
        dataset_id: for example `"pendulum/expert-v0"`.

    Raises:
        UserError: no Minari, an id that is malformed or taken, episodes with gaps (after `subsample`), or no actions.
    """
    minari = library("minari", "minari")
    from minari.data_collector.episode_buffer import EpisodeBuffer

    if not re.fullmatch(r"[-\w/]+-v\d+", dataset_id):
        raise UserError(f"The Minari id '{dataset_id}' must end in a version, for example pendulum/expert-v0.")
    if not demonstrations.action_size:
        raise UserError("Minari stores actions, and these demonstrations have none.")
    d, lengths = demonstrations, demonstrations.episode_lengths.tolist()
    action = (d.action_low + (d.action + 1) / 2 * (d.action_high - d.action_low)).clamp(d.action_low, d.action_high)
    episodes = []
    for episode in zip(*(value.split(lengths) for value in (d.transitions | {"action": action}).values()), strict=True):
        observation, action, next_observation, *signals = episode
        if d.subsampled or not torch.equal(observation[1:], next_observation[:-1]):
            raise UserError("Minari stores whole episodes and these have gaps: write them before subsample().")
        observations = torch.cat([observation, next_observation[-1:]])
        reward, terminated, truncated = (signal.numpy() for signal in signals)
        episodes.append(
            EpisodeBuffer(
                observations=observations.numpy(),
                actions=action.numpy(),
                rewards=reward,
                terminations=terminated,
                truncations=truncated,
            )
        )
    register_variants()
    known = gym.registry.get(base_id(d.env_id))
    spec = None
    if known is not None:
        limit = d.max_episode_steps or known.max_episode_steps
        spec = replace(known, kwargs={**known.kwargs, **d.env_kwargs}, max_episode_steps=limit)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Minari asks for an author, a permalink, an evaluation env
        try:
            dataset = minari.create_dataset_from_buffers(
                dataset_id,
                episodes,
                env=spec,
                observation_space=gym.spaces.Box(-np.inf, np.inf, (d.observation_size,)),
                action_space=gym.spaces.Box(d.action_low.numpy(), d.action_high.numpy()),
            )
        except ValueError as error:
            raise UserError(f"Minari refuses the dataset: {error}") from error
    scores = {"ref_max_score": d.expert_return, "ref_min_score": d.random_return}
    known_scores = {key: float(value) for key, value in scores.items() if value is not None}
    environment = json.dumps([dict(d.env_kwargs), d.max_episode_steps])
    dataset.storage.update_metadata(known_scores | {"env_id": d.env_id, ENVIRONMENT: environment})
    return dataset
