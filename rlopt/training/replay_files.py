"""A replay buffer in a checkpoint: what was collected since the last one is a new file, older files stay as they are."""

from itertools import pairwise
from pathlib import Path
from typing import Any

from rlopt.logs.files import load_safely, save_atomically
from rlopt.states import check_list
from rlopt.training.replay import SeedReplayBuffer


class ReplayFiles:
    """The part of a checkpoint that a replay buffer is: `state_dict` writes what no file holds yet.

    Args:
        replay: the buffer.
        directory: where the files go, `{first element}.pt`; created when the first one is written.
    """

    def __init__(self, replay: SeedReplayBuffer, directory: Path):
        self.replay, self.directory = replay, directory
        self.files: list[int] = []
        """The first element of each file that the last checkpoint names, oldest first."""
        self.written = 0
        """Elements that are in files."""

    def state_dict(self) -> dict[str, Any]:
        """The buffer without its settled elements, and which files hold these."""
        oldest = self.replay.count - len(self.replay)
        files = [first for first, end in pairwise([*self.files, self.written]) if end > oldest]
        # not before now: until the last checkpoint was replaced, it needed them
        for path in self.directory.glob("*.pt"):
            if path.stem.isdigit() and int(path.stem) not in self.files:
                path.unlink()
        settled = self.replay.settled
        if settled > max(self.written, oldest):
            first = max(self.written, oldest)
            save_atomically(self._path(first), self.replay.chunk(first, settled))
            files, self.written = [*files, first], settled
        self.files = files
        return {**self.replay.state_dict(), "files": list(files)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Fill the empty buffer from the files that a checkpoint names, one after the other."""
        check_list(state["files"], "files", int)
        self.files = list(state["files"])
        self.replay.count = max(self.files[0], 0) if self.files else 0
        for first in self.files:
            if first != self.replay.count:
                raise ValueError(f"{self.replay.count} elements in place of {first}")
            self.replay.append(load_safely(self._path(first), what="Part of a checkpoint"))
        self.written = self.replay.count
        if "elements" in state:  # an earlier version had them in the checkpoint itself
            self.replay.append(state["elements"])
        self.replay.load_state_dict(state)

    def _path(self, first: int) -> Path:
        return self.directory / f"{first:012d}.pt"
