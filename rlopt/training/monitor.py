"""What goes on beside any training: progress, evaluation, metrics, checkpoints."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rlopt.agents.agent import Agent, Metrics
from rlopt.errors import UserError
from rlopt.legacy import upgrade_checkpoint
from rlopt.logs.files import load_safely, save_atomically
from rlopt.logs.run_log import RunLog
from rlopt.states import UNFIT, check_form, check_list, check_metrics
from rlopt.training.evaluation import BestPolicies, Evaluation, Evaluator


@dataclass
class History:
    """How training went: true returns of the deterministic policies at the points of evaluation, and what updates reported."""

    unit: str
    """What `x` counts: "frames" (per seed) or "epochs"."""
    x: list[int] = field(default_factory=list)
    """Where evaluations were, `[P]`."""
    returns: list[list[float]] = field(default_factory=list)
    """Mean return of every seed, `[P][S]`."""
    success_rates: list[list[float]] = field(default_factory=list)
    """Success rate of every seed, `[P][S]`, nan before the first report of one; empty where the environment has none."""
    losses: dict[str, list[list[float]]] = field(default_factory=dict)
    """What updates reported, by name, `[P][S]`; of an offline training `[epochs][S]`."""
    wall_seconds: float = 0.0
    """Of the training, earlier sessions of a resumed run included."""

    def add(self, x: int, evaluation: Evaluation | None, metrics: Metrics) -> None:
        """Append what updates reported, `[S]` by name, and an evaluation, if there was one, after `x` frames or epochs."""
        if evaluation is not None:
            self.x.append(x)
            self.returns.append(evaluation.returns.mean(1).tolist())
            unknown, rates = [math.nan] * len(evaluation.returns), evaluation.success_rates
            if rates is not None or self.success_rates:
                self.success_rates += [unknown] * (len(self.x) - 1 - len(self.success_rates))
                self.success_rates.append(unknown if rates is None else rates.tolist())
        for name, value in metrics.items():
            self.losses.setdefault(name, []).append(value.tolist())

    @classmethod
    def restored(cls, state: Any, unit: str, num_seeds: int) -> "History":
        """That of a checkpoint. Raises ValueError or TypeError if it is no history of S seeds."""
        if missing := {"unit", "x", "returns", "losses", "wall_seconds"} - set(state):
            raise ValueError(f"its history lacks {min(missing)}")
        history = cls(**state)
        if history.unit != unit or not isinstance(history.losses, dict):
            raise ValueError(f"its history does not count {unit}")
        check_form(history.wall_seconds, 0.0, "wall_seconds")
        check_list(history.x, "x", int)
        tables = {"returns": history.returns, "success_rates": history.success_rates, **history.losses}
        for name, table in tables.items():
            length = len(history.x) if name == "returns" or (name == "success_rates" and table) else None
            check_list(table, name, list, length=length)
            for row in table:
                check_list(row, name, float, length=num_seeds)
        return history


class NotFiniteError(UserError):
    """What an update reported became NaN or infinite."""


SAVING = 0.01
"""Share of a run's time that checkpoints may take: one that is due before that waits."""


def check_finite(metrics: Metrics, when: str) -> None:
    """Raise NotFiniteError, naming the quantity and the seeds, if an update reported NaN or infinity."""
    for name, value in metrics.items():
        bad = torch.nonzero(~torch.isfinite(value)).flatten().tolist()
        if bad:
            raise NotFiniteError(
                f"Training stopped {when}: {name} is not finite for seed number {', '.join(map(str, bad))}. "
                "A smaller learning rate may help, also when you resume."
            )


