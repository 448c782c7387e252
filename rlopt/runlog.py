"""One folder per run: `config.json`, `rlopt.log`, `metrics.csv`; progress on the console; optional W&B.

LOGGING_STRUCTURE.md lists the files and columns, WANDB_INTEGRATION.md what Weights & Biases gets. All seeds of a run
share one folder, one row per evaluation (columns such as `return_seed42`) and one W&B run.
"""

from __future__ import annotations

import csv
import dataclasses
import importlib.metadata
import io
import json
import math
import platform
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import torch
from rich.console import Console

import rlopt
from rlopt.checkpoint import check_writable, write_text_atomically
from rlopt.errors import UserError
from rlopt.progress import ProgressDisplay, format_seconds
from rlopt.wandb_run import WandbOptions, WandbRun
from rlopt.wandb_run import start as start_wandb

__all__ = ["RunLog", "WandbOptions", "format_seconds", "library_versions", "new_run_directory", "timestamp", "to_json"]


def timestamp() -> str:
    """Now, as it stands in folder names: `2026-01-31_09-05-00`."""
    return time.strftime("%Y-%m-%d_%H-%M-%S")


def new_run_directory(parent: Path | str) -> Path:
    """Creates `parent/{timestamp}`, or `..._2`, `..._3` where another run began in the same second.

    Raises:
        UserError: the folder cannot be created.
    """
    check_writable(parent)
    base = directory = Path(parent) / timestamp()
    attempt = 1
    while True:
        try:
            directory.mkdir()
            return directory
        except FileExistsError:
            attempt += 1
            directory = base.with_name(f"{base.name}_{attempt}")


