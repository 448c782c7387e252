"""HDF5 files of d3rlpy's `ReplayBuffer.dump`: of every episode `observations_0`, `actions_0`, `rewards_0`, `terminated_0`.

Seno and Imai, "d3rlpy: An Offline Deep Reinforcement Learning Library", JMLR 2022. Actions are in the environment's units. The
observation after an episode's last step is not kept: that step is dropped and counted.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rlopt.imitation.demonstrations import Demonstrations
from rlopt.imitation.episodes import from_episodes
from rlopt.imitation.formats.common import Episode, hdf5_keys, library, needed_env

PARTS = ("observations", "actions", "rewards", "terminated")


def recognizes(source: Any) -> bool:
    """Whether it is an HDF5 file with d3rlpy's names."""
    return {"num_episodes", *(f"{part}_0" for part in PARTS)} <= hdf5_keys(source)


def read(source: Any, env: Any = None) -> Demonstrations:
    """Read it. Raises UserError without an environment, or where the data cannot be right."""
    spec = needed_env(env, source)
    with library("h5py").File(source, "r") as file:
        episodes: list[Episode] = [
            {part: np.asarray(file[f"{part}_{number}"]) for part in PARTS}
            for number in range(int(file["num_episodes"][()]))
        ]
    last = episodes[-1]
    for episode in episodes:  # a buffer is dumped with the episode that is still being recorded
        episode["cut"] = episode is last and not last["terminated"] and len(last["actions"]) < spec.max_episode_steps
    return from_episodes(episodes, spec)
