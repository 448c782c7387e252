"""What the sinks of a run log have in common: what one is, the names that a row's columns have there, earlier rows."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from rlopt.logs.run_folder import read_metrics

Say = Callable[[str], None]


class Sink(Protocol):
    """A destination for the rows of a run; a new logger is one file with a Sink and one line in `RunLog.__init__`."""

    def log(self, row: Mapping[str, float]) -> None:
        """Takes a row: the same columns in the same order each time (some may come later, at the end), the count first."""

    def close(self, failed: bool) -> None:
        """Ends the record; `failed`: an exception ended the run."""


@runtime_checkable
class FileSink(Sink, Protocol):
    """A sink that keeps files, too."""

    def keep(self, name: str, kind: str, files: Sequence[Path]) -> None:
        """Takes files that belong together, under a name; `kind` says what they are: "model"."""


def by_seed(row: Mapping[str, float]) -> dict[str, float]:
    """The names of a row's columns in W&B and TensorBoard: `x_seed42` becomes `x/seed42`, with `x/mean` beside the seeds.

    Both draw names with the same part before the slash in one section. Without an `x_mean` the mean is taken here.
    """
    named: dict[str, float] = {}
    groups: defaultdict[str, list[float]] = defaultdict(list)
    for column, value in row.items():
        quantity, _, seed = column.rpartition("_seed")
        if quantity and seed.isdecimal():
            groups[quantity].append(value)
            column = f"{quantity}/seed{seed}"
        named[column] = value
    for name, values in groups.items():
        named[f"{name}/mean"] = named.pop(f"{name}_mean", sum(values) / len(values))
    return named


def earlier_rows(directory: Path) -> Iterator[dict[str, float]]:
    """The rows of a folder's `metrics.csv`; raises as `read_metrics` does, and ValueError for a cell that is no number."""
    columns, *rows = read_metrics(directory / "metrics.csv") or [[]]
    for row in rows:
        yield dict(zip(columns, map(float, row), strict=True))


def step_of(row: Mapping[str, float]) -> int:
    """A row's count, which is its first value: frames per seed, or epochs."""
    return int(next(iter(row.values())))


def one_line(error: BaseException) -> str:
    """An error in at most 160 characters, for a warning."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 160 else text[:157] + "..."
