"""The one door for demonstrations: `load_demonstrations` finds the reader of a source. A new format is one line in READERS."""

import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rlopt.config import Selection
from rlopt.envs.spec import EnvSpec, as_spec, base_id, env_spec
from rlopt.errors import UserError, warn
from rlopt.imitation import arrays
from rlopt.imitation.demonstrations import COLLECT, Demonstrations
from rlopt.imitation.files import from_state, load_state
from rlopt.imitation.formats import FORMATS
from rlopt.imitation.formats.common import hdf5_keys
from rlopt.training.evaluation import evaluate, random_policy


@dataclass(frozen=True)
class Reader:
    """A format of demonstrations."""

    name: str
    """For messages."""
    recognizes: Callable[[Any], bool]
    """Whether a source (a path, a name or an object) is of this format."""
    read: Callable[[Any, EnvSpec | None], Demonstrations]
    """Reads it; raises UserError if that cannot be done, or if it has to be told the environment and is not."""


def _is_path(source: Any) -> bool:
    return isinstance(source, str | os.PathLike)


def _read_buffer(source: Any, env: EnvSpec | None) -> Demonstrations:
    if names := hdf5_keys(source):
        raise UserError(
            f"{source} is an HDF5 file with {', '.join(sorted(names)[:8])}: not D4RL's (observations, actions, terminals), "
            "robomimic's (data), d3rlpy's or tianshou's. Write its arrays to an .npz file, or give episodes in Python."
        )
    try:
        state = load_state(source)
    except UserError as error:
        path = Path(source)
        if path.suffix in (".pt", ".pth") or not path.is_file() or isinstance(error.__cause__, OSError):
            raise
        raise UserError(
            f"{source} is of no format that rlopt reads (docs/own-data.md has a list): write its arrays to an .npz file, or "
            "give episodes in Python."
        ) from error
    own = state if isinstance(state, list) else [state]
    if own and all(isinstance(part, Mapping) and arrays.find(part, "observations") is not None for part in own):
        return arrays.read(state, env)
    return from_state(source, state)


@dataclass(frozen=True)
class Carried:
    """Demonstrations that were read on another machine, with the name that their source has there."""

    name: str
    data: Demonstrations


READERS = [
    Reader("rlopt", lambda source: isinstance(source, Demonstrations), lambda source, env: source),
    Reader("carried", lambda source: isinstance(source, Carried), lambda source, env: source.data),
    *(Reader(name, module.recognizes, module.read) for name, module in FORMATS.items()),
    Reader("arrays", arrays.recognizes, arrays.read),
    Reader("expert_buffer.pt", _is_path, _read_buffer),
]
"""In the order in which they are asked; `expert_buffer.pt`, the last one, takes every path that no other does."""


def source_name(source: Any) -> str:
    """What a source is called in messages and configs."""
    if isinstance(source, Carried):
        return source.name
    return os.fspath(source) if _is_path(source) else f"{type(source).__name__} in memory"


def load_demonstrations(source: Any, *, env: EnvSpec | str | None = None) -> Demonstrations:
    """Read and check demonstrations.

    Args:
        source: the path of an `expert_buffer.pt`, or of arrays in an `.npz` or torch file; `minari:ID`, a list of episodes
            (`from_episodes`), a dict of arrays, `Demonstrations`, or anything else that a reader of `READERS` knows.
        env: the environment they are wanted for; another one than theirs is welcome (changed dynamics) if the sizes agree.
            A format that does not name its environment needs it.

    Raises:
        UserError: the source is missing, damaged, foreign or invalid, or has other sizes than the environment.
    """
    name = source_name(source)
    spec = None if env is None else as_spec(env)
    try:
        data = _read(source, spec)
    except PermissionError as error:
        raise UserError(f"{name} cannot be read: {error.strerror}.") from error
    except (OSError, ValueError, KeyError) as error:  # of h5py, pyarrow, json: each has its own for a damaged file
        if not _is_path(source):
            raise
        reason = str(error).partition("\n")[0]
        raise UserError(f"{name} is damaged, or not all there: {reason}. Copy it or write it again.") from error
    if spec is not None and not _fits(data, spec):
        raise UserError(
            f"Expert buffer {name} is from {data.env_id} (observation [{data.observation_size}], action "
            f"[{data.action_size}]), but {spec.env_id} has observation [{spec.observation_size}], action "
            f"[{spec.action_size}]: collect data from it with {COLLECT}."
        )
    return data


def _fits(data: Demonstrations, spec: EnvSpec) -> bool:
    """Whether the sizes are the environment's; of states alone, that of observations."""
    return (data.observation_size, data.action_size or spec.action_size) == spec.sizes


