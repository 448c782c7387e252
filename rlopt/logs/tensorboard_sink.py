"""TensorBoard: torch's own event files in `tensorboard/` of the run folder, with the names that W&B gets."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rlopt.errors import UserError
from rlopt.logs.sink import Say, by_seed, earlier_rows, one_line, step_of


class TensorBoardSink:
    """The event files of one run; every row is on disk at once. A failure is one warning, and ends the logging to them.

    `config` is shown as a text. `resuming`: hide what the folder's event files have, and send the rows of `metrics.csv`, which
    has none behind the checkpoint, and those of sessions without TensorBoard. `warning` is called with the warning. Raises
    UserError if the package tensorboard cannot be loaded.
    """

    def __init__(self, directory: Path, config: Mapping[str, Any], resuming: bool, warning: Say):
        try:
            # here, because it takes a while and most runs do without
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise UserError(
                f"TensorBoard cannot be loaded ({one_line(error)}): pip install 'rlopt[tensorboard]', or say --no-tensorboard."
            ) from error
        self._writer: Any = None
        self._warning = warning
        folder = directory / "tensorboard"
        with self._guard("off"):
            for path in () if resuming else folder.glob("events.out.tfevents.*"):
                path.unlink()
            self._writer = SummaryWriter(str(folder), purge_step=0 if resuming else None)
            shown = json.dumps(config, indent=2, sort_keys=True, default=str)
            self._writer.add_text("config", "".join(f"    {line}\n" for line in shown.splitlines()), 0)
            for row in earlier_rows(directory):
                self._add(row)
            self._writer.flush()

    def log(self, row: Mapping[str, float]) -> None:
        """Writes one row under the names of `by_seed`; its first value is the step."""
        if self._writer is not None:
            with self._guard("stopped logging"):
                self._add(row)
                self._writer.flush()

    def close(self, failed: bool) -> None:
        """Closes the event file."""
        if self._writer is not None:
            with self._guard("stopped logging"):
                self._writer.close()
            self._writer = None

    def _add(self, row: Mapping[str, float]) -> None:
        for name, value in by_seed(row).items():
            self._writer.add_scalar(name, value, step_of(row))

    @contextmanager
    def _guard(self, outcome: str) -> Iterator[None]:
        """Turns an error into a warning: a picture of the numbers must not stop the training that makes them."""
        try:
            yield
        except UserError:
            raise
        # tensorboard's writer passes on whatever its thread, or the file system behind it, raised
        except Exception as error:
            writer, self._writer = self._writer, None
            with suppress(Exception):
                writer.close()
            self._warning(f"TensorBoard: {outcome} ({one_line(error)}); metrics.csv has everything.")
