"""The progress of many cells: one live table on a terminal, a line for what changes everywhere else."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from rlopt.logs.progress import LINE_SECONDS, figures, format_seconds

DRAW_SECONDS = 0.5


@dataclass
class Row:
    """One cell."""

    state: str = "waiting"
    """waiting (for other cells), queued, running, finished or failed."""
    where: str = ""
    attempt: int = 1
    done: int = 0
    total: int = 0
    unit: str = ""
    latest: Mapping[str, float | str] = field(default_factory=dict)
    note: str = ""
    """What it waits for, or failed with."""
    began: float | None = None
    seconds: float = 0.0

    def cells(self, now: float) -> list[str]:
        """State, progress, time and figures."""
        state = self.state if self.attempt == 1 else f"{self.state}, try {self.attempt}"
        share = f"{min(self.done / self.total, 1):.0%} of {self.total:,} {self.unit}" if self.total else ""
        seconds = now - self.began if self.began is not None and self.state == "running" else self.seconds
        told = self.note or " · ".join(figures(self.latest))
        return [state, self.where, share, format_seconds(seconds) if seconds else "", told]


class Board:
    """All cells of a command.

    Args:
        names: the cells', in order.
        live: draw a table where the output is a terminal.
        line: gets a plain line for each change of state, and for cells that run every `LINE_SECONDS`, where there is no table.
    """

    def __init__(self, names: Sequence[str], live: bool, line: Callable[[str], None]):
        self.rows = {name: Row() for name in names}
        self.console = Console(stderr=True)
        self.live: Live | None = None
        self._wanted = live and sys.stderr.isatty() and not self.console.is_dumb_terminal
        self._line = line
        self._drawn = self._told = 0.0

    def __enter__(self) -> Self:
        if self._wanted:
            self.live = Live(self.table(), console=self.console, auto_refresh=False)
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live is not None:
            self.live.update(self.table(), refresh=True)
            self.live.stop()

    def change(self, name: str, state: str, note: str = "", **values: object) -> None:
        """A cell has another state."""
        row, now = self.rows[name], time.monotonic()
        if row.began is not None and row.state == "running" != state:
            row.seconds += now - row.began
        row.state, row.note = state, note
        for key, value in values.items():
            setattr(row, key, value)
        if state == "running":
            row.began = now
        if self.live is None:
            self._line(self._told_of(name, now))

    def draw(self) -> None:
        """Show how things stand, if it is time to."""
        now = time.monotonic()
        if self.live is not None and now - self._drawn >= DRAW_SECONDS:
            self._drawn = now
            self.live.update(self.table(), refresh=True)
        elif self.live is None and now - self._told >= LINE_SECONDS:
            self._told = now
            for name, row in self.rows.items():
                if row.state == "running":
                    self._line(self._told_of(name, now))

    def table(self) -> Table:
        """Every cell with its state."""
        table = Table(box=None, pad_edge=False)
        for heading in ("Cell", "State", "Machine", "Done", "Time", ""):
            table.add_column(heading, no_wrap=heading != "", overflow="ellipsis")
        now = time.monotonic()
        for name, row in self.rows.items():
            table.add_row(name, *row.cells(now))
        return table

    def _told_of(self, name: str, now: float) -> str:
        return f"{name}: {' · '.join(part for part in self.rows[name].cells(now) if part)}"
