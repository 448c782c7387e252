"""rlopt's SAC: `train_online` itself, which tells its log after every collector batch how far it is."""

from collections.abc import Generator
from types import SimpleNamespace
from typing import Any

from rlopt.agents import SAC
from rlopt.config import SACConfig, TrainingConfig
from rlopt.cores import available_workers
from rlopt.envs import env_spec
from rlopt.training import train_online

from .protocol import turns
from .settings import Settings


def stopwatch(settings: Settings) -> Generator[None, int, None]:
    """Is sent the frames per seed that are done: holds training until a turn is asked for, and answers when it is over."""
    done = 0
    while done < settings.warmup_frames:
        done = yield
    threads = min(settings.workers or available_workers(), settings.num_seeds)
    turn = turns(threads, "torch", "torchrl", "tensordict")
    wanted = next(turn)
    while True:
        start, end = done, done + max(1, wanted // settings.num_seeds)
        while done < end:
            done = yield
        wanted = turn.send((done - start) * settings.num_seeds)


def main(settings: Settings) -> None:
    """Train until the benchmark ends."""
    config = SACConfig(
        hidden_sizes=(settings.width, settings.width),
        batch_size=settings.batch_size,
        matmul_precision=settings.matmul_precision,  # type: ignore[arg-type]
    )
    own = {
        name: getattr(settings, name)
        for name in ("num_seeds", "workers", "env_workers", "warmup_frames", "buffer_size")
    }
    # the benchmark ends before the last frame, and before an episode is played
    training = TrainingConfig(frames=1_000_000_000, compile=settings.compiled, eval_episodes=1, **own)
    spec, watch = env_spec(settings.env_id), stopwatch(settings)
    next(watch)
    # stands where the run log stands
    log: Any = SimpleNamespace(info=lambda text: None, progress=lambda frames, **latest: watch.send(frames))
    agent = SAC(config, *spec.sizes, num_seeds=settings.num_seeds, device=settings.device)
    train_online(agent, spec, training, log=log)
