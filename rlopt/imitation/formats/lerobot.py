"""Folders of LeRobot's datasets, format v3: `meta/info.json` and `data/chunk-*/file-*.parquet`.

Cadene et al., "LeRobot: State-of-the-art Machine Learning for Real-World Robotics in Pytorch", 2024. A row is a frame: an
observation and the action taken there, in the environment's units; `episode_index` tells the episodes of a file apart. The
observation after the last action is not recorded, so that the last step of every episode is dropped and counted, and how it
ended is not known: it counts as cut off. Images and videos are left out.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from rlopt.errors import UserError
from rlopt.imitation.demonstrations import Demonstrations
from rlopt.imitation.episodes import from_episodes
from rlopt.imitation.formats.common import Episode, as_path, library, needed_env

STATE = "observation.state"


def recognizes(source: Any) -> bool:
    """Whether it is a folder with `meta/info.json`."""
    path = as_path(source)
    return path is not None and (path / "meta" / "info.json").is_file()


def read(source: Any, env: Any = None) -> Demonstrations:
    """Read it. Raises UserError without an environment, for another version, or where the data cannot be right."""
    path = as_path(source)
    assert path is not None
    info = json.loads((path / "meta" / "info.json").read_text())
    if not str(info.get("codebase_version")).startswith("v3"):
        version = info.get("codebase_version")
        raise UserError(f"{source} has LeRobot's format {version}: convert it to v3.0 with LeRobot's own script.")
    spec = needed_env(env, source)
    columns = _observations(info["features"], spec.observation_size)
    files = sorted(path.glob("data/chunk-*/file-*.parquet"))
    if not files:
        raise UserError(f"{source} has no data/chunk-*/file-*.parquet.")
    wanted = [*columns, "episode_index", "index", *({"action", "next.reward"} & set(info["features"]))]
    parquet = library("pyarrow.parquet")
    parts = [parquet.read_table(file, columns=wanted).to_pydict() for file in files]
    rows = {key: np.concatenate([np.asarray(part[key]) for part in parts]) for key in wanted}
    if len(rows["index"]) != info["total_frames"]:
        raise UserError(f"{source} has {len(rows['index'])} frames, its meta/info.json says {info['total_frames']}.")
    # a feature of size 1 is stored as a number
    rows = {key: value[np.argsort(rows["index"], kind="stable")] for key, value in rows.items()}
    observations = np.concatenate([rows[key].reshape(len(rows[key]), -1) for key in columns], axis=1)
    episodes: list[Episode] = []
    starts = np.flatnonzero(np.diff(rows["episode_index"], prepend=-1))
    for start, stop in zip(starts, [*starts[1:], len(observations)], strict=True):
        episode: Episode = {"observations": observations[start:stop]}
        for name, key in (("actions", "action"), ("rewards", "next.reward")):
            if key in rows:
                episode[name] = rows[key][start:stop]
        episodes.append(episode | {"terminated": False, "truncated": True})
    return from_episodes(episodes, spec)


def _observations(features: dict[str, Any], size: int) -> list[str]:
    """The names of the observations: the state, or all vectors where only together they have the environment's size."""
    sizes = {
        name: int(np.prod(feature["shape"]))
        for name, feature in sorted(features.items())
        if name.startswith("observation.") and feature["dtype"].startswith("float") and len(feature["shape"]) == 1
    }
    if sizes.get(STATE) == size:
        return [STATE]
    if sum(sizes.values()) != size:
        raise UserError(
            f"The observations of this dataset are {sizes or 'images'}; the environment has {size} numbers."
        )
    return list(sizes)
