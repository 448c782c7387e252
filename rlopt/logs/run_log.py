"""The record of one run: messages and progress on the console and in `rlopt.log`, rows of metrics to every sink.

All seeds share one row per evaluation (columns such as `return_seed42`); LOGGING_STRUCTURE.md lists files and columns.
"""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self

from rich.console import Console

from rlopt.commands import started_by
from rlopt.errors import UserError, writing
from rlopt.logs.csv_sink import CsvSink
from rlopt.logs.files import append_text, check_in_place, check_writable, close_appended, open_to_append
from rlopt.logs.progress import ProgressDisplay
from rlopt.logs.run_folder import write_config
from rlopt.logs.sink import FileSink, Sink
from rlopt.logs.tensorboard_sink import TensorBoardSink
from rlopt.logs.wandb_sink import WandbOptions, WandbSink
from rlopt.logs.watching import current_watcher


class RunLog:
    """The record of one run; a context manager. `sinks` may be appended to; `metrics.csv` is the first of them.

    Args:
        directory: the run's folder; created. `rlopt.log` is appended to, the other files are begun anew.
        config: every setting of the run, for `config.json` and W&B.
        title: a few words for the progress bar ("SAC Pendulum-v1").
        total: the count at which the run ends.
        unit: what `total` counts.
        wandb: None: no W&B.
        tensorboard: write TensorBoard's event files, too.
        resume_at: the count of the checkpoint that the run resumes from; later rows of `metrics.csv` are dropped.
        show_progress: False: no bar and no progress lines on the console.

    Raises UserError if the folder cannot be written to, or `metrics.csv` cannot be resumed.
    """

    def __init__(
        self,
        directory: Path | str,
        *,
        config: Mapping[str, Any],
        title: str,
        total: int,
        unit: str = "frames",
        wandb: WandbOptions | None = None,
        tensorboard: bool = False,
        resume_at: int | None = None,
        show_progress: bool = True,
    ):
        self.directory, self.title, self._show = Path(directory), title, show_progress
        check_writable(self.directory)
        self._csv = CsvSink(self.directory, resume_at)
        content = write_config(self.directory, title, config)
        self._file = open_to_append(self.directory / "rlopt.log")
        if (command := started_by()) is not None:
            self._log_line("INFO", f"Command: {command}")
        self._console = Console(stderr=True)
        self._display = ProgressDisplay(self._console, title, total, unit, show_progress, self._progress_line)
        self._watcher = current_watcher()
        if self._watcher is not None:
            self._watcher.began(self.directory, total, unit)
        self.sinks: list[Sink] = [self._csv]
        resuming = resume_at is not None
        if tensorboard:
            self.sinks.append(TensorBoardSink(self.directory, content, resuming, self.warning))
        if wandb is not None:
            self.sinks.append(WandbSink(wandb, self.directory, content, resuming, self.info, self.warning))
        # no handler: with one, warnings would reach no console where Python's logging was not set up
        logging.getLogger("rlopt").addFilter(self._write_down)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if kind is None:
            self.close()
            return
        with suppress(UserError):  # of a disk that is too full for this line: `error` is what counts
            if not self._file.closed:
                self._log_line("ERROR", f"stopped by {kind.__name__}" + f": {error}" * bool(str(error)))
        with suppress(UserError):
            self.close(failed=True)

    def info(self, text: str) -> None:
        """Writes one line to the console and to `rlopt.log`."""
        self._log_line("INFO", text)
        self._print(text)

    def warning(self, text: str) -> None:
        """As `info`, and marked as a warning."""
        self._log_line("WARNING", text)
        self._print(f"warning: {text}", style="yellow")

    def progress(self, done: int, **latest: float | str) -> None:
        """Shows `done` of `total`, with `latest` beside it (`return_mean=-153.2`; none: the last ones stay)."""
        self._display.update(done, latest)
        if self._watcher is not None:
            self._watcher.progressed(done, latest)

    def saved(self) -> None:
        """A checkpoint was written: whoever watches the run is told."""
        if self._watcher is not None:
            self._watcher.saved()

    def metrics(self, row: Mapping[str, float]) -> None:
        """Sends one row to every sink; the first column is the count. Raises ValueError if the columns change."""
        columns = self._csv.columns or list(row)
        if set(row) != set(columns):
            missing, unexpected = sorted(set(columns) - set(row)), sorted(set(row) - set(columns))
            raise ValueError(f"metrics.csv has other columns: missing {missing}, unexpected {unexpected}.")
        for sink in self.sinks:
            sink.log({column: float(row[column]) for column in columns})

    def add_columns(self, names: Iterable[str]) -> None:
        """Lets rows from now on have these columns, too; earlier rows of `metrics.csv` get nan in them."""
        self._csv.add_columns(names)

    def keep(self, name: str, kind: str, files: Sequence[Path]) -> None:
        """Hands files that are written to the sinks that keep some; `kind` says what they are: "model"."""
        for sink in self.sinks:
            if isinstance(sink, FileSink):
                sink.keep(name, kind, files)

    def close(self, failed: bool = False) -> None:
        """Ends the progress, the sinks and the files; a second call does nothing.

        Raises CannotWrite if the run ended well and one of its files has gone.
        """
        if self._file.closed:
            return
        with ExitStack() as parts:  # all are closed, even if one of them raises
            parts.callback(close_appended, self._file)
            parts.callback(logging.getLogger("rlopt").removeFilter, self._write_down)
            for sink in self.sinks:
                parts.callback(sink.close, failed)
            self._display.close()
            if not failed:
                self._check_complete()

    def _check_complete(self) -> None:
        with writing(self.directory):
            check_in_place(self._file)
            for name in ("config.json", "metrics.csv"):
                (self.directory / name).stat()

    def _write_down(self, record: logging.LogRecord) -> bool:
        """What rlopt says by `errors.warn` goes to `rlopt.log`, too."""
        if record.levelno >= logging.WARNING:
            with suppress(UserError):  # of a full disk: the next line of the run says so
                self._log_line(record.levelname, record.getMessage())
        return True

    def _progress_line(self, text: str) -> None:
        self._log_line("INFO", text)
        if self._show and not self._display.live:
            self._print(f"{self.title}: {text}")

    def _print(self, text: str, style: str | None = None) -> None:
        with suppress(OSError):  # a full disk behind `2> FILE`: rlopt.log has the line
            self._console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    def _log_line(self, level: str, text: str) -> None:
        append_text(self._file, f"{time.strftime('%Y-%m-%d %H:%M:%S')} {level:<7} {text}\n")
