"""An environment on its way to another process, which does not run the user's script."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import replace
from functools import partial
from typing import Any

import cloudpickle
import gymnasium as gym
from gymnasium.envs.registration import load_env_creator
from gymnasium.error import UnregisteredEnv

from rlopt.envs.batch.copies import make_copies
from rlopt.envs.copies import Copies
from rlopt.envs.spec import EnvSpec
from rlopt.envs.versions import one_line
from rlopt.errors import UserError


def pack(spec: EnvSpec, shares: Sequence[tuple[Sequence[int], int]]) -> list[bytes]:
    """What makes each process's copies, from their seeds and the first one's number. Raises UserError if it cannot be sent."""
    try:
        make = partial(_make, _registered(), replace(spec, source=_loaded(spec.source)))
        return [cloudpickle.dumps(partial(make, *share)) for share in shares]
    except Exception as error:  # an object of the user's can raise anything
        raise _not_sent(error) from error


def _registered() -> dict[str, bytes]:
    """gymnasium's registry, as far as it can be sent: an environment may make others by their ids."""
    packed = {}
    for name, known in gym.registry.items():
        with suppress(Exception):  # likewise; who needs this one is told that it is not there
            packed[name] = cloudpickle.dumps(_loaded(known))
    return packed


def _loaded(source: Any) -> Any:
    """gymnasium's spec with a class or function of the user's script itself in place of its name; any other as it is."""
    entry_point = getattr(source, "entry_point", None)
    if isinstance(entry_point, str) and entry_point.startswith("__main__:"):
        source = copy(source)
        source.entry_point = load_env_creator(entry_point)
    return source


def _make(registered: Mapping[str, bytes], spec: EnvSpec, reset_seeds: Sequence[int], first: int) -> Copies:
    """As `make_copies`, in a process that has not run the user's script, nor registered what that registers."""
    try:
        return make_copies(spec, reset_seeds, first)
    except UserError as error:
        if not isinstance(error.__cause__, UnregisteredEnv):
            raise
    for name in registered.keys() - gym.registry.keys():
        with suppress(Exception):  # of a module that is not found here, for instance: as above
            gym.registry[name] = pickle.loads(registered[name])
    return make_copies(spec, reset_seeds, first)


def unpack(packed: bytes) -> Callable[[], Copies]:
    """What `pack` packed. Raises UserError if it cannot be read here."""
    try:
        return pickle.loads(packed)
    except Exception as error:  # a module that is not found here, an object of the user's
        raise _not_sent(error) from error


def _not_sent(error: Exception) -> UserError:
    return UserError(
        f"The environment cannot be sent to another process: {one_line(error)}. Without --env-workers, none is needed."
    )
