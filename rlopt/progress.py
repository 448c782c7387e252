"""How far a run is: a live bar on a terminal, a plain line now and then everywhere else."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Mapping

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Column

DRAW_SECONDS = 0.2  # between two pictures of the live bar
LINE_SECONDS = 15.0  # between two plain lines
WIDE = 110  # columns of a terminal that has room for a longer bar and the count


def format_seconds(seconds: float) -> str:
    """`0:07`, `12:34`, `1:02:03`."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


class ProgressDisplay:
    """Draws a run's progress.

    Args:
        console: where to; the live bar needs a terminal behind it.
        title: a few words for the bar.
        total: the count at which the run ends.
        unit: what is counted.
        start: the count it starts from.
        live: whether a bar is wanted; without a terminal there is none.
        line: takes a plain line every `LINE_SECONDS` and one at the end.
    """

    def __init__(
        self, console: Console, title: str, total: int, unit: str, start: int, live: bool, line: Callable[[str], None]
    ):
        self.live = live and sys.stderr.isatty() and not console.is_dumb_terminal
        self._console, self._title, self._total, self._unit, self._line = console, title, total, unit, line
        self._done = start
        self._latest: Mapping[str, float | str] = {}
        self._bar: Progress | None = None
        self._started = self._drawn = self._lined = 0.0
        self._ticks: deque[tuple[float, int]] = deque(maxlen=150)  # (time, done): the rate of the last half minute

    def update(self, done: int, latest: Mapping[str, float | str]) -> None:
        """Takes the count and the latest figures (none: those of last time); draws when it is time to."""
        self._done = done
        self._latest = latest or self._latest
        now = time.monotonic()
        if not self._ticks:
            self._started = self._lined = now
        if self._ticks and now - self._drawn < DRAW_SECONDS and done < self._total:
            return
        self._drawn = now
        self._ticks.append((now, done))
        if self.live:
            self._draw()
        if now - self._lined >= LINE_SECONDS:
            self._lined = now
            self._line(f"{done / max(self._total, 1):.0%} {self._status(counted=True)}")

    def close(self) -> None:
        """Takes the bar off the terminal's hands, and tells count and time in a last line."""
        if self._bar is not None:
            self._bar.stop()
        if self._ticks:
            seconds = format_seconds(time.monotonic() - self._started)
            self._line(" · ".join([f"{self._done:,} {self._unit} after {seconds}", *self._figures()]))

    def _draw(self) -> None:
        if self._bar is None:
            # The figures get what width is left over, so that title and percentage are never cut.
            title, figures = Column(no_wrap=True), Column(no_wrap=True, overflow="ellipsis", ratio=1)
            # Redrawn by update() alone: a thread that redraws would take its time from the training loop.
            self._bar = Progress(
                TextColumn("{task.description}", markup=False, table_column=title),
                BarColumn(24 if self._console.width >= WIDE else 10),
                TaskProgressColumn(),
                TextColumn("{task.fields[status]}", markup=False, table_column=figures),
                console=self._console,
                auto_refresh=False,
                expand=True,
            )
            self._bar.start()
            self._bar.add_task(self._title, total=self._total, status="")
        status = self._status(counted=self._console.width >= WIDE)
        self._bar.update(self._bar.task_ids[0], completed=self._done, status=status)
        self._bar.refresh()

    def _status(self, counted: bool) -> str:
        (first, done_first), (last, done_last) = self._ticks[0], self._ticks[-1]
        parts = [f"{self._done:,}/{self._total:,} {self._unit}"] if counted else []
        if last > first and done_last > done_first:
            rate = (done_last - done_first) / (last - first)
            left = max(self._total - self._done, 0) / rate
            parts += [f"{rate:,.{0 if rate >= 10 else 1}f} {self._unit}/s", f"{format_seconds(left)} left"]
        return " · ".join(parts + self._figures())

    def _figures(self) -> list[str]:
        shown = {name: value if isinstance(value, str) else f"{value:.4g}" for name, value in self._latest.items()}
        return [f"{name.replace('_', ' ')} {value}" for name, value in shown.items()]
