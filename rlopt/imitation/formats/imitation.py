"""Trajectories of the `imitation` package: the folder that `serialize.save` writes, or a list of them.

Gleave et al., "imitation: Clean Imitation Learning Implementations", 2022. Each has `obs [T+1, O]`, `acts [T, A]` in the
environment's units, perhaps `rews [T]`, and `terminal`, which is true for a final state and for the time limit: the infos
tell them apart (`TimeLimit.truncated`), and where those were left out, the length does.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from rlopt.errors import UserError
from rlopt.imitation.demonstrations import Demonstrations
from rlopt.imitation.episodes import from_episodes
from rlopt.imitation.formats.common import Episode, as_path, library, needed_env

COLUMNS = {"obs", "acts", "terminal"}


def recognizes(source: Any) -> bool:
    """Whether it is a folder of HuggingFace datasets with these columns, or a list of trajectories."""
    path = as_path(source)
    if path is None:
        return isinstance(source, Sequence) and len(source) > 0 and all(hasattr(source[0], key) for key in COLUMNS)
    if not ((path / "state.json").is_file() and (path / "dataset_info.json").is_file()):
        return False
    return set(json.loads((path / "dataset_info.json").read_text()).get("features") or ()) >= COLUMNS


def read(source: Any, env: Any = None) -> Demonstrations:
    """Read it. Raises UserError without an environment, or where the data cannot be right."""
    spec = needed_env(env, source)
    episodes: list[Episode] = []
    for row in _rows(source):
        if hasattr(row["obs"], "keys"):
            raise UserError("Trajectories with dicts of observations cannot be read: flatten them first.")
        episode: Episode = {"observations": np.asarray(row["obs"]), "actions": np.asarray(row["acts"])}
        if row.get("rews") is not None:
            episode["rewards"] = np.asarray(row["rews"])
        infos = row.get("infos")
        at_limit = _time_limit(infos[-1]) if infos is not None and len(infos) else None
        if at_limit is None:
            at_limit = len(episode["actions"]) == spec.max_episode_steps
        episode["terminated"] = bool(row["terminal"]) and not at_limit
        episode["truncated"] = not episode["terminated"]  # at the limit, or `terminal` is false: cut off
        episodes.append(episode)
    return from_episodes(episodes, spec)


def _rows(source: Any) -> Iterable[dict[str, Any]]:
    """One trajectory after the other; of a folder with pyarrow alone, so that nothing in it is run."""
    path = as_path(source)
    if path is None:
        yield from ({key: getattr(item, key, None) for key in (*COLUMNS, "rews", "infos")} for item in source)
        return
    ipc = library("pyarrow.ipc")
    for part in json.loads((path / "state.json").read_text())["_data_files"]:
        with ipc.open_stream(str(path / part["filename"])) as stream:
            for batch in stream:
                yield from batch.to_pylist()


def _time_limit(info: Any) -> bool | None:
    """What an info says of the time limit; `imitation` stores infos as text, of which only JSON's own values are read.

    A numpy bool is there in jsonpickle's words, its byte last; one that only refers to another value says nothing.
    """
    flag = (json.loads(info) if isinstance(info, str) else info).get("TimeLimit.truncated")
    if isinstance(flag, Mapping):
        data = re.findall(r'"py/b64": "(.*?)"', json.dumps(flag))
        return any(base64.b64decode(data[-1])) if data else None
    return None if flag is None else bool(flag)
