"""The loops: online (environment -> collector -> buffer -> update -> policy) and offline (demonstrations -> update)."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

import numpy as np
import torch

from rlopt.agents.bc import BC
from rlopt.agents.common import ExpertSource, Info
from rlopt.agents.ipmd import IPMD
from rlopt.agents.sac import SAC
from rlopt.checkpoint import load_safely, save_atomically
from rlopt.collectors import BehaviorPolicy, make_collector
from rlopt.config import BCConfig, TrainingConfig
from rlopt.devices import arithmetic_set_up
from rlopt.errors import UserError
from rlopt.evaluation import BestPolicies, Evaluator
from rlopt.replay import SeedReplayBuffer
from rlopt.runlog import RunLog
from rlopt.transition import Transition
from rlopt.updates import Updates


@dataclass
class History:
    """How training went: true returns of the deterministic policies, and the losses, at the points of evaluation."""

    unit: str
    """What `x` counts: "frames" (per seed) or "epochs"."""
    x: list[int] = field(default_factory=list)
    returns: list[list[float]] = field(default_factory=list)
    """Mean return of every seed, `[P][S]`."""
    losses: dict[str, list[list[float]]] = field(default_factory=dict)
    """What updates reported, by name, `[P][S]`."""
    wall_seconds: float = 0.0

    def add(self, x: int, returns: np.ndarray, info: Info) -> None:
        """Append one evaluation: returns `[S, episodes]` and the last update's report."""
        self.x.append(x)
        self.returns.append(returns.mean(1).tolist())
        for name, value in info.items():
            self.losses.setdefault(name, []).append(value.tolist())


Arguments = ParamSpec("Arguments")
Training = Callable[Concatenate[Any, Arguments], History]


def _with_arithmetic_set_up(train: Training[Arguments]) -> Training[Arguments]:
    """The same loop, with threads and arithmetic that suit the agent's networks while it runs."""

    @functools.wraps(train)
    def run(agent: SAC | IPMD | BC, *args: Arguments.args, **kwargs: Arguments.kwargs) -> History:
        config = agent.config
        sizes = (agent.num_seeds, config.batch_size, max(config.hidden_sizes))
        precision = "float32" if isinstance(config, BCConfig) else config.matmul_precision
        with arithmetic_set_up(*sizes, agent.device, precision):
            return train(agent, *args, **kwargs)

    return run


class NotFiniteError(UserError):
    """A loss became NaN or infinite."""


def check_finite(info: Info, when: str) -> None:
    """Raise NotFiniteError, naming the quantity and the seeds, if an update reported NaN or infinity."""
    for name, value in info.items():
        bad = torch.nonzero(~torch.isfinite(value)).flatten().tolist()
        if bad:
            raise NotFiniteError(
                f"Training stopped {when}: {name} is not finite for seed number {', '.join(map(str, bad))}. "
                "The last good checkpoint is kept; a smaller learning rate may help."
            )


@_with_arithmetic_set_up
def train_online(
    agent: SAC | IPMD,
    env_id: str,
    config: TrainingConfig,
    *,
    evaluator: Evaluator | None = None,
    best: BestPolicies | None = None,
    log: RunLog | None = None,
    checkpoint: Path | None = None,
    resume: Path | None = None,
) -> History:
    """Train an agent on an environment for `config.frames` frames per seed, rounded up to whole collector batches.

    Args:
        agent: of `config.num_seeds` seeds; IPMD needs its expert buffer set.
        env_id: a gymnasium id.
        config: the loop's settings.
        evaluator: plays the evaluations; by default one of `config.eval_episodes` episodes per seed.
        best: gets the policies of every evaluation.
        log: where progress and metrics go; None: nowhere.
        checkpoint: file that is written at even intervals and when training is interrupted.
        resume: a checkpoint to go on from.

    Raises:
        NotFiniteError: a loss became NaN or infinite; the last good checkpoint is kept.
    """
    replay = SeedReplayBuffer(
        min(config.buffer_size, config.frames + config.frames_per_batch),
        agent.observation_size,
        agent.action_size,
        num_seeds=agent.num_seeds,
        seed=config.seed,
        device=agent.device,
    )
    history, frames = History("frames"), 0
    info: Info = {}
    if resume is not None:
        frames, info = _restore(resume, agent, replay, history, best)
    monitor = _Monitor(agent, env_id, config, replay, history, frames, info, evaluator, best, log, checkpoint)
    compiled = config.compiles(agent.device)
    update = Updates(agent, cuda_graph=config.cuda_graph, compiled=compiled)
    if log is not None and compiled:
        log.info("At the first update all are compiled, which takes up to a minute (--no-compile leaves it out).")
    torch.manual_seed(config.seed + frames)  # the random warm-up's actions
    seeds = [seed + frames for seed in config.seeds]
    behavior = BehaviorPolicy(agent.actor, agent.num_seeds, seeds[0])
    collector = make_collector(
        env_id,
        behavior,
        seeds=seeds,
        num_envs=config.num_envs,
        steps_per_batch=config.steps_per_batch,
        random_frames=max(0, config.warmup_frames - frames),
        env_workers=config.env_workers,
    )
    updates_due = 0.0
    try:
        if resume is not None:
            monitor.report(frames)  # an evaluation that was interrupted is made up for
        while frames < config.frames:
            replay.extend(collector.next())
            frames += config.frames_per_batch
            if frames >= config.warmup_frames:
                updates_due += config.frames_per_batch * config.updates_per_frame
            if updates_due >= 1:
                num_updates, updates_due = int(updates_due), updates_due % 1
                share = config.learning_rate_share(frames - config.frames_per_batch)
                for optimizer in agent.optimizers:
                    optimizer.anneal(share)
                behavior.refresh()  # a GPU's updates run while these policies gather the next batch
                monitor.info = update(replay.sample(num_updates, agent.config.batch_size, agent.recent_share))
            monitor.report(frames)
    except KeyboardInterrupt:
        monitor.save(frames)
        raise
    finally:
        collector.shutdown()
        monitor.close()
    return history


