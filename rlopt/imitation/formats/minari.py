"""Minari datasets; `rlopt.imitation.minari` writes them. Minari is an extra: `pip install 'rlopt[minari]'`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np

from rlopt.envs.spec import base_id
from rlopt.errors import UserError, warn
from rlopt.imitation.demonstrations import Demonstrations
from rlopt.imitation.episodes import from_episodes
from rlopt.imitation.formats.common import join_space, library
from rlopt.imitation.formats.minari_spec import minari_spec

PREFIX = "minari:"
"""Of the name of a dataset in place of a path: `minari:ID`."""


def recognizes(source: Any) -> bool:
    """Whether it is `minari:ID` or a Minari dataset."""
    return source.startswith(PREFIX) if isinstance(source, str) else hasattr(source, "iterate_episodes")


def read(source: Any, env: Any = None) -> Demonstrations:
    """The demonstrations of `minari:ID`, or of a dataset."""
    return from_minari(source.removeprefix(PREFIX) if isinstance(source, str) else source, env=env)


def from_minari(dataset: Any, *, random_return: float | None = None, env: Any = None) -> Demonstrations:
    """Demonstrations from a Minari dataset, with the arguments and the time limit of its environment.

    The returns are the dataset's reference scores; without one, the mean of its whole episodes, and None.

    Args:
        dataset: a `minari.MinariDataset`, or the id of one on this machine.
        random_return: mean return of uniformly random actions, in place of the reference score.
        env: the environment, for a dataset that does not name it, or where its module has to be said (`module:Id-v0`).

    Raises:
        UserError: no such dataset, lost steps, a space that is no vector, wrappers that cannot be added again.
    """
    if isinstance(dataset, str):
        try:
            dataset = library("minari", "minari").load_dataset(dataset)
        except FileNotFoundError as error:
            raise UserError(f"Minari dataset {dataset} is not here: minari download {dataset}.") from error
    episodes = list(dataset.iterate_episodes())
    if not episodes:
        raise UserError(f"{dataset.id} has no episodes: choose another dataset.")
    if (found := sum(map(len, episodes))) != dataset.total_steps:
        raise UserError(
            f"{dataset.id} has {dataset.total_steps} steps, but Minari reads {found}: its arrow and parquet storages (seen in "
            "0.5.4) split an episode of more than 32,767 steps. Record it with data_format='hdf5'."
        )
    scores, spec = dataset.storage.metadata, minari_spec(dataset, env)
    limit = spec.max_episode_steps
    whole = [item for item in episodes if item.terminations[-1] or len(item) >= limit]
    if len(whole) < len(episodes):
        warn(
            f"{dataset.id}: {len(episodes) - len(whole)} of {len(episodes)} episodes stop before a final state and before the "
            f"time limit of {limit} steps: they count as cut off, and not in the expert's return."
        )
    expert_return = scores.get("ref_max_score")
    if expert_return is None and whole:
        expert_return = float(np.mean([item.rewards.sum(dtype=np.float64) for item in whole]))
    data = from_episodes(
        [
            {
                "observations": join_space(dataset.observation_space, item.observations, dataset.id),
                "actions": item.actions,
                "rewards": item.rewards,
                "terminations": item.terminations,
                "truncations": item.truncations,
            }
            for item in episodes
        ],
        spec,
        expert_return=expert_return,
        random_return=scores.get("ref_min_score") if random_return is None else random_return,
    )
    own = getattr(gym.registry.get(base_id(data.env_id)), "max_episode_steps", None)
    return replace(data, max_episode_steps=None if limit in (own, 0) else limit)
