"""The one door for demonstrations: `load_demonstrations` finds the reader of a source. A new format is one line in READERS."""

import os
from collections.abc import Callable
from dataclasses import dataclass

from rlopt.config import Selection
from rlopt.envs.spec import env_spec
from rlopt.errors import UserError
from rlopt.imitation.demonstrations import COLLECT, Demonstrations
from rlopt.imitation.files import read_expert_buffer
from rlopt.imitation.minari import PREFIX, read_minari


@dataclass(frozen=True)
class Reader:
    """A format of demonstrations."""

    recognizes: Callable[[str], bool]
    """Whether a source (a path or a name) is of this format."""
    read: Callable[[str], Demonstrations]
    """Reads it; raises UserError if that cannot be done."""


READERS = [
    Reader(lambda source: source.startswith(PREFIX), read_minari),
    Reader(lambda source: True, read_expert_buffer),
]
"""In the order in which they are asked; `expert_buffer.pt`, the last one, takes what no other does."""


def load_demonstrations(
    source: str | os.PathLike[str],
    *,
    env_id: str | None = None,
    observation_size: int | None = None,
    action_size: int | None = None,
) -> Demonstrations:
    """Read and check demonstrations.

    Args:
        source: the path of an `expert_buffer.pt`, or `minari:ID`.
        env_id: the environment they are wanted for; another id than theirs is welcome (changed dynamics) if the sizes agree.
        observation_size: O of that environment; looked up where only another `env_id` is given.
        action_size: A of that environment; likewise.

    Raises:
        UserError: the source is missing, damaged, foreign or invalid, or has other sizes than the environment.
    """
    name = os.fspath(source)
    data = next(reader for reader in READERS if reader.recognizes(name)).read(name)
    if env_id not in (None, data.env_id) and (observation_size is None or action_size is None):
        observation_size, action_size = env_spec(str(env_id)).sizes
    if observation_size not in (None, data.observation_size) or action_size not in (None, data.action_size):
        raise UserError(
            f"Expert buffer {name} is from {data.env_id} (observation [{data.observation_size}], action "
            f"[{data.action_size}]), but {env_id or 'the environment'} has observation [{observation_size}], action "
            f"[{action_size}]: collect data from it with {COLLECT}."
        )
    return data


def prepare_demonstrations(
    source: str | os.PathLike[str],
    env_id: str | None = None,
    selection: Selection = Selection(),  # noqa: B008  (frozen)
) -> Demonstrations:
    """Demonstrations as a learner gets them, checked against its environment (None: the one that they name)."""
    data = load_demonstrations(source, env_id=env_id)
    spec = env_spec(env_id or data.env_id)
    if (data.observation_size, data.action_size) != spec.sizes:
        raise UserError(
            f"Expert buffer {source} says that it is from {data.env_id}, but has observation [{data.observation_size}], "
            f"action [{data.action_size}], and the environment [{spec.observation_size}], [{spec.action_size}]."
        )
    if selection.demos is not None or selection.skip_demos:
        data = data.first(selection.demos, selection.skip_demos)
    data = data if selection.subsample == 1 else data.subsample(selection.subsample)
    return data if selection.noise == 0 else data.with_action_noise(selection.noise, seed=0)