def _read(source: Any, spec: EnvSpec | None) -> Demonstrations:
    reader = next((reader for reader in READERS if reader.recognizes(source)), None)
    if reader is None:
        raise UserError(
            f"Demonstrations cannot be read from a {type(source).__name__}: give a path, a dict of arrays, or a list of such "
            "dicts, one an episode."
        )
    return reader.read(source, spec)


def environment_of(data: Demonstrations, given: EnvSpec | None = None) -> EnvSpec:
    """The environment that demonstrations name, with their keyword arguments and time limit, or the one that is given.

    One that is given without arguments gets those of the demonstrations, if it is theirs.
    """
    if given is None:
        return env_spec(data.env_id, data.env_kwargs, data.max_episode_steps)
    theirs = base_id(given.env_id) == base_id(data.env_id)
    if theirs and data.env_kwargs and not given.kwargs:
        own = given.torchrl or inspect.isroutine(given.source) or inspect.isclass(given.source)
        source = given.source if own and not given.env_id.startswith("torchrl:") else given.env_id
        return env_spec(source, data.env_kwargs, given.max_episode_steps)
    return given


def prepare_demonstrations(
    source: Any,
    env: EnvSpec | str | None = None,
    selection: Selection = Selection(),  # noqa: B008  (frozen)
) -> Demonstrations:
    """Demonstrations as a learner gets them, in the actions of its environment (None: the one that they name).

    A random return that was not recorded is measured.
    """
    spec = None if env is None else as_spec(env)
    data = load_demonstrations(source, env=spec)
    spec = environment_of(data, spec)
    if not _fits(data, spec):
        raise UserError(
            f"Expert buffer {source_name(source)} says that it is from {data.env_id}, but has observation "
            f"[{data.observation_size}], action [{data.action_size}], and the environment [{spec.observation_size}], "
            f"[{spec.action_size}]."
        )
    if base_id(data.env_id) == base_id(spec.env_id) and dict(data.env_kwargs) != dict(spec.kwargs):
        warn(
            f"The demonstrations are of {spec.env_id} with {_worded(data.env_kwargs)}, the environment has "
            f"{_worded(spec.kwargs)}."
        )
    data = in_bounds_of(data, spec)
    if data.random_return is None:
        data = replace(data, random_return=_random_return(spec))
        warn_of_a_poor_expert(data, "check the environment, its arguments and the unit of the actions")
    if selection.demos is not None or selection.skip_demos:
        data = data.first(selection.demos, selection.skip_demos)
    data = data if selection.subsample == 1 else data.subsample(selection.subsample)
    return data if selection.noise == 0 else data.with_action_noise(selection.noise, seed=0)


def warn_of_a_poor_expert(data: Demonstrations, advice: str) -> None:
    """One sentence where a score, 0 for random actions and 1 for the expert, would mean nothing."""
    if data.expert_return is not None and data.random_return is not None and data.expert_return <= data.random_return:
        warn(
            f"The demonstrations' mean return, {data.expert_return:.6g}, is no better than that of random actions, "
            f"{data.random_return:.6g}, so that there is no score: {advice}."
        )


def _worded(kwargs: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in kwargs.items()) or "no arguments"


@lru_cache(maxsize=4)  # several stages of a comparison ask
def _random_return(spec: EnvSpec) -> float:
    device = "cuda" if spec.torchrl and torch.cuda.is_available() else "cpu"
    return float(evaluate(random_policy(spec.action_size), spec, device=device).mean())


def in_bounds_of(data: Demonstrations, spec: EnvSpec) -> Demonstrations:
    """The same actions, scaled by the bounds of an environment instead of those of the demonstrations.

    Raises:
        UserError: the environment is theirs, so that one of the bounds is wrong, or it has no such actions.
    """
    if not data.action_size:
        return data
    old = data.action_low.double(), data.action_high.double()
    new = torch.from_numpy(spec.action_low).double(), torch.from_numpy(spec.action_high).double()
    if all(np.allclose(a, b, rtol=1e-5, atol=1e-6) for a, b in zip(old, new, strict=True)):
        return data
    bounds = [f"{low.tolist()} to {high.tolist()}" for low, high in (old, new)]
    differ = f"The demonstrations were recorded with action bounds {bounds[0]}, and {spec.env_id} has {bounds[1]}"
    if data.env_id == spec.env_id and dict(data.env_kwargs) == dict(spec.kwargs):
        raise UserError(f"{differ}, though it is their environment: import them again with the right bounds.")
    action = old[0] + (data.action.double() + 1) / 2 * (old[1] - old[0])
    action = 2 * (action - new[0]) / (new[1] - new[0]) - 1
    if outside := int((action.abs() > 1 + 1e-5).any(-1).sum()):
        raise UserError(f"{differ}: {outside} of {len(data)} actions are impossible there. Use demonstrations from it.")
    warn(f"{differ}: the actions were scaled, so that each does what it did.")
    return replace(data, action=action.clamp(-1, 1).float(), action_low=new[0], action_high=new[1])
