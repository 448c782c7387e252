"""rlopt's collection without updates, on one thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from rlopt.collectors import BehaviorPolicy, make_collector
from rlopt.devices import set_up_cpu

from rlopt.agents import SAC
from rlopt.config import SACConfig, TrainingConfig
from rlopt.envs import env_spec, make_env

from .settings import Effort
from .updates import time_in_turn

BARE_STEPS = 64


def bare_environment(env_id: str) -> Callable[[], None]:
    """A function that does `BARE_STEPS` random steps of one gymnasium environment."""
    env = make_env(env_id)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(BARE_STEPS)]
    env.reset(seed=0)

    def steps() -> None:
        for action in actions:
            _, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()

    return steps


def measure_collection(env_id: str, effort: Effort) -> Iterator[dict[str, Any]]:
    """Frames per second of the collector with rlopt's policy, and of gymnasium alone (`copies` 0), in turn."""
    spec, steps_per_batch = env_spec(env_id), TrainingConfig().steps_per_batch
    agent = SAC(SACConfig(), spec.observation_size, spec.action_size)
    set_up_cpu(num_seeds=1, batch_size=1, width=1)  # one thread
    collectors = {
        copies: make_collector(
            env_id,
            BehaviorPolicy(agent.actor, num_seeds=1, seed=0),
            seeds=[0],
            num_envs=copies,
            steps_per_batch=steps_per_batch,
            random_frames=0,
        )
        for copies in effort.copies
    }
    steps: dict[int, Callable[[], object]] = {0: bare_environment(env_id)}
    steps |= {copies: iter(collector).__next__ for copies, collector in collectors.items()}
    for copies, times in time_in_turn(steps, effort).items():
        frames = copies * steps_per_batch or BARE_STEPS
        rates = [frames / seconds for seconds in times]
        yield {"env": env_id, "copies": copies, "threads": torch.get_num_threads(), "frames_per_second": rates}
    for collector in collectors.values():
        collector.shutdown()
