"""Trainings read back from their run folders, finished or not: one picture and one table of several."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlopt import plots
from rlopt.errors import UserError
from rlopt.imitation.demonstrations import Demonstrations, load_demonstrations
from rlopt.results import score_summary
from rlopt.runlog import read_metrics

_SEED = "return_seed"


@dataclass(frozen=True)
class Run:
    """The evaluations of one training."""

    method: str
    """`sac`, `ipmd`, `bc`, or whatever else the run's title begins with."""
    env_id: str
    unit: str
    """What `x` counts: "frames" (per seed) or "epochs"."""
    x: NDArray[np.float64]
    """`[P]`, where it was evaluated."""
    returns: Mapping[str, NDArray[np.float64]]
    """Seed to its mean returns `[P]`."""
    expert_data: str | None
    """The demonstrations that it learned from, where it did."""


def read_run(folder: str | Path) -> Run:
    """The run of a folder that `rlopt.runlog.RunLog` wrote.

    Raises UserError if it is none.
    """
    folder = Path(folder)
    try:
        record = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        title, config = record["title"], record["config"]
        header, *rows = read_metrics(folder / "metrics.csv") or [["frames", "return_mean"]]
        columns = dict(zip(header, np.array(rows, dtype=float).reshape(len(rows), len(header)).T, strict=True))
        evaluated = ~np.isnan(columns["return_mean"])
        return Run(
            method=title.split()[0].lower(),
            env_id=config["env"],
            unit=header[0],
            x=columns[header[0]][evaluated],
            returns={
                name.removeprefix(_SEED): values[evaluated]
                for name, values in columns.items()
                if name.startswith(_SEED)
            },
            expert_data=config.get("expert_data"),
        )
    except OSError as error:
        raise UserError(
            f"{folder} is no run folder, such as logs/ipmd/Pendulum-v1/2026-01-31_09-05-00: {error.strerror}."
        ) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise UserError(f"{folder} has a config.json or a metrics.csv that rlopt did not write ({error!r}).") from error


def side_by_side(name: str, runs: Sequence[Run]) -> Run:
    """Runs of one method as one, with the seeds of all of them, at the points that they share.

    Raises UserError if they share none, or a seed.
    """
    first = runs[0]
    shared = first.x
    returns: dict[str, NDArray[np.float64]] = {}
    for run in runs:
        shared = np.intersect1d(shared, run.x)
        if twice := returns.keys() & run.returns.keys():
            raise UserError(
                f"Two runs of {name} have seed {min(twice)}: give one of them another name, as in other=FOLDER."
            )
        returns.update(run.returns)
    if not len(shared):
        raise UserError(f"The runs of {name} were not evaluated at the same points yet, or never.")
    kept = {seed: values[np.isin(run.x, shared)] for run in runs for seed, values in run.returns.items()}
    return Run(first.method, first.env_id, first.unit, shared, kept, first.expert_data)


def plot_runs(
    folders: Sequence[str],
    path: str | Path,
    *,
    expert_data: str | Path | None = None,
    frames: int | None = None,
) -> dict[str, dict[str, Any]]:
    """Draw the learning curves of runs on one environment, and say where each stood at its last evaluation.

    Args:
        folders: run folders, or `name=folder`. Folders of one name (by default, of one method) have their seeds side by
            side.
        path: the PNG. Where frames are counted, BC is the level line that it came to.
        expert_data: an `expert_buffer.pt`, whose expert is 1 and whose random policy is 0; by default that of the runs.
        frames: leave out what came after the first evaluation at or after so many.

    Returns:
        By name: "frames" or "epochs", and the returns and scores of `rlopt.results.score_summary`.

    Raises:
        UserError: for folders that are none, or of several environments, and where no expert is known.
    """
    named: dict[str, list[Run]] = {}
    for word in folders:
        name, _, folder = ("", "", word) if Path(word).exists() else word.partition("=")
        run = read_run(folder or word)
        named.setdefault(name or run.method, []).append(run)
    every = [run for group in named.values() for run in group]
    env_ids = {run.env_id for run in every}
    if len(env_ids) != 1:
        raise UserError(f"Runs of one environment, please: these are of {', '.join(sorted(env_ids))}.")
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
        label = "Frames per seed" if online else "Epochs"
        curves[name] = plots.Curve(x, values, label)
        standing[name] = {run.unit: int(x[-1]), **score_summary(values[-1], data)}
    plots.learning_curves_figure(
        curves,
        expert_return=data.expert_return,
        random_return=data.random_return,
        env_id=env_ids.pop(),
        path=path,
    )
    return standing


def _expert(runs: Sequence[Run], expert_data: str | Path | None) -> Demonstrations:
    """The demonstrations whose expert the runs are measured by."""
    paths = {run.expert_data for run in runs if run.expert_data is not None}
    if expert_data is None and len(paths) != 1:
        raise UserError(
            f"These runs learned from {', '.join(sorted(paths)) or 'no demonstrations'}: name the expert with --expert-data."
        )
    return load_demonstrations(expert_data or paths.pop())
