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
from rlopt.training.evaluation import BestPolicies, Evaluator


@dataclass
class History:
    """How training went: true returns of the deterministic policies at the points of evaluation, and what updates reported."""

    unit: str
    """What `x` counts: "frames" (per seed) or "epochs"."""
    x: list[int] = field(default_factory=list)
    returns: list[list[float]] = field(default_factory=list)
    """Mean return of every seed, `[P][S]`."""
    losses: dict[str, list[list[float]]] = field(default_factory=dict)
    """What updates reported, by name, `[P][S]`; of an offline training `[epochs][S]`."""
    wall_seconds: float = 0.0

    def add(self, x: int, returns: np.ndarray | None, metrics: Metrics) -> None:
        """Append a report and, if there was an evaluation, its returns `[S, episodes]`."""
        if returns is not None:
            self.x.append(x)
            self.returns.append(returns.mean(1).tolist())
        for name, value in metrics.items():
            self.losses.setdefault(name, []).append(value.tolist())


class NotFiniteError(UserError):
    """What an update reported became NaN or infinite."""


def check_finite(metrics: Metrics, when: str) -> None:
    """Raise NotFiniteError, naming the quantity and the seeds, if an update reported NaN or infinity."""
    for name, value in metrics.items():
        bad = torch.nonzero(~torch.isfinite(value)).flatten().tolist()
        if bad:
            raise NotFiniteError(
                f"Training stopped {when}: {name} is not finite for seed number {', '.join(map(str, bad))}. "
                "The last good checkpoint is kept; a smaller learning rate may help."
            )


class Monitor:
    """Does what is due at each `report`; a context manager that saves a checkpoint when it is interrupted.

    Args:
        agent: what is trained.
        unit: what is counted, "frames" or "epochs".
        total: the count at which training ends.
        seeds: the S seeds, for the names of columns.
        evaluator: plays the evaluations; None: none are played.
        eval_points: evaluations, evenly spaced.
        checkpoint_points: checkpoints, evenly spaced; 0: only an interrupt and `save` write one.
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
        self.metrics: Metrics = {}
        """What the last update reported."""

    def restore(self, path: Path) -> int:
        """Take over a checkpoint; returns its frames or epochs. Raises UserError if it is of another run."""
        state = upgrade_checkpoint(load_safely(path, what="Checkpoint", hint="Start without --resume."))
        try:
            for name, part in self.parts.items():
                part.load_state_dict(state[name])
            self.history = History(**state["history"])
            self.metrics = {name: value.to(self.agent.device) for name, value in state["metrics"].items()}
            self.restored = state[self.history.unit]
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
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
            returns = self.evaluator(self.agent.policy) if due and self.evaluator is not None else None
            self.history.add(count, returns, self.metrics)
            if returns is not None:
                latest["return"] = float(returns.mean())
                if self.best is not None:
                    self.best.consider(self.agent.policy, returns)
            if self.every_report:
                latest |= {name: value.mean().item() for name, value in self.metrics.items()}
            if self.log is not None:
                self.log.progress(shown, **latest)
                self.log.metrics(self.row(count, returns))
        if self.save_now(count):
            self.save(count)

    def row(self, count: int, returns: np.ndarray | None) -> dict[str, float]:
        """A row of metrics.csv: count, clock, returns per seed (nan where not evaluated), every reported value."""
        unit, seconds = self.history.unit, time.perf_counter() - self.started
        means = np.full(len(self.seeds), np.nan) if returns is None else returns.mean(1)
        row: dict[str, float] = {unit: count, "wall_seconds": seconds, f"{unit}_per_second": count / seconds}
        for name, values in {"return": means, **self.metrics}.items():
            row[f"{name}_mean"] = values.mean().item()
            row |= {f"{name}_seed{seed}": value for seed, value in zip(self.seeds, values.tolist(), strict=True)}
        return row

    def save(self, count: int) -> None:
        """Write the checkpoint of `count`, unless the last update reported NaN or infinity."""
        if self.checkpoint is None:
            return
        unit = self.history.unit
        check_finite(self.metrics, f"at {count} {unit}")
        state = {name: part.state_dict() for name, part in self.parts.items()}
        state |= {"history": vars(self.history), "metrics": self.metrics, unit: count}
        save_atomically(self.checkpoint, state)


def _every(total: int, points: int, start: int = 0) -> Callable[[int], bool]:
    """A test that is true once at each of `points` even steps up to `total`, and at the first count behind one."""
    upcoming = [math.ceil(total * (i + 1) / points) for i in range(points)]
    upcoming = [mark for mark in upcoming if mark > start]

    def reached(count: int) -> bool:
        passed = [mark for mark in upcoming if count >= mark]
        del upcoming[: len(passed)]
        return bool(passed)

    return reached