class Monitor:
    """Does what is due at each `report`.

    Args:
        agent: what is trained.
        unit: what is counted, "frames" or "epochs".
        total: the count at which training ends.
        seeds: the S seeds, for the names of columns.
        evaluator: plays the evaluations; None: none are played.
        eval_points: evaluations, evenly spaced.
        checkpoint_points: checkpoints, evenly spaced, fewer if they took more than a hundredth of the time; 0: only `save`
            writes one.
        every_report: whether each report is a row of metrics.csv, or those with an evaluation only.
        best: gets the policies of every evaluation.
        log: where progress and metrics go; None: nowhere.
        checkpoint: the file; None: there is none.
        parts: what a checkpoint holds beside the agent, by name.
    """

    def __init__(
        self,
        agent: Agent,
        *,
        unit: str,
        total: int,
        seeds: Sequence[int],
        evaluator: Evaluator | None,
        eval_points: int,
        checkpoint_points: int = 0,
        every_report: bool = False,
        best: BestPolicies | None = None,
        log: RunLog | None = None,
        checkpoint: Path | None = None,
        parts: Mapping[str, Any] | None = None,
    ):
        self.agent, self.total, self.seeds = agent, total, seeds
        self.evaluator, self.eval_points, self.checkpoint_points = evaluator, eval_points, checkpoint_points
        self.every_report, self.best, self.log, self.checkpoint = every_report, best, log, checkpoint
        self.parts = {"agent": agent, **(parts or {}), **({} if best is None else {"best": best})}
        self.history = History(unit)
        self.restored = 0
        self.saving_seconds = 0.0
        self.metrics: Metrics = {}
        """What the last update reported."""

    def restore(self, path: Path) -> int:
        """Take over a checkpoint; returns its frames or epochs. Raises UserError if it is of another run."""
        state = load_safely(path, what="Checkpoint", hint="Start without --resume.")
        try:
            state = upgrade_checkpoint(state, self.agent.observation_size)
            for name, part in self.parts.items():
                if name in state or name not in _NEW_PARTS:
                    part.load_state_dict(state[name])
            self.history = History.restored(state["history"], self.history.unit, len(self.seeds))
            check_metrics(state["metrics"], len(self.seeds))
            self.metrics = {name: value.to(self.agent.device) for name, value in state["metrics"].items()}
            check_form(state[self.history.unit], 0, self.history.unit)
            self.restored = state[self.history.unit]
        except UNFIT as error:
            raise UserError(f"Checkpoint {path} is not of a run with these settings: {error}") from error
        return self.restored

    def start(self, evaluated: int = 0) -> None:
        """Start the clock; nothing is due before the count of the checkpoint, nor an evaluation before `evaluated`."""
        self.started = time.perf_counter() - self.history.wall_seconds
        evaluated = self.history.x[-1] if self.history.x else evaluated
        self.evaluate_now = _every(
            self.total, self.eval_points, max(evaluated, self.restored if self.every_report else 0)
        )
        self.save_now = _every(self.total, self.checkpoint_points, self.restored)
        self.save_is_due = False
        if self.checkpoint is not None and not self.checkpoint.exists():
            self.save(0)  # so that a run can go on wherever it is stopped, and one without a checkpoint is finished

    def report(self, count: int, metrics: Metrics | None = None) -> None:
        """Whatever is due at `count`; `metrics` is what the last update reported, if there was one."""
        self.metrics = metrics or self.metrics
        shown, latest = min(count, self.total), {}
        self.history.wall_seconds = time.perf_counter() - self.started
        if self.log is not None:
            self.log.progress(shown)
        due = bool(self.metrics) and self.evaluate_now(count)
        if due or self.every_report:
            check_finite(self.metrics, f"at {count} {self.history.unit}")
            evaluation = self.evaluator.play(self.agent.policy) if due and self.evaluator is not None else None
            self.history.add(count, evaluation, self.metrics)
            if evaluation is not None:
                latest["return"] = float(evaluation.returns.mean())
                if evaluation.successes is not None:
                    latest["success"] = float(evaluation.successes.mean())
                if self.best is not None:
                    self.best.consider(self.agent.policy, evaluation.returns)
            if self.every_report:
                latest |= {name: value.mean().item() for name, value in self.metrics.items()}
            if self.log is not None:
                self.log.progress(shown, **latest)
                row = self.row(count, evaluation)
                if "success" in latest:  # which rows before the first evaluation did not know of
                    self.log.add_columns([name for name in row if name.startswith("success_")])
                self.log.metrics(row)
        self.save_is_due |= self.save_now(count)
        # an evaluation takes time, too; and the end must not be lost
        now = time.perf_counter()
        if self.save_is_due and (self.saving_seconds <= SAVING * (now - self.started) or count >= self.total):
            self.save(count)

    def row(self, count: int, evaluation: Evaluation | None) -> dict[str, float]:
        """A row of metrics.csv: count, clock, returns per seed (nan where not evaluated), every reported value.

        Success rates stand beside the returns as soon as the history has some.
        """
        unit, seconds = self.history.unit, time.perf_counter() - self.started
        unknown = np.full(len(self.seeds), np.nan)
        evaluated = {"return": unknown if evaluation is None else evaluation.returns.mean(1)}
        if self.history.success_rates:
            rates = None if evaluation is None else evaluation.success_rates
            evaluated["success"] = unknown if rates is None else rates
        row: dict[str, float] = {unit: count, "wall_seconds": seconds, f"{unit}_per_second": count / seconds}
        for name, values in {**evaluated, **self.metrics}.items():
            row[f"{name}_mean"] = values.mean().item()
            row |= {f"{name}_seed{seed}": value for seed, value in zip(self.seeds, values.tolist(), strict=True)}
        return row

    def save(self, count: int) -> None:
        """Write the checkpoint of `count`, unless the last update reported NaN or infinity."""
        self.save_is_due = False
        if self.checkpoint is None:
            return
        unit = self.history.unit
        check_finite(self.metrics, f"at {count} {unit}")
        begun = time.perf_counter()
        state = {name: part.state_dict() for name, part in self.parts.items()}
        state |= {"history": vars(self.history), "metrics": self.metrics, unit: count}
        save_atomically(self.checkpoint, state)
        if self.log is not None:
            self.log.saved()
        self.saving_seconds += time.perf_counter() - begun


_NEW_PARTS = ("loop", "expert")
"""What checkpoints of earlier versions lack: their runs go on in new episodes."""


def _every(total: int, points: int, start: int = 0) -> Callable[[int], bool]:
    """A test that is true once at each of `points` even steps up to `total`, and at the first count behind one."""
    upcoming = [math.ceil(total * (i + 1) / points) for i in range(points)]
    upcoming = [mark for mark in upcoming if mark > start]

    def reached(count: int) -> bool:
        passed = [mark for mark in upcoming if count >= mark]
        del upcoming[: len(passed)]
        return bool(passed)

    return reached
