"""TorchRL's replay buffers: the object, or the folder that its `dumps` writes. Actions are in the environment's units.

Bou et al., "TorchRL: A data-driven decision-making library for PyTorch", 2023. Rows of a trajectory are found by
`("collector", "traj_ids")` where there are any; rows that `("collector", "mask")` or `"mask"` leaves out are padding. A folder
is read without `loads`, which unpickles. Where `("next", "truncated")` is missing, the length tells a time limit.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rlopt.errors import UserError
from rlopt.imitation.demonstrations import Demonstrations
from rlopt.imitation.episodes import from_episodes
from rlopt.imitation.formats.common import as_path, needed_env
from rlopt.imitation.formats.rows import at_time_limit, lost_its_start, split_rows

KEYS: dict[str, tuple] = {
    "observation": ("observation",),
    "action": ("action",),
    "next_observation": (("next", "observation"), "next_observation"),
    "reward": (("next", "reward"), "reward"),
    "done": (("next", "done"),),
    "terminated": (("next", "terminated"),),
    "truncated": (("next", "truncated"),),
    "trajectory": (("collector", "traj_ids"), "traj_ids"),
    "mask": (("collector", "mask"), "mask"),
}


def recognizes(source: Any) -> bool:
    """Whether it is a buffer or such a folder."""
    path = as_path(source)
    if path is not None:
        return (path / "storage" / "storage_metadata.json").is_file()
    from torchrl.data import ReplayBuffer

    return isinstance(source, ReplayBuffer)


def read(source: Any, env: Any = None) -> Demonstrations:
    """Read it. Raises UserError without an environment, or where the data cannot be right."""
    spec = needed_env(env, source)
    path = as_path(source)
    data, oldest = (source[:], _oldest(source)) if path is None else _read_folder(path)
    rows: dict[str, np.ndarray] = {}
    shape = data.batch_size
    for name, keys in KEYS.items():
        for key in keys:
            if (value := data.get(key, None)) is not None:
                rows[name] = np.roll(value.reshape(shape.numel(), -1).cpu().numpy(), -oldest, axis=0)
                break
    missing = [name for name in ("observation", "action", "next_observation") if name not in rows]
    if missing:
        raise UserError(
            f"The replay buffer has no {' and no '.join(missing)}: it has {sorted(map(str, data.keys(True)))}."
        )
    if "mask" in rows:
        rows = {name: value[rows["mask"].reshape(-1)] for name, value in rows.items()}
    if not any(rows[name].any() for name in ("observation", "action", "next_observation")):
        raise UserError(
            "All transitions of this replay buffer are zero: TorchRL 0.14.1's MinariExperienceReplay hands out such. "
            "Read the dataset itself, minari:ID."
        )
    if "trajectory" in rows:
        order = np.argsort(rows["trajectory"].reshape(-1), kind="stable")
        rows = {name: value[order] for name, value in rows.items()}
    none = np.zeros(len(rows["action"]), bool)
    done = rows.get("done", none).reshape(-1).astype(bool)
    truncated = rows["truncated"].reshape(-1).astype(bool) if "truncated" in rows else None
    terminated = rows["terminated"].reshape(-1).astype(bool) if "terminated" in rows else None
    if truncated is None:
        truncated = done & ~terminated if terminated is not None else at_time_limit(done, spec.max_episode_steps) & done
    terminated = done & ~truncated if terminated is None else terminated
    episodes = split_rows(
        rows["observation"], rows["action"], rows["next_observation"], terminated, truncated, rows.get("reward")
    )
    if oldest:
        lost_its_start(episodes, spec.max_episode_steps)
    return from_episodes(episodes, spec)


def _oldest(buffer: Any) -> int:
    """The place of the oldest row: not 0 where a full buffer has begun to overwrite."""
    written, capacity = getattr(buffer, "write_count", 0), getattr(buffer.storage, "max_size", 0)
    return written % capacity if capacity and written > capacity == len(buffer) else 0


def _read_folder(path: Path) -> tuple[Any, int]:
    from tensordict import TensorDict

    filled = json.loads((path / "storage" / "storage_metadata.json").read_text())["len"]
    _check_sizes(path / "storage")
    try:
        data = TensorDict.load_memmap(path / "storage", allow_pickle=False)
    except Exception as error:  # tensordict raises many kinds where a file would have to be unpickled, or is missing
        raise UserError(f"{path} cannot be read without unpickling, or is damaged: {error}") from error
    writer = path / "writer" / "metadata.json"
    cursor = json.loads(writer.read_text()).get("cursor", 0) if writer.is_file() else 0
    return data[:filled], cursor if filled == len(data) else 0


def _check_sizes(folder: Path) -> None:
    """Raise UserError for a file that lacks rows: tensordict 0.14.3 fills it up with zeros, on the disk, too."""
    meta = folder / "meta.json"
    for name, about in json.loads(meta.read_text()).items() if meta.is_file() else ():  # without it tensordict raises
        if isinstance(about, dict) and about.get("type") == "TensorDict":
            _check_sizes(folder / name)
        elif isinstance(about, dict) and "dtype" in about:
            size = math.prod(about["shape"]) * getattr(torch, about["dtype"].removeprefix("torch.")).itemsize
            file = folder / f"{name}.memmap"
            if not file.is_file() or file.stat().st_size < size:
                raise UserError(
                    f"{file} is missing, or has less than its {size} bytes: copy the buffer's folder again."
                )
