"""rlopt's SAC: `train_online` itself, which tells its log after every collector batch how far it is."""

from __future__ import annotations

import time
from typing import Any, cast

import torch

from rlopt.agents import SAC
from rlopt.config import SACConfig, TrainingConfig
from rlopt.envs import env_spec
from rlopt.evaluation import Evaluator
from rlopt.logs.run_log import RunLog
from rlopt.training import train_online

from .protocol import answer, given_settings, introduce, requests
from .settings import Settings


class Stopwatch:
    """Stands where the run log stands: holds training until a chunk is asked for, and answers when it is done."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.requests = requests()
        self.start = self.end = 0  # of the chunk, in frames per seed
        self.started = 0.0

    def info(self, text: str) -> None:
        """What `train_online` tells a user."""

    def progress(self, frames: int, **latest: Any) -> None:
        """Called by `train_online` when a collector batch and its updates are done."""
        num_seeds = self.settings.num_seeds
        if frames < max(self.end, self.settings.warmup_frames):
            return
        if self.end:
            answer(frames=(frames - self.start) * num_seeds, seconds=time.perf_counter() - self.started)
        else:
            introduce(torch.get_num_threads(), "torch", "torchrl", "tensordict")
        request = next(self.requests, None)
        if request is None:
            raise SystemExit
        self.start, self.end = frames, frames + max(1, request // num_seeds)
        self.started = time.perf_counter()


def main() -> None:
    """Train until the benchmark ends."""
    settings = given_settings()
    config = SACConfig(
        hidden_sizes=(settings.width, settings.width),
        batch_size=settings.batch_size,
        matmul_precision=settings.matmul_precision,
    )
    training = TrainingConfig(
        frames=1_000_000_000,
        num_seeds=settings.num_seeds,
        env_workers=settings.env_workers,
        compile=settings.compiled,
        updates_per_frame=1.0,
        warmup_frames=settings.warmup_frames,
        buffer_size=settings.buffer_size,
        eval_points=1,
        checkpoint_points=1,
    )
    spec = env_spec(settings.env_id)
    sizes = (spec.observation_size, spec.action_size)
    agent = SAC(config, *sizes, num_seeds=settings.num_seeds, device=settings.device)
    evaluator = Evaluator(settings.env_id, episodes=1)  # the benchmark ends before it plays
    train_online(agent, settings.env_id, training, evaluator=evaluator, log=cast(RunLog, Stopwatch(settings)))


if __name__ == "__main__":
    main()
