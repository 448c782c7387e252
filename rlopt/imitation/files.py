"""`expert_buffer.pt` and what lies beside it."""

from pathlib import Path
from typing import Any

from rlopt.errors import UserError
from rlopt.imitation.demonstrations import COLLECT, Demonstrations
from rlopt.logs.files import load_safely, save_atomically, write_text_atomically

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


def save_demonstrations(demonstrations: Demonstrations, directory: str | Path) -> Path:
    """Write `expert_buffer.pt`, `metadata.pt` and `README.txt` into `directory`, each whole or not at all.

    `metadata.pt` holds the same dict without `"transitions"` and with `"num_episodes"`, `"num_transitions"`.

    Returns:
        The path of `expert_buffer.pt`.

    Raises:
        UserError: the folder cannot be written to.
    """
    directory = Path(directory)
    state = demonstrations.to_dict()
    metadata = {key: value for key, value in state.items() if key != "transitions"}
    metadata |= {"num_episodes": demonstrations.num_episodes, "num_transitions": len(demonstrations)}
    words: dict[str, Any] = {key: state["spec"][key].tolist() for key in ("action_low", "action_high")}
    for key in ("expert_return", "random_return"):
        words[key] = "not recorded" if state[key] is None else f"{state[key]:.2f}"
    save_atomically(directory / "expert_buffer.pt", state)
    save_atomically(directory / "metadata.pt", metadata)
    write_text_atomically(directory / "README.txt", _README.format_map(metadata | state["spec"] | words))
    return directory / "expert_buffer.pt"


def read_expert_buffer(path: str | Path) -> Demonstrations:
    """Read and check an `expert_buffer.pt`. Raises UserError if it is missing, damaged, foreign or invalid."""
    state = load_safely(path, what="Expert buffer", hint=f"Run {COLLECT} first.")
    try:
        return Demonstrations.from_dict(state)
    except UserError as error:
        raise UserError(f"Expert buffer {path}: {error}") from error
