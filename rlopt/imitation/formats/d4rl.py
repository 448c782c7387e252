"""HDF5 files after D4RL: `observations`, `actions`, `rewards`, `terminals`, perhaps `timeouts`, `next_observations`.

Fu et al., "D4RL: Datasets for Deep Data-Driven Reinforcement Learning", 2020. Rows are transitions of episodes in order,
actions in the environment's units. `terminals` are final states of the task, `timeouts` the time limit; where `timeouts`
are missing, an episode ends after the environment's time limit. Without `next_observations` the last step of an episode has
none: it is dropped and counted.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rlopt.imitation.demonstrations import Demonstrations
from rlopt.imitation.episodes import from_episodes
from rlopt.imitation.formats.common import hdf5_keys, library, needed_env
from rlopt.imitation.formats.rows import at_time_limit, split_rows, without_padding


def recognizes(source: Any) -> bool:
    """Whether it is an HDF5 file with D4RL's names."""
    return {"observations", "actions", "terminals"} <= hdf5_keys(source)


def read(source: Any, env: Any = None) -> Demonstrations:
    """Read it. Raises UserError without an environment, or where the data cannot be right."""
    spec = needed_env(env, source)
    wanted = ("observations", "actions", "rewards", "terminals", "timeouts", "next_observations")
    with library("h5py").File(source, "r") as file:
        arrays = {key: np.asarray(file[key]) for key in wanted if key in file}
    arrays = without_padding(arrays)
    terminated = arrays["terminals"].astype(bool).reshape(-1)
    truncated = (
        arrays["timeouts"] if "timeouts" in arrays else at_time_limit(terminated, spec.max_episode_steps) & ~terminated
    )
    episodes = split_rows(
        arrays["observations"],
        arrays["actions"],
        arrays.get("next_observations"),
        terminated,
        truncated,
        arrays.get("rewards"),
    )
    return from_episodes(episodes, spec)
