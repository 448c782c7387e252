"""HDF5 files of tianshou's `ReplayBuffer.save_hdf5` and `VectorReplayBuffer.save_hdf5`.

Weng et al., "Tianshou: A Highly Modularized Deep Reinforcement Learning Library", JMLR 2022. Rows lie under `_meta`: `obs`,
`act`, `rew`, `terminated`, `truncated`, and `obs_next`, unless it was ignored: then the last step of an episode is dropped
and counted. A vector's buffer has one ring for each environment, whose newest row is `last_index`. tianshou's collectors keep
the policy's output in `act`: the environment got it clipped to [-1, 1], which stands for its bounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rlopt.errors import UserError, warn
from rlopt.imitation.demonstrations import Demonstrations
from rlopt.imitation.episodes import from_episodes
from rlopt.imitation.formats.common import dict_names, hdf5_keys, join, library, needed_env
from rlopt.imitation.formats.rows import lost_its_start, split_rows


def recognizes(source: Any) -> bool:
    """Whether it is an HDF5 file with tianshou's names."""
    return {"_meta", "last_index", "options"} <= hdf5_keys(source)


def read(source: Any, env: Any = None) -> Demonstrations:
    """Read it. Raises UserError without an environment, or where the data cannot be right."""
    spec = needed_env(env, source)
    with library("h5py").File(source, "r") as file:
        places, newest = int(file.attrs["maxsize"]), np.asarray(file["last_index"])
        offsets = np.asarray(file["_offset"]) if "_offset" in file else np.zeros(1, int)
        sizes = np.asarray(file["_lengths"]) if "_lengths" in file else np.array([file.attrs["_size"]])
        if not sizes.any():
            raise UserError(f"{source} holds no step.")
        stored = file["_meta"]
        rows = {name: np.asarray(stored[name]) for name in ("act", "terminated", "truncated", "rew")}
        names = dict_names(spec) if isinstance(stored["obs"], Mapping) else None
        rows |= {name: _observations(stored[name], names) for name in ("obs", "obs_next") if name in stored}
    if np.abs(rows["act"]).max() > 1 or spec.action_low.min() < -1 or spec.action_high.max() > 1:
        warn("Actions are read as tianshou's collectors keep them: clipped to [-1, 1], which stands for the bounds.")
    episodes = []
    for start, room, size, last in zip(offsets, np.diff(offsets, append=places), sizes, newest, strict=True):
        if not size:
            continue
        order = start + (last - start + 1 + np.arange(-size, 0)) % room
        own = {name: value[order] for name, value in rows.items()}
        found = split_rows(
            own["obs"],
            np.clip(own["act"].reshape(size, -1), -1, 1),
            own.get("obs_next"),
            own["terminated"],
            own["truncated"],
            own["rew"],
        )
        if size == room:
            lost_its_start(found, spec.max_episode_steps)
        episodes += found
    return from_episodes(episodes, spec, actions_scaled=True)


def _observations(stored: Any, names: list[str] | None) -> np.ndarray:
    """`[places, O]` of an array, or of a group of them in the order of `names` (None: of the alphabet)."""
    if isinstance(stored, Mapping):
        return join(stored, names or sorted(stored))
    return np.asarray(stored).reshape(len(stored), -1)
