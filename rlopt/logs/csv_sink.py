"""`metrics.csv`: one row per evaluation, on disk at once."""

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

from rlopt.errors import UserError
from rlopt.logs.damage import GrowingChecksum
from rlopt.logs.files import append_text, close_appended, open_to_append, write_text_atomically
from rlopt.logs.run_folder import read_metrics


class CsvSink:
    """Appends rows to `metrics.csv`; `columns` are those of the file, none before the first row.

    The file is begun anew, or with `resume_at` only rows whose first column is larger are dropped. Raises UserError if it
    cannot be written, or is not a metrics file.
    """

    def __init__(self, directory: Path, resume_at: int | None):
        self._path = path = directory / "metrics.csv"
        kept = [] if resume_at is None else _rows_until(resume_at, path)  # header first
        self.columns = kept[0] if kept else []
        self._checksum = GrowingChecksum(path)
        self._begin(kept)

    def log(self, row: Mapping[str, float]) -> None:
        """Writes one row, below the header if it is the first. Raises UserError if the disk is full."""
        if not self.columns:
            self.columns = list(row)
            self._append(self.columns)
        self._append(map(_cell, row.values()))

    def add_columns(self, names: Iterable[str]) -> None:
        """Adds the columns that the file lacks, with nan in the rows that it has; nothing before the first row."""
        new = [name for name in names if name not in self.columns]
        if not self.columns or not new:
            return
        close_appended(self._file)
        header, *rows = read_metrics(self._path)
        self.columns = header + new
        self._begin([self.columns, *(row + ["nan"] * len(new) for row in rows)])

    def close(self, failed: bool) -> None:
        """Closes the file."""
        close_appended(self._file)
        self._checksum.close()

    def _begin(self, rows: list[list[str]]) -> None:
        text = "".join(map(_csv_line, rows))
        self._checksum.forget()
        write_text_atomically(self._path, text)
        self._checksum.begin(text.encode())
        self._file = open_to_append(self._path)

    def _append(self, cells: Iterable[str]) -> None:
        line = _csv_line(cells)
        append_text(self._file, line)
        self._checksum.add(line.encode())


def _rows_until(resume_at: int, path: Path) -> list[list[str]]:
    if not path.is_file():
        return []
    rows = read_metrics(path)
    try:
        return rows[:1] + [row for row in rows[1:] if float(row[0]) <= resume_at]
    except (ValueError, IndexError) as error:
        raise UserError(f"{path} is not a metrics file of this program; move it away and resume again.") from error


def _csv_line(cells: Iterable[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _cell(value: float) -> str:
    """Whole numbers in full, others with nine digits, which tell all float32 numbers apart."""
    return str(int(value)) if value.is_integer() else f"{value:.9g}"
