"""What several formats need: where a source lies, which environment it is from, dicts of observations, rows of episodes."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from rlopt.envs.checks import wrappers
from rlopt.envs.spec import EnvSpec, as_spec
from rlopt.errors import UserError

Episode = dict[str, Any]


def as_path(source: Any) -> Path | None:
    """The path that a source is, if it is one."""
    return Path(source) if isinstance(source, (str, os.PathLike)) else None


def library(name: str, extra: str = "formats") -> Any:
    """Import a library of an extra. Raises UserError, with the command, if it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(f"{name.split('.')[0]} is not installed: pip install 'rlopt[{extra}]'.") from error


def needed_env(env: Any, source: Any) -> EnvSpec:
    """The environment of a format that does not name one. Raises UserError if it was not given."""
    if env is None:
        name = as_path(source) or type(source).__name__
        raise UserError(f"{name} does not say which environment it is from: say which one with --env.")
    return as_spec(env)


def hdf5_keys(source: Any) -> set[str]:
    """The names at the top of an HDF5 file; none if it is no such file, or if h5py is not installed."""
    path = as_path(source)
    if path is None or path.suffix not in (".hdf5", ".h5") or not path.is_file():
        return set()
    h5py = library("h5py")
    if not h5py.is_hdf5(path):
        return set()
    with h5py.File(path, "r") as file:
        return set(file)


def dict_names(spec: EnvSpec) -> list[str] | None:
    """The names of an environment's Dict observations in the order of its space, which is that of `spec`; None: no Dict."""
    from gymnasium.spaces import Dict

    if spec.torchrl:
        return None
    with closing(spec.make()) as env:
        spaces = (layer.observation_space for layer in (*wrappers(env), env.unwrapped))
        return next((list(space) for space in spaces if isinstance(space, Dict)), None)


def join(observations: Mapping[str, Any], names: list[str]) -> np.ndarray:
    """`[T, O]` of arrays `[T, ...]`, in the order of `names`. Raises UserError if one is missing."""
    missing = [name for name in names if name not in observations]
    if missing:
        raise UserError(f"The observations {sorted(observations)} lack {missing}, which the environment's have.")
    parts = [np.asarray(observations[name]) for name in names]
    return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)


def join_space(space: Any, observations: Any, name: str) -> np.ndarray:
    """`[T, O]` of observations of a space, as gymnasium's `flatten` joins them. Raises UserError for what are no numbers."""
    from gymnasium.spaces import Box, Dict, Tuple

    if isinstance(space, Dict):
        parts = [join_space(part, observations[key], name) for key, part in space.items()]
    elif isinstance(space, Tuple):
        parts = [join_space(*pair, name) for pair in zip(space.spaces, observations, strict=True)]
    elif isinstance(space, Box):
        return np.asarray(observations).reshape(len(observations), -1)
    else:
        raise UserError(f"{name} has the observations {space}: rlopt needs a Box, or a Dict or Tuple of them.")
    return np.concatenate(parts, axis=1)