class _Monitor:
    """What goes on beside training: progress, evaluation, metrics, checkpoints."""

    def __init__(
        self,
        agent: SAC | IPMD,
        env_id: str,
        config: TrainingConfig,
        replay: SeedReplayBuffer,
        history: History,
        frames: int,
        info: Info,
        evaluator: Evaluator | None,
        best: BestPolicies | None,
        log: RunLog | None,
        checkpoint: Path | None,
    ):
        self.agent, self.config, self.replay, self.history = agent, config, replay, history
        self.best, self.log, self.checkpoint = best, log, checkpoint
        self.info = info
        """What the last update reported."""
        self.started = time.perf_counter() - history.wall_seconds
        self.owns_evaluator = evaluator is None
        self.evaluator = evaluator or Evaluator(
            env_id, num_seeds=agent.num_seeds, episodes=config.eval_episodes, device=agent.device
        )
        # before the first update there is nothing to evaluate
        evaluated = history.x[-1] if history.x else config.warmup_frames
        self.evaluate_now = _every(config.frames, config.eval_points, evaluated)
        self.save_now = _every(config.frames, config.checkpoint_points, frames)

    def report(self, frames: int) -> None:
        """Whatever is due after `frames` frames per seed."""
        self.history.wall_seconds = time.perf_counter() - self.started
        shown = min(frames, self.config.frames)
        if self.log is not None:
            self.log.progress(shown)
        if self.info and self.evaluate_now(frames):
            check_finite(self.info, f"at {frames} frames")
            returns = self.evaluator(self.agent.policy)
            self.history.add(frames, returns, self.info)
            if self.best is not None:
                self.best.consider(self.agent.policy, returns)
            if self.log is not None:
                self.log.progress(shown, **{"return": float(returns.mean())})
                row = metrics_row("frames", frames, self.started, returns, self.info, self.config.seeds)
                self.log.metrics(row)
        if self.save_now(frames):
            self.save(frames)

    def save(self, frames: int) -> None:
        """Write the checkpoint, unless the last update left numbers that are none."""
        if self.checkpoint is None:
            return
        check_finite(self.info, f"at {frames} frames")
        state = {"agent": self.agent.state_dict(), "replay": self.replay.state_dict()}
        if self.best is not None:
            state["best"] = self.best.state_dict()
        save_atomically(self.checkpoint, {**state, "history": vars(self.history), "info": self.info, "frames": frames})

    def close(self) -> None:
        """Close what was opened here."""
        if self.owns_evaluator:
            self.evaluator.close()


