"""HDF5 files of robomimic: `data/demo_*/{obs/*, next_obs/*, actions, rewards, dones}`.

Mandlekar et al., "What Matters in Learning from Offline Human Demonstrations for Robot Manipulation", 2021. Actions are in
the environment's units for gymnasium's environments (their type is 2 in the file), else in [-1, 1] already. Observations are a
dict: they are joined in the order of the environment's space, or, where that is a vector, in the order of their names. Without
`next_obs` the last step of an episode is dropped and counted; so it is where that of the last step repeats its observation, as
`convert_d4rl.py` writes it.

`dones` marks success, the last step, or both. It counts as a final state only for gymnasium's environments and before the time
limit: robosuite's do not end at success.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from rlopt.errors import UserError, warn
from rlopt.imitation.demonstrations import Demonstrations
from rlopt.imitation.episodes import from_episodes
from rlopt.imitation.formats.common import Episode, dict_names, hdf5_keys, join, library, needed_env

GYMNASIUM = 2


def recognizes(source: Any) -> bool:
    """Whether it is an HDF5 file with robomimic's group."""
    return "data" in hdf5_keys(source)


def read(source: Any, env: Any = None) -> Demonstrations:
    """Read it. Raises UserError without an environment, or where the data cannot be right."""
    spec = needed_env(env, source)
    names = dict_names(spec)
    episodes: list[Episode] = []
    with library("h5py").File(source, "r") as file:
        demos = sorted(
            (name for name in file["data"] if name.startswith("demo_")), key=lambda name: int(name.partition("_")[2])
        )
        if not demos:
            raise UserError(f"{source} has no demonstrations (data/demo_0 and so on).")
        gymnasium = json.loads(file["data"].attrs.get("env_args", "{}")).get("type") == GYMNASIUM
        for demo in demos:
            group = file["data"][demo]
            if "obs" not in group:
                raise UserError(f"{source} has no observations: robomimic's dataset_states_to_obs.py adds them.")
            length = len(group["actions"])
            kept = names or _vectors(group["obs"])
            episode: Episode = {"observations": join(group["obs"], kept), "actions": np.asarray(group["actions"])}
            following = join(group["next_obs"], kept) if "next_obs" in group else None
            if following is not None and not np.array_equal(following[-1], episode["observations"][-1]):
                episode["next_observations"] = following
            if "rewards" in group:
                episode["rewards"] = np.asarray(group["rewards"])
            done = "dones" in group and bool(group["dones"][-1])
            episode["terminated"] = gymnasium and done and length != spec.max_episode_steps
            episode["truncated"] = not episode["terminated"]
            episodes.append(episode)
        left_out = sorted(set(group["obs"]) - set(kept))
    if left_out:
        warn(f"{source}: the observations {', '.join(left_out)} are left out.")
    return from_episodes(episodes, spec, actions_scaled=not gymnasium)


def _vectors(observations: Any) -> list[str]:
    """The names of what is no image, sorted."""
    return sorted(name for name, value in observations.items() if len(value.shape) <= 2)
