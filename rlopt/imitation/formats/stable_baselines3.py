"""Arrays of a stable-baselines3 replay buffer in an `.npz`.

    names = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts", "pos", "full")
    np.savez("replay.npz", **{name: getattr(model.replay_buffer, name) for name in names})

Raffin et al., "Stable-Baselines3", JMLR 2021. Arrays are `[places, environments, ...]` or `[places, ...]`; `pos` and `full`
say which places are filled and where the oldest is. Actions are in [-1, 1] already. `dones` is true for a final state and for
the time limit, `timeouts` for the time limit alone; without it, the length tells. A buffer that saves memory has no
`next_observations`: the last step of an episode is dropped and counted.
"""

from __future__ import annotations

import zipfile
from typing import Any

import numpy as np

from rlopt.imitation.arrays import load_npz
from rlopt.imitation.demonstrations import Demonstrations
from rlopt.imitation.episodes import from_episodes
from rlopt.imitation.formats.common import Episode, as_path, needed_env
from rlopt.imitation.formats.rows import at_time_limit, lost_its_start, split_rows, without_padding

ROWS = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")


def recognizes(source: Any) -> bool:
    """Whether it is an `.npz` with a buffer's names."""
    path = as_path(source)
    if path is None or path.suffix != ".npz" or not zipfile.is_zipfile(path):
        return False
    with np.load(path) as file:
        names = set(file.files)
    return {"observations", "actions", "dones"} <= names and bool(names & {"timeouts", "pos", "full"})


def read(source: Any, env: Any = None) -> Demonstrations:
    """Read it. Raises UserError without an environment, or where the data cannot be right."""
    spec = needed_env(env, source)
    found = load_npz(source)
    arrays = {key: found[key] for key in ROWS if key in found}
    pos, full = (int(found[key]) if key in found else None for key in ("pos", "full"))
    if arrays["dones"].ndim == 1:
        arrays = {key: value[:, None] for key, value in arrays.items()}
    if pos is not None:  # the oldest row first, and no place that was never filled
        arrays = {key: np.roll(value, -pos, axis=0) if full else value[:pos] for key, value in arrays.items()}
    episodes: list[Episode] = []
    for column in range(arrays["dones"].shape[1]):
        rows = {key: value[:, column] for key, value in arrays.items()}
        rows = rows if pos is not None else without_padding(rows)
        done = rows["dones"].astype(bool)
        truncated = (
            rows["timeouts"].astype(bool) if "timeouts" in rows else at_time_limit(done, spec.max_episode_steps) & done
        )
        own = split_rows(
            rows["observations"],
            rows["actions"],
            rows.get("next_observations"),
            done & ~truncated,
            truncated,
            rows.get("rewards"),
        )
        if full:
            lost_its_start(own, spec.max_episode_steps)
        episodes += own
    return from_episodes(episodes, spec, actions_scaled=True)