@_with_arithmetic_set_up
def train_offline(
    agent: BC,
    expert: ExpertSource,
    *,
    evaluator: Evaluator | None = None,
    eval_points: int = 10,
    log: RunLog | None = None,
    seeds: list[int] | None = None,
    checkpoint: Path | None = None,
    resume: Path | None = None,
) -> History:
    """Train BC on demonstrations for the epochs of its config.

    An epoch is as many gradient steps as one pass over the data takes, and at least `min_steps_per_epoch`: otherwise 100
    epochs over five short demonstrations would be some 400 steps, and BC would be judged starved.

    Args:
        agent: the learner of S seeds.
        expert: the demonstrations.
        evaluator: plays evaluations; None: none are played, and `History.returns` stays empty.
        eval_points: evaluations during training, evenly spaced.
        log: where progress and metrics go; None: nowhere.
        seeds: the S seeds, for the names of columns; by default 0 to S-1.
        checkpoint: file that is written when training ends or is interrupted.
        resume: a checkpoint to go on from.

    Raises:
        NotFiniteError: the loss became NaN or infinite.
    """
    config = agent.config
    seeds = seeds or list(range(agent.num_seeds))
    steps_per_epoch = max(math.ceil(len(expert) / config.batch_size), config.min_steps_per_epoch)
    agent.fit_standardizer(*expert.observation_statistics())
    history, done = History("epochs"), 0
    if resume is not None:
        done, _ = _restore(resume, agent, None, history, None)
    started = time.perf_counter() - history.wall_seconds
    evaluate_now = _every(config.epochs, eval_points, done)

    def save() -> None:
        if checkpoint is not None:
            save_atomically(
                checkpoint, {"agent": agent.state_dict(), "history": vars(history), "info": {}, "epochs": done}
            )

    try:
        for epoch in range(done + 1, config.epochs + 1):
            total = torch.zeros(agent.num_seeds, device=agent.device)
            for _ in range(steps_per_epoch):
                batch = Transition.from_tensordict(expert.sample_stacked(agent.num_seeds, config.batch_size))
                total += agent.update(batch)["bc_loss"]
            info = {"bc_loss": total / steps_per_epoch}
            check_finite(info, f"in epoch {epoch}")
            returns = evaluator(agent.policy) if evaluator is not None and evaluate_now(epoch) else None

            latest = {"loss": info["bc_loss"].mean().item()}
            history.losses.setdefault("bc_loss", []).append(info["bc_loss"].tolist())
            if returns is not None:
                history.add(epoch, returns, {})
                latest["return"] = float(returns.mean())
            if log is not None:
                log.progress(epoch, **latest)
                log.metrics(metrics_row("epochs", epoch, started, returns, info, seeds))
            history.wall_seconds = time.perf_counter() - started
            done = epoch
    except KeyboardInterrupt:
        save()  # of an epoch that was not finished, its steps so far are kept, and it is begun anew
        raise
    save()
    return history


def metrics_row(
    unit: str, x: int, started: float, returns: np.ndarray | None, info: Info, seeds: list[int]
) -> dict[str, float]:
    """One row of metrics.csv: the count, the clock, returns per seed (nan where not evaluated), every reported value."""
    seconds = time.perf_counter() - started
    means = np.full(len(seeds), np.nan) if returns is None else returns.mean(1)
    row: dict[str, float] = {unit: x, "wall_seconds": seconds, f"{unit}_per_second": x / seconds}
    row["return_mean"] = float(means.mean())
    row |= {f"return_seed{seed}": float(value) for seed, value in zip(seeds, means, strict=True)}
    for name, value in info.items():
        row[f"{name}_mean"] = value.mean().item()
        row |= {f"{name}_seed{seed}": v for seed, v in zip(seeds, value.tolist(), strict=True)}
    return row


def _every(total: int, points: int, start: int = 0) -> Callable[[int], bool]:
    """A test that is true once at each of `points` even steps up to `total`, and at the first count behind one."""
    upcoming = [math.ceil(total * (i + 1) / points) for i in range(points)]
    upcoming = [mark for mark in upcoming if mark > start]

    def reached(count: int) -> bool:
        passed = [mark for mark in upcoming if count >= mark]
        del upcoming[: len(passed)]
        return bool(passed)

    return reached


def _restore(
    path: Path,
    agent: SAC | IPMD | BC,
    replay: SeedReplayBuffer | None,
    history: History,
    best: BestPolicies | None,
) -> tuple[int, Info]:
    """Take over a checkpoint; returns its frames or epochs and what its last update reported."""
    state = load_safely(path, what="Checkpoint", hint="Start without --resume.")
    try:
        agent.load_state_dict(state["agent"])
        if replay is not None:
            replay.load_state_dict(state["replay"])
        if best is not None:
            best.load_state_dict(state["best"])
        history.__dict__.update(state["history"])
        return state[history.unit], {name: value.to(agent.device) for name, value in state["info"].items()}
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"Checkpoint {path} is not of a run with these settings: {error}") from error
