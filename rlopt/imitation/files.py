"""`expert_buffer.pt` and what lies beside it."""

import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rlopt.errors import UserError, warn, writing
from rlopt.imitation.demonstrations import COLLECT, Demonstrations
from rlopt.logs.files import check_writable, load_safely, save_atomically, write_text_atomically
from rlopt.logs.lock import WAIT_SECONDS, only_process_in

_README = """\
Expert demonstrations for {env_id}, written by rlopt.

expert_buffer.pt  the demonstrations
metadata.pt       the same without the transitions, small

{num_episodes} episodes, {num_transitions} transitions.
Mean return of an episode: {expert_return}; with uniformly random actions: {random_return}.

transitions:
  observation, next_observation  [{num_transitions}, {observation_size}]  float32
  action                         [{num_transitions}, {action_size}]  float32, in [-1, 1]
  reward                         [{num_transitions}]  float32, the environment's own
  terminated                     [{num_transitions}]  bool, a final state of the task
  truncated                      [{num_transitions}]  bool, the time limit
episode_lengths                  [{num_episodes}]  int64

An action a is low + (a + 1) / 2 * (high - low) in the environment's units,
with low = {action_low} and high = {action_high}.

To load it:
  from rlopt.imitation import load_demonstrations
  demonstrations = load_demonstrations("expert_buffer.pt")
or, without rlopt:
  torch.load("expert_buffer.pt", weights_only=True)["transitions"]
"""


def save_demonstrations(
    demonstrations: Demonstrations, directory: str | Path, say: Callable[[str], None] = warn
) -> Path:
    """Write `expert_buffer.pt`, `metadata.pt` and `README.txt` into `directory`, each whole or not at all.

    `metadata.pt` holds the same dict without `"transitions"` and with `"num_episodes"`, `"num_transitions"`. Other
    demonstrations that are there are kept, as `expert_buffer.1.pt` and so on; `say` is told, by default a warning.

    Returns:
        The path of `expert_buffer.pt`.

    Raises:
        UserError: the folder cannot be written to, or another process writes to it for a minute.
    """
    directory = Path(directory)
    state = demonstrations.to_dict()
    metadata = {key: value for key, value in state.items() if key != "transitions"}
    metadata |= {"num_episodes": demonstrations.num_episodes, "num_transitions": len(demonstrations)}
    words: dict[str, Any] = {key: state["spec"][key].tolist() for key in ("action_low", "action_high")}
    for key in ("expert_return", "random_return"):
        words[key] = "not recorded" if state[key] is None else f"{state[key]:.2f}"
    path = directory / "expert_buffer.pt"
    check_writable(directory)
    with only_process_in(directory, wait=WAIT_SECONDS):
        if path.is_file() and _digest(path) != demonstrations.digest:
            say(f"Other demonstrations were in {path}; they are kept as {_keep(path)}.")
        save_atomically(path, state)
        save_atomically(directory / "metadata.pt", metadata)
        write_text_atomically(directory / "README.txt", _README.format_map(metadata | state["spec"] | words))
    return path


def find_demonstrations(path: Path, digest: str) -> Path | None:
    """The file with this digest: `path` or, where other demonstrations took its place, the one that was kept of it."""
    kept = path.parent.glob(f"{path.stem}.*{path.suffix}")
    return next((file for file in (path, *sorted(kept)) if file.is_file() and _digest(file) == digest), None)


def _digest(path: Path) -> str | None:
    """The digest of demonstrations in a file; None if it cannot be read."""
    try:
        return read_expert_buffer(path).digest
    except UserError:
        return None


def _keep(path: Path) -> Path:
    """Give a file a second name, the first that is free."""
    kept = (path.with_suffix(f".{number}{path.suffix}") for number in itertools.count(1))
    backup = next(file for file in kept if not file.exists() or os.path.samefile(file, path))
    try:
        if not backup.exists():
            os.link(path, backup)
    except OSError:  # a file system without second names: the file gets another one
        with writing(backup):
            os.replace(path, backup)
    return backup


def read_expert_buffer(path: str | Path) -> Demonstrations:
    """Read and check an `expert_buffer.pt`. Raises UserError if it is missing, damaged, foreign or invalid."""
    return from_state(path, load_state(path))


def load_state(path: str | Path) -> Any:
    """What a file of `torch.save` holds, `expert_buffer.pt` or another. Raises as `load_safely`."""
    return load_safely(path, what="Expert buffer", hint=f"Run {COLLECT} first.")


def from_state(path: str | Path, state: Any) -> Demonstrations:
    """The demonstrations that an `expert_buffer.pt` holds. Raises UserError, with its path, if they are foreign or invalid."""
    try:
        return Demonstrations.from_dict(state)
    except UserError as error:
        raise UserError(f"Expert buffer {path}: {error}") from error