def to_json(value: Any) -> Any:
    """`value` in JSON's own types: dataclasses become objects, tensors and tuples lists, Paths and devices strings.

    JSON knows no NaN or infinity: NaN becomes null, infinity a string.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if hasattr(value, "tolist"):  # numpy arrays and scalars, tensors
        return to_json(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def library_versions() -> dict[str, str]:
    """The versions that a result depends on, by package name."""
    packages = ("torch", "torchrl", "tensordict", "gymnasium", "numpy")
    installed = {name: importlib.metadata.version(name) for name in packages}
    return {"python": platform.python_version(), "rlopt": rlopt.__version__, **installed}


class RunLog:
    """The record of one run; a context manager.

    Args:
        directory: the run's folder; created. `rlopt.log` is appended to, the other files are begun anew.
        config: every setting of the run, for `config.json` and W&B; `config["device"]` is named there with its GPU.
        title: a few words for the progress bar ("SAC Pendulum-v1").
        total: the count at which the run ends.
        unit: what `total` counts.
        wandb: None: no W&B.
        resume_at: the count a checkpoint was taken at: rows of `metrics.csv` after it go, and the rest is kept.
        show_progress: False: no bar and no progress lines on the console.

    Raises:
        UserError: the folder cannot be written to; `metrics.csv` is not one that can be resumed.
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
        resume_at: int | None = None,
        show_progress: bool = True,
    ):
        self.directory, self.title, self._show = Path(directory), title, show_progress
        check_writable(self.directory)
        metrics_file = self.directory / "metrics.csv"
        kept = [] if resume_at is None else _rows_until(resume_at, metrics_file)  # header first
        self._columns: list[str] = kept[0] if kept else []
        write_text_atomically(metrics_file, "".join(map(_csv_line, kept)))
        device = str(config.get("device", "cpu"))
        if device.startswith("cuda") and torch.cuda.is_available():
            device = f"{device} ({torch.cuda.get_device_name(device)})"
        plain = {"title": title, "device": device, "versions": library_versions(), "config": to_json(config)}
        write_text_atomically(self.directory / "config.json", json.dumps(plain, indent=2, sort_keys=True) + "\n")

        self._csv: TextIO = open(metrics_file, "a", newline="", encoding="utf-8")  # noqa: SIM115  # closed by close()
        self._log: TextIO = open(self.directory / "rlopt.log", "a", encoding="utf-8")  # noqa: SIM115
        self._console = Console(stderr=True)
        self._display = ProgressDisplay(
            self._console, title, total, unit, start=resume_at or 0, live=show_progress, line=self._progress_line
        )
        self._closed = False
        self._wandb: WandbRun | None = None
        if wandb is not None:
            resuming = resume_at is not None
            self._wandb = start_wandb(wandb, self.directory, plain, resuming=resuming, say=self.info, warn=self.warning)
        if self._wandb is not None and self._wandb.lacks_history:
            for row in kept[1:]:
                self._to_wandb(dict(zip(self._columns, map(float, row), strict=True)))

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            if kind is not None and not self._closed:
                self._log_line("ERROR", f"stopped by {kind.__name__}: {error}")
        finally:  # also where the disk is too full for that line
            self.close(failed=kind is not None)

    def info(self, text: str) -> None:
        """One line on the console and in `rlopt.log`."""
        self._log_line("INFO", text)
        self._print(text)

    def warning(self, text: str) -> None:
        """As `info`, and marked as a warning."""
        self._log_line("WARNING", text)
        self._print(f"warning: {text}", style="yellow")

    def progress(self, done: int, **latest: float | str) -> None:
        """Tells how far the run is; cheap enough for every step.

        Args:
            done: of `total`.
            **latest: what else to show, by name (`return_mean=-153.2`); without any, the last ones stay.
        """
        self._display.update(done, latest)

    def metrics(self, row: Mapping[str, float]) -> None:
        """Appends one row to `metrics.csv` and sends it to W&B.

        Args:
            row: column to value; the first column is the count that the run goes by. Every row has the first row's
                columns.

        Raises:
            ValueError: other columns than the first row's.
            UserError: the disk is full.
        """
        if not self._columns:
            self._columns = list(row)
            self._write(self._csv, _csv_line(self._columns))
        if set(row) != set(self._columns):
            missing, unexpected = sorted(set(self._columns) - set(row)), sorted(set(row) - set(self._columns))
            raise ValueError(f"metrics.csv has other columns: missing {missing}, unexpected {unexpected}.")
        self._write(self._csv, _csv_line([_cell(row[column]) for column in self._columns]))
        self._to_wandb({column: float(row[column]) for column in self._columns})

    def close(self, failed: bool = False) -> None:
        """Ends the progress, the W&B run and the files; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            self._display.close()
        finally:
            if self._wandb is not None:
                self._wandb.finish(failed)
            self._csv.close()
            self._log.close()

    def _progress_line(self, text: str) -> None:
        self._log_line("INFO", text)
        if self._show and not self._display.live:
            self._print(f"{self.title}: {text}")

    def _print(self, text: str, style: str | None = None) -> None:
        self._console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    def _log_line(self, level: str, text: str) -> None:
        self._write(self._log, f"{time.strftime('%Y-%m-%d %H:%M:%S')} {level:<7} {text}\n")

    def _write(self, file: TextIO, text: str) -> None:
        try:
            file.write(text)
            file.flush()  # row by row, so that a crash loses nothing
        except OSError as error:
            raise UserError(f"Cannot write {file.name}: {error.strerror}; free some space and resume.") from error

    def _to_wandb(self, row: Mapping[str, float]) -> None:
        if self._wandb is not None:
            self._wandb.log(row, step=int(next(iter(row.values()))))


def _csv_line(cells: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _cell(value: float) -> str:
    """Whole numbers in full, others to the nine digits that tell float32 numbers apart."""
    number = float(value)
    return str(int(number)) if number.is_integer() else f"{number:.9g}"


def read_metrics(path: Path) -> list[list[str]]:
    """The cells of a `metrics.csv`, header first. Raises OSError if it cannot be read."""
    whole = path.read_text(encoding="utf-8").rpartition("\n")[0]  # a crash can leave a last line without its end
    return list(csv.reader(io.StringIO(whole)))


def _rows_until(resume_at: int, path: Path) -> list[list[str]]:
    """The header and the rows whose first column is at most `resume_at`; nothing where there is no file."""
    if not path.is_file():
        return []
    rows = read_metrics(path)
    try:
        return rows[:1] + [row for row in rows[1:] if float(row[0]) <= resume_at]
    except (ValueError, IndexError) as error:
        raise UserError(f"{path} is not a metrics file of this program; move it away and resume again.") from error
