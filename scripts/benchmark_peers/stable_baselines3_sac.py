"""stable-baselines3's SAC: one update after every step of one environment, or blocks of both."""

from typing import Any

import stable_baselines3
import torch

from .protocol import serve
from .settings import Settings


def run(sac: Any, settings: Settings, threads: int, *packages: str) -> None:
    """Train until the benchmark ends, with a SAC that has stable-baselines3's interface."""
    model = sac(
        "MlpPolicy",
        settings.env_id,
        batch_size=settings.batch_size,
        buffer_size=settings.buffer_size,
        learning_starts=settings.warmup_frames,
        train_freq=settings.block,
        gradient_steps=settings.block,
        policy_kwargs={"net_arch": [settings.width, settings.width]},
        device=settings.device,
    )
    model.learn(settings.warmup_frames)

    def train(frames: int) -> int:
        before = model.num_timesteps
        model.learn(frames, reset_num_timesteps=False)
        return model.num_timesteps - before

    serve(train, threads, *packages)


def main(settings: Settings) -> None:
    """Train until the benchmark ends."""
    run(stable_baselines3.SAC, settings, torch.get_num_threads(), "stable-baselines3", "torch")
