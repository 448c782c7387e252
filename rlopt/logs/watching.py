"""Who watches the runs of a process from outside of them: a cell that runs elsewhere tells where it stands."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Protocol


class Watcher(Protocol):
    """Gets what happens in the runs that begin while it watches."""

    def began(self, directory: Path, total: int, unit: str) -> None:
        """A run begins in this folder, and ends at `total`."""

    def progressed(self, done: int, latest: Mapping[str, float | str]) -> None:
        """It has done so much; `latest` are its latest figures, none where they are as before."""

    def saved(self) -> None:
        """Its checkpoint was written, and nothing in its folder is half done."""


_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextmanager
def watched_by(watcher: Watcher) -> Iterator[None]:
    """Let `watcher` watch every run that begins in this block."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def current_watcher() -> Watcher | None:
    """Who watches, if anyone."""
    return _watcher.get()
