"""What a cell tells the command while it runs, and the box for it, a process of its own: torch is not loaded here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rlopt.experiments.ray.packing import Packed


@dataclass(frozen=True)
class Started:
    """A cell begins on a machine."""

    cell: str
    attempt: int
    where: str


@dataclass(frozen=True)
class Progress:
    """How far it is."""

    cell: str
    attempt: int
    done: int
    total: int
    unit: str
    latest: Mapping[str, float | str]


@dataclass(frozen=True)
class Snapshot:
    """Its run folder at a checkpoint: what has changed since the last one."""

    cell: str
    attempt: int
    folder: str
    """Where it lies below the folder of the logs."""
    packed: Packed


class Mailbox:
    """Keeps messages until they are taken."""

    def __init__(self) -> None:
        self._messages: list[Any] = []

    def put(self, message: Any) -> None:
        """Add one."""
        self._messages.append(message)

    def take(self) -> list[Any]:
        """All that have come."""
        messages, self._messages = self._messages, []
        return messages
