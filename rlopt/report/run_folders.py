"""Run folders read back, of finished and unfinished runs: one picture and the scores of several."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlopt.errors import UserError
from rlopt.imitation.demonstrations import Demonstrations
from rlopt.imitation.readers import load_demonstrations
from rlopt.logs.run_folder import read_config, read_metrics
from rlopt.report import plots
from rlopt.report.scores import score_summary

_SEED = "return_seed"


@dataclass(frozen=True)
class Run:
    """The evaluations of one training."""

    method: str
    """A name in METHODS, or any other word."""
    env_id: str
    unit: str
    """What `x` counts: "frames" (per seed) or "epochs"."""
    x: NDArray[np.float64]
    """`[P]`, where it was evaluated."""
    returns: Mapping[str, NDArray[np.float64]]
    """Seed to its mean returns `[P]`."""
    expert_data: str | None
    """The demonstrations that it learned from, if any."""
    folder: Path
    record: Mapping[str, Any]
    """The content of its `config.json`."""


def read_run(folder: str | Path) -> Run:
    """The run whose log folder this is; the method is `config["method"]` or, in older runs, the title's first word.

    Raises UserError if it is not a run folder.
    """
    folder = Path(folder)
    try:
        record = read_config(folder)
        config = record["config"]
        header, *rows = read_metrics(folder / "metrics.csv") or [["frames", "return_mean"]]
        columns = dict(zip(header, np.array(rows, dtype=float).reshape(len(rows), len(header)).T, strict=True))
        evaluated = ~np.isnan(columns["return_mean"])
        seeds = [name.removeprefix(_SEED) for name in header if name.startswith(_SEED)]
        return Run(
            method=config.get("method") or record["title"].split()[0].lower(),
            env_id=config["env"],
            unit=header[0],
            x=columns[header[0]][evaluated],
            returns={seed: columns[_SEED + seed][evaluated] for seed in seeds},
            expert_data=config.get("expert_data"),
            folder=folder,
            record=record,
        )
    except OSError as error:
        raise UserError(
            f"{folder} is not a run folder, such as logs/ipmd/Pendulum-v1/2026-01-31_09-05-00: {error.strerror}."
        ) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise UserError(f"{folder} has a config.json or a metrics.csv that rlopt did not write ({error!r}).") from error


def side_by_side(name: str, runs: Sequence[Run]) -> Run:
    """Runs of one method as one run with all their seeds, at the points that they share.

    Raises UserError if they share no point, or if they share a seed.
    """
    first, shared = runs[0], runs[0].x
    returns: dict[str, NDArray[np.float64]] = {}
    for run in runs:
        shared = np.intersect1d(shared, run.x)
        if twice := returns.keys() & run.returns.keys():
            raise UserError(
                f"Two runs of {name} have seed {min(twice)}: give one of them another name, as in other=FOLDER."
            )
        returns.update(run.returns)
    if not len(shared):
        raise UserError(f"The runs of {name} have no evaluation at a common point yet.")
    kept = {seed: values[np.isin(run.x, shared)] for run in runs for seed, values in run.returns.items()}
    return replace(first, x=shared, returns=kept)


@dataclass(frozen=True)
class Runs:
    """Runs on one environment, by name."""

    env_id: str
    groups: Mapping[str, Sequence[Run]]
    """Those of one name have their seeds side by side."""
    curves: Mapping[str, plots.Curve]
    standing: Mapping[str, dict[str, Any]]
    """ "frames" or "epochs" at the last evaluation, and the returns and scores of `score_summary`."""
    expert: Demonstrations
    """Whose expert has score 1 and whose random policy 0."""

    def draw(self, path: str | Path) -> None:
        """Write the learning curves as a PNG."""
        plots.learning_curves_figure(
            self.curves,
            expert_return=self.expert.expert_return,
            random_return=self.expert.random_return,
            env_id=self.env_id,
            path=path,
        )


def gather_runs(folders: Sequence[str], *, expert_data: str | Path | None = None, frames: int | None = None) -> Runs:
    """Runs on one environment, read and put side by side.

    Args:
        folders: run folders, or `name=folder`. Folders with the same name (by default the method's) become one curve
            over all their seeds. If any run counts frames, one that counts epochs is a level line at its last return.
        expert_data: demonstrations whose expert has score 1 and whose random policy 0; by default those of the runs.
        frames: leave out evaluations after the first one at or after this many frames.

    Raises:
        UserError: a folder is not a run folder, the environments differ, or no expert is known.
    """
    named: dict[str, list[Run]] = {}
    for word in folders:
        name, _, folder = ("", "", word) if Path(word).exists() else word.partition("=")
        run = read_run(folder or word)
        named.setdefault(name or run.method, []).append(run)
    every = [run for group in named.values() for run in group]
    env_ids = sorted({run.env_id for run in every})
    if len(env_ids) != 1:
        raise UserError(f"All runs must be of one environment: these are of {', '.join(env_ids)}.")
    data = _expert(every, expert_data)

    curves, standing = {}, {}
    online = any(run.unit == "frames" for run in every)
    for name, group in named.items():
        run = side_by_side(name, group)
        points = slice(None)
        if run.unit == "frames" and frames is not None:
            points = slice(int(np.searchsorted(run.x, frames)) + 1)
        elif run.unit == "epochs" and online:
            points = slice(-1, None)
        x, values = run.x[points], np.stack(list(run.returns.values()), axis=1)[points]  # [P], [P, S]
        curves[name] = plots.Curve(x, values, plots.X_LABELS["frames" if online else "epochs"])
        standing[name] = {run.unit: int(x[-1]), **score_summary(values[-1], data)}
    return Runs(env_ids[0], named, curves, standing, data)


def _expert(runs: Sequence[Run], expert_data: str | Path | None) -> Demonstrations:
    """The demonstrations whose expert the runs are measured by."""
    paths = {run.expert_data for run in runs if run.expert_data is not None}
    if expert_data is None and len(paths) != 1:
        raise UserError(
            f"These runs learned from {', '.join(sorted(paths)) or 'no demonstrations'}: name the expert with --expert-data."
        )
    source = expert_data or paths.pop()
    named = str(source).endswith(".pt")  # such a file names its environment, others may not
    return load_demonstrations(source, env=None if named else runs[0].env_id)
