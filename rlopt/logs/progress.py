"""The progress of a run: a live bar on a terminal, one line that changes in a notebook, else a plain line now and then."""

import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Column

DRAW_SECONDS = 0.2  # between two updates of the live bar
LINE_SECONDS = 15.0  # between two plain lines
WIDE = 110  # columns of a terminal that has room for a longer bar and the count


def format_seconds(seconds: float) -> str:
    """`0:07`, `12:34`, `1:02:03`."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


def figures(latest: Mapping[str, float | str]) -> list[str]:
    """`return mean -153.2` of each figure."""
    shown = {name: value if isinstance(value, str) else f"{value:.4g}" for name, value in latest.items()}
    return [f"{name.replace('_', ' ')} {value}" for name, value in shown.items()]


class ProgressDisplay:
    """Shows how much of `total` a run has done, in `unit`s.

    `live`: draw a bar where `console` is a terminal, and a line that is written over where it is a notebook. `line` is called
    with a plain line every `LINE_SECONDS` and at the end.
    """

    def __init__(self, console: Console, title: str, total: int, unit: str, live: bool, line: Callable[[str], None]):
        self._notebook = NotebookLine() if live and console.is_jupyter else None
        terminal = live and sys.stderr.isatty() and not console.is_dumb_terminal
        self.live = terminal or self._notebook is not None
        self._console, self._title, self._total, self._unit, self._line = console, title, total, unit, line
        self._latest: Mapping[str, float | str] = {}
        self._bar: Progress | None = None
        self._start_time = self._line_time = 0.0
        self._ticks: deque[tuple[float, int]] = deque(maxlen=150)  # (time, done) of the last half minute, for the rate

    def update(self, done: int, latest: Mapping[str, float | str]) -> None:
        """Takes the count and the latest figures (none: the last ones stay); draws when it is time to."""
        self._done, self._latest = done, latest or self._latest
        now = time.monotonic()
        if not self._ticks:
            self._start_time = self._line_time = now
        elif now - self._ticks[-1][0] < DRAW_SECONDS and done < self._total:
            return
        self._ticks.append((now, done))
        if self.live:
            self._draw()
        if now - self._line_time >= LINE_SECONDS:
            self._line_time = now
            self._line(f"{self._part()} {self._status(counted=True)}")

    def close(self) -> None:
        """Stops the bar, and gives count and time in a last line."""
        if self._bar is not None:
            self._bar.stop()
        if self._ticks:
            seconds = format_seconds(time.monotonic() - self._start_time)
            text = " · ".join([f"{self._done:,} {self._unit} after {seconds}", *figures(self._latest)])
            self._line(text)
            if self._notebook is not None:
                self._notebook.show(f"{self._title}: {text}")

    def _draw(self) -> None:
        if self._notebook is not None:
            self._notebook.show(f"{self._title}: {self._part()} {self._status(counted=True)}")
            return
        wide = self._console.width >= WIDE
        if self._bar is None:
            # The figures get the width that is left, so that title and percentage are never cut.
            title, figures = Column(no_wrap=True), Column(no_wrap=True, overflow="ellipsis", ratio=1)
            self._bar = Progress(
                TextColumn("{task.description}", markup=False, table_column=title),
                BarColumn(24 if wide else 10),
                TaskProgressColumn(),
                TextColumn("{task.fields[status]}", markup=False, table_column=figures),
                console=self._console,
                auto_refresh=False,  # a thread that redraws would take its time from the training loop
                expand=True,
            )
            self._bar.start()
            self._bar.add_task(self._title, total=self._total, status="")
        self._bar.update(self._bar.task_ids[0], completed=self._done, status=self._status(counted=wide))
        self._bar.refresh()

    def _part(self) -> str:
        return f"{self._done / max(self._total, 1):.0%}"

    def _status(self, counted: bool) -> str:
        (first, done_first), (last, done_last) = self._ticks[0], self._ticks[-1]
        parts = [f"{self._done:,}/{self._total:,} {self._unit}"] if counted else []
        if last > first and done_last > done_first:
            rate = (done_last - done_first) / (last - first)
            left = max(self._total - self._done, 0) / rate
            parts += [f"{rate:,.{0 if rate >= 10 else 1}f} {self._unit}/s", f"{format_seconds(left)} left"]
        return " · ".join(parts + figures(self._latest))


class NotebookLine:
    """A line in the output of a notebook's cell; the next one takes its place."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, text: str) -> None:
        """Show this in place of what was shown before."""
        from IPython.display import display

        content = {"text/plain": text}
        if self._handle is None:
            self._handle = display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)
